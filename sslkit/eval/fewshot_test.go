package eval

import (
	"context"
	"errors"
	"math"
	"reflect"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
)

// uneven are labels of three classes: 100, 30 and 4 examples.
func uneven() []int32 {
	return slices.Concat(slices.Repeat([]int32{0}, 100), slices.Repeat([]int32{1}, 30), slices.Repeat([]int32{2}, 4))
}

func TestLabelsDraw(t *testing.T) {
	labels := uneven()
	for _, test := range []struct {
		l    Labels
		want []int // of each class
		text string
	}{
		{Labels{}, []int{100, 30, 4}, "all labels"},
		{Labels{Share: 0.01}, []int{1, 1, 1}, "1% of the labels"}, // at least one
		{Labels{Share: 0.1}, []int{10, 3, 1}, "10% of the labels"},
		{Labels{Share: 1}, []int{100, 30, 4}, "100% of the labels"},
		{Labels{PerClass: 1}, []int{1, 1, 1}, "1 label a class"},
		{Labels{PerClass: 4}, []int{4, 4, 4}, "4 labels a class"},
	} {
		index, err := test.l.Draw(labels, 3, 7)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]int, 3)
		for _, i := range index {
			got[labels[i]]++
		}
		sorted := slices.Compact(slices.Sorted(slices.Values(index)))
		if !slices.Equal(got, test.want) || len(sorted) != len(index) || test.l.String() != test.text {
			t.Errorf("%v: %v of each class, %d examples of which %d are others, want %v", test.l, got, len(index), len(sorted), test.want)
		}
		again, err := test.l.Draw(labels, 3, 7)
		if err != nil || !slices.Equal(again, index) {
			t.Errorf("%v: the same seed draws %v, then %v", test.l, index, again)
		}
	}
	draw := func(l Labels, seed int64) []int {
		index, err := l.Draw(labels, 3, seed)
		if err != nil {
			t.Fatal(err)
		}
		return index
	}
	one, four := draw(Labels{PerClass: 1}, 1), draw(Labels{PerClass: 4}, 1)
	for _, i := range one {
		if !slices.Contains(four, i) {
			t.Errorf("example %d is among 1 of each class and not among 4: %v, %v", i, one, four)
		}
	}
	if slices.Equal(four, draw(Labels{PerClass: 4}, 2)) {
		t.Error("another seed draws the same")
	}
	_, err := Labels{PerClass: 5}.Draw(labels, 3, 1)
	wantError(t, "5 of 4", err, "class 2 has 4", "wants 5")
	for want, l := range map[string]Labels{"share of 1.5": {Share: 1.5}, "share of NaN": {Share: math.NaN()}, "-1 labels": {PerClass: -1}, "choose one": {Share: 0.1, PerClass: 1}} {
		_, err := l.Draw(labels, 3, 1)
		wantError(t, want, err, want)
	}
}

// Each figure is the mean of probes by Linear.Fit, of which the first is on the draw of the seed itself.
func TestFewShot(t *testing.T) {
	train, test := blobs(300, 6, 3, 0.9, 1), blobs(200, 6, 3, 0.9, 2)
	p, few := Defaults().Linear, FewShot{Labels: []Labels{{PerClass: 2}, {Share: 0.2}}, Draws: 3}
	got, err := few.Fit(context.Background(), quickBackend(t), p, train, test, 3, 5)
	if err != nil {
		t.Fatal(err)
	}
	p.PerClass = 2
	var want []float64
	for k := range 3 {
		fit, err := p.Fit(context.Background(), quickBackend(t), train, test, 3, 5+int64(k)<<32)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, fit.Test)
	}
	if len(got) != 2 || got[0].Examples != 6 || got[1].Examples != 60 || math.Abs(got[0].Test.Mean-Summarize(want).Mean) > 1e-12 || got[0].Test.Std != Summarize(want).Std || len(got[0].L2) != 3 || got[0].Labels.PerClass != 2 {
		t.Errorf("%+v, want first %v", got, want)
	}
	if got[0].Test.Std == 0 || !(got[1].Test.Mean > got[0].Test.Mean) {
		t.Errorf("%+v: draws are to differ, and more labels to help", got)
	}
	whole, err := FewShot{Labels: []Labels{{Share: 1}}, Draws: 1}.Fit(context.Background(), quickBackend(t), p, train, test, 3, 5)
	all, errAll := Defaults().Linear.Fit(context.Background(), quickBackend(t), train, test, 3, 5)
	if err := errors.Join(err, errAll); err != nil || whole[0].Test.Mean != all.Test || whole[0].Examples != 300 {
		t.Errorf("a share of 1 gives %+v, all labels %+v, error %v", whole, all, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := few.Fit(ctx, quickBackend(t), p, train, test, 3, 5); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
	for want, few := range map[string]FewShot{
		"0 numbers of them":       {Draws: 1},
		"0 draws":                 {Labels: []Labels{{PerClass: 1}}},
		"all labels is given":     {Labels: []Labels{{}}, Draws: 1},
		"2 labels a class is giv": {Labels: []Labels{{PerClass: 2}, {PerClass: 2}}, Draws: 1},
		"share of -1":             {Labels: []Labels{{Share: -1}}, Draws: 1},
	} {
		o := Defaults()
		o.Few = &few
		wantError(t, want, o.Validate(), want)
	}
}

// Evaluate has the figures of FewShot on the last stage's features.
func TestEvaluateFew(t *testing.T) {
	train, test := bars{n: 64, classes: 2, batch: 16}, bars{n: 32, classes: 2, batch: 16, seed: 1}
	o := Defaults()
	o.Few, o.Seed = &FewShot{Labels: []Labels{{PerClass: 2}}, Draws: 2}, 3
	store, err := RandomInit(context.Background(), quickBackend(t), pixels{}, train, 1)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Evaluate(context.Background(), quickBackend(t), store, pixels{}, train, test, train.labels(), test.labels(), 2, o)
	if err != nil {
		t.Fatal(err)
	}
	set := func(d bars) Set {
		e := Set{Labels: d.labels()}
		for batch := range d.Iter() {
			for pixels := tensors.MustCopyFlatData[uint8](batch.Inputs[0]); len(pixels) > 0; pixels = pixels[64:] {
				var mean float32 // of the last stage, which is the image doubled
				for _, v := range pixels[:64] {
					mean += 2 * float32(v) / 255 / 64
				}
				e.Features = append(e.Features, []float32{mean})
			}
		}
		return e
	}
	want, err := o.Few.Fit(context.Background(), quickBackend(t), o.Linear, set(train), set(test), 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	// Means of 64 pixels in another order: an example at the boundary may change sides.
	if len(s.Few) != 1 || s.Few[0].Examples != 4 || math.Abs(s.Few[0].Test.Mean-want[0].Test.Mean) > 1.0/32 || !reflect.DeepEqual(s.Few[0].Labels, want[0].Labels) {
		t.Errorf("%+v, want %+v", s.Few, want)
	}
}
