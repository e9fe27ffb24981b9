package study

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/runs"
)

// tinyScenes is one epoch on 40 scenes, and the least that judges it.
func tinyScenes(t testing.TB) (sslkit.Config, eval.DenseOptions) {
	c := labtest.Tiny(t)
	c.Method.(*sslkit.Rotation).Backbone = nn.NIN(3, 6)
	c.Data = sslkit.Data{Name: "scenes", Size: 16, Train: 40, Test: 20}
	c.Epochs = 1
	o := eval.DenseDefaults()
	o.Hidden, o.Epochs, o.Labels = 8, 1, 20
	return c, o
}

func TestDense(t *testing.T) {
	s, notes := newStore(t)
	c, o := tinyScenes(t)
	result, err := Dense(context.Background(), s, []Variant{{"rotation", c}}, o, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range result.Rows {
		names = append(names, r.Name)
		for _, spread := range []eval.Spread{r.Frozen.MIoU, r.Tuned.MIoU, r.Frozen.Pixels, r.Tuned.AP50, r.Frozen.AP} {
			if spread.N != 2 || !(spread.Mean >= 0 && spread.Mean <= 1) {
				t.Errorf("%s: %+v", r.Name, r)
			}
		}
		if f := r.First; f.Train != 20 || f.Test != 20 || f.Classes != 10 || f.Options.Seed != 1 || len(f.Tuned.Segment.Examples) == 0 {
			t.Errorf("%s: %d and %d images, %d classes, seed %d", r.Name, f.Train, f.Test, f.Classes, f.Options.Seed)
		}
	}
	if !reflect.DeepEqual(names, []string{"rotation", "random init", "supervised"}) {
		t.Errorf("rows %v", names)
	}
	head, rows := result.Table()
	if len(head) != 7 || len(rows) != 3 || len(rows[0]) != 7 || !strings.Contains(rows[0][1], "±") {
		t.Errorf("table %v %v", head, rows)
	}
	if text := result.Caption(); !strings.Contains(text, "2 training seeds") || !strings.Contains(text, "20 labelled images") || !strings.Contains(text, "101 recalls") {
		t.Error(text)
	}

	// The second time nothing is trained or measured.
	before := notes.String()
	again, err := Dense(context.Background(), s, []Variant{{"rotation", c}}, o, 1, 2)
	if err != nil || !reflect.DeepEqual(again, result) || notes.String() != before {
		t.Errorf("the second time %+v, %v, and news\n%s", again, err, strings.TrimPrefix(notes.String(), before))
	}
	// Damaged scores are measured again, to the same.
	c.Seed, o.Seed = 1, 1
	first, err := DenseScores(context.Background(), s, c, o)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Find(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.Dir, r.Key, "dense-"+sslkit.Hash([]any{o, measureRevision})+".json"), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := DenseScores(context.Background(), s, c, o); err != nil || !reflect.DeepEqual(again, first) {
		t.Errorf("after damage: %v", err)
	}
	if all, err := s.Scores(r.Key); err != nil || len(all) > 0 {
		t.Errorf("they pass for probes: %v, %v", all, err)
	}

	// In one table with the other measures.
	all := TransferOptions{Options: eval.Defaults(), Dense: &o}
	all.K = 5
	table, err := Transfer(context.Background(), s, []Variant{{"rotation", c}}, all, 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"rotation", "random init"} {
		v := table.Rows[i].Values
		if table.Rows[i].Name != name || v["mIoU"] != result.Rows[i].Frozen.MIoU || v["AP50 tuned"] != result.Rows[i].Tuned.AP50 || v["AP"] != result.Rows[i].Frozen.AP {
			t.Errorf("%s in one table with the rest: %+v, want %+v", name, v, result.Rows[i])
		}
	}

	ctx, cancel := context.WithCancel(context.Background())
	s.Report = func(runs.Progress) { cancel() } // with the news that it begins
	o.Epochs++
	if _, err := DenseScores(ctx, s, c, o); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Errorf("error %v, want ErrInterrupted", err)
	}
}

func TestDenseRefuses(t *testing.T) {
	s, notes := newStore(t)
	c, o := tinyScenes(t)
	ctx := context.Background()
	_, err := Dense(ctx, s, nil, o, 1)
	labtest.WantError(t, "no variants", err, "at least one variant")
	_, err = Dense(ctx, s, []Variant{{"rotation", c}}, o)
	labtest.WantError(t, "no seeds", err, "at least one seed")
	other := c
	other.Data.Size = 20
	o.Epochs = 0
	_, err = Dense(ctx, s, []Variant{{"rotation", c}}, o, 1)
	labtest.WantError(t, "options", err, "0 epochs")
	_, o = tinyScenes(t)
	_, err = Dense(ctx, s, []Variant{{"rotation", c}, {"larger", other}}, o, 1)
	labtest.WantError(t, "two datasets", err, "larger has other data than rotation")
	_, err = Dense(ctx, s, []Variant{{"bars", labtest.Tiny(t)}}, o, 1)
	labtest.WantError(t, "no segments", err, "has no objects and segments")
	_, err = Transfer(ctx, s, []Variant{{"bars", labtest.Tiny(t)}}, TransferOptions{Options: eval.Defaults(), Dense: &o}, 1)
	labtest.WantError(t, "no segments", err, "has no objects and segments")
	if notes.Steps > 0 {
		t.Errorf("it trained %d steps before", notes.Steps)
	}
}

// Objects of which too little is seen are left out, and images come with the truth of their own.
func TestScenes(t *testing.T) {
	src, _, err := data.Open("scenes", data.OpenOptions{Size: 32})
	if err != nil {
		t.Fatal(err)
	}
	annotated := src.(data.Annotated)
	all, err := scenes(annotated, []int{7, 3}, 0)
	if err != nil {
		t.Fatal(err)
	}
	want, pixels := make([]uint8, 32*32), make([]uint8, 32*32*3)
	annotated.Segments(3, want)
	if err := annotated.Read(3, pixels); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(all.Segments[1], want) || !reflect.DeepEqual(all.Images[1], pixels) || all.Classes != 10 {
		t.Error("the second scene is not example 3")
	}
	var index []int
	for i := range 100 {
		index = append(index, i)
	}
	seen := 0
	count := func(visible float64) (n int) {
		s, err := scenes(annotated, index, visible)
		if err != nil {
			t.Fatal(err)
		}
		ignored := 0
		for i, boxes := range s.Boxes {
			n, ignored = n+len(boxes), ignored+len(s.Ignored[i])
		}
		if visible == 0 {
			seen = n
		}
		if n+ignored != seen {
			t.Errorf("%d objects and %d ignored ones of the %d that are seen", n, ignored, seen)
		}
		return n
	}
	if any, most, whole := count(0), count(0.5), count(1); !(any > most && most > whole && whole > 0) {
		t.Errorf("%d objects, %d half seen, %d wholly", any, most, whole)
	}
}
