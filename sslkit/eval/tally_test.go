package eval

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	train := []int32{0, 0, 0, 0, 1, 1, 1, 2}
	a := Count(train, []int32{0, 0, 1, 1, 1, 1, 1, 1}, 3, nil)
	// Most often trained on is class 0, which two of eight test examples have: not the six of class 1, which the test set alone tells.
	if got := a.Commonest(); got != 0.25 || a.Even() {
		t.Errorf("commonest %g, even %t; want 0.25, uneven", got, a.Even())
	}
	a.Counts[2].Name = "dog"
	if got, want := a.String(), "8 training and 8 test examples, 3 classes of 1 to 4 training examples; without a test example: dog"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	b := Count([]int32{0, 1}, []int32{1, 0, 0, 1}, 2, []int32{5, 5, 9, 9})
	if got, want := b.String(), "2 training and 4 test examples (of 2 photos), 2 classes"; got != want || !b.Even() || b.Commonest() != 0.5 {
		t.Errorf("%q, want %q; even %t", got, want, b.Even())
	}
	if got := Count(train, []int32{0}, 4, nil).String(); !strings.Contains(got, "class 1, class 2, class 3") {
		t.Errorf("without names: %q", got)
	}
}

func TestTested(t *testing.T) {
	// Four of class 0, of which three are right, and one of class 1 that is wrong; none of class 2.
	got := Compare([]int32{0, 0, 0, 1, 2}, []int32{0, 0, 0, 0, 1}, nil)
	want := math.Sqrt(0.6 * 0.4 / 4)
	if got.Test != 0.6 || math.Abs(got.Balanced-0.375) > 1e-12 || math.Abs(got.Error-want) > 1e-12 {
		t.Errorf("%+v, want 0.6, 0.375 and %g", got, want)
	}
	if one := Compare([]int32{0}, []int32{0}, nil); one.Test != 1 || one.Error != 0 {
		t.Errorf("one example: %+v", one)
	}
	// Groups of four that are the same make as many independent examples as there are groups.
	var predicted, labels, groups, single, of []int32
	for g := range 50 {
		p := int32(g % 3 / 2)
		single, of = append(single, p), append(of, 0)
		for range 4 {
			predicted, labels, groups = append(predicted, p), append(labels, 0), append(groups, int32(g))
		}
	}
	clustered, alone := Compare(predicted, labels, groups), Compare(single, of, nil)
	if math.Abs(clustered.Error-alone.Error) > 1e-12 || clustered.Error < 1.9*Compare(predicted, labels, nil).Error {
		t.Errorf("copies in groups have the error %g, one of each %g", clustered.Error, alone.Error)
	}
}

// The error over groups is what repeating the draw of groups shows.
func TestTestedGroupsBySimulation(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var accuracies []float64
	mean := 0.0
	const repeats = 400
	for range repeats {
		var predicted, groups []int32
		for g := range 40 {
			p := rnd.Float64() // each photo has its own chance to be right
			for range 24 {
				hit := int32(0)
				if rnd.Float64() < p {
					hit = 1
				}
				predicted, groups = append(predicted, hit), append(groups, int32(g))
			}
		}
		labels := make([]int32, len(predicted))
		for i := range labels {
			labels[i] = 1
		}
		s := Compare(predicted, labels, groups)
		accuracies = append(accuracies, s.Test)
		mean += s.Error / repeats
	}
	// A deviation of 400 draws is known to 1/sqrt(800), 3.5 %; four of these.
	if got := Summarize(accuracies).Std; math.Abs(mean/got-1) > 0.14 {
		t.Errorf("the mean error is %g, the deviation over draws %g", mean, got)
	}
}
