package eval

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// Tally is what the two splits hold that an encoder is measured on.
type Tally struct {
	Train   int          `json:"train"` // examples
	Test    int          `json:"test"`
	Classes int          `json:"classes"`
	Counts  []ClassCount `json:"counts,omitempty"` // of each class, in the order of labels
	Groups  int          `json:"groups,omitempty"` // what the test examples are of, such as photos, see Options.Groups; 0: each is its own
}

// ClassCount is how many examples of a class each split has.
type ClassCount struct {
	Name  string `json:"name,omitempty"`
	Train int    `json:"train"`
	Test  int    `json:"test"`
}

// Count tallies the labels of both splits, which are from 0 to classes-1.
func Count(trainLabels, testLabels []int32, classes int, groups []int32) Tally {
	t := Tally{Train: len(trainLabels), Test: len(testLabels), Classes: classes, Counts: make([]ClassCount, classes)}
	for _, c := range trainLabels {
		t.Counts[c].Train++
	}
	for _, c := range testLabels {
		t.Counts[c].Test++
	}
	if groups != nil {
		t.Groups = len(slices.Compact(slices.Sorted(slices.Values(groups))))
	}
	return t
}

// Commonest is the accuracy of who always answers the class that is commonest in training, the first of equals: its share
// of the test split.
func (t Tally) Commonest() float64 {
	best := ClassCount{}
	for _, c := range t.Counts {
		if c.Train > best.Train {
			best = c
		}
	}
	return float64(best.Test) / math.Max(float64(t.Test), 1)
}

// Even reports whether all classes have as many test examples: accuracy is then the mean over classes, too.
func (t Tally) Even() bool {
	return !slices.ContainsFunc(t.Counts, func(c ClassCount) bool { return c.Test != t.Counts[0].Test })
}

// String is "24 training and 8 test examples, 3 classes of 2 to 20 training examples; without a test example: dog".
func (t Tally) String() string {
	s := fmt.Sprintf("%d training and %d test examples", t.Train, t.Test)
	if t.Groups > 0 {
		s += fmt.Sprintf(" (of %d photos)", t.Groups)
	}
	s += fmt.Sprintf(", %d classes", t.Classes)
	var without []string
	least, most := math.MaxInt, 0
	for i, c := range t.Counts {
		if c.Test == 0 {
			without = append(without, c.name(i))
		}
		least, most = min(least, c.Train), max(most, c.Train)
	}
	if most > 2*least {
		s += fmt.Sprintf(" of %d to %d training examples", least, most)
	}
	if len(without) > 0 {
		s += "; without a test example: " + strings.Join(without, ", ")
	}
	return s
}

func (c ClassCount) name(i int) string {
	if c.Name == "" {
		return fmt.Sprintf("class %d", i)
	}
	return c.Name
}

// Tested is how a classifier did on the test examples. All are fractions.
type Tested struct {
	Test     float64 `json:"test"`               // accuracy
	Balanced float64 `json:"balanced,omitempty"` // mean over the classes, of those with test examples, of the accuracy on each
	Error    float64 `json:"error,omitempty"`    // standard error of Test over the test examples, or over their groups
}

// Compare says how predictions did by the labels. Where groups are given, the examples of a group go right or wrong together:
// the error is that of a mean of clusters (Liang & Zeger 1986), G/(G-1) times the sum over groups of the squared sum of
// what is off, its root by the number of examples. Without groups it is the binomial one, the root of p(1-p)/(n-1).
func Compare(predicted, labels []int32, groups []int32) Tested {
	n := len(labels)
	t := Tested{Test: accuracy(predicted, labels)}
	right, all := make(map[int32]int), make(map[int32]int) // of each class
	off := make(map[int32]float64)                         // of each group
	for i, p := range predicted {
		hit := 0.0
		all[labels[i]]++
		if p == labels[i] {
			hit = 1
			right[labels[i]]++
		}
		group := int32(i)
		if groups != nil {
			group = groups[i]
		}
		off[group] += hit - t.Test
	}
	// In the order of classes and groups, so that sums are the same each time.
	for _, c := range sortedKeys(all) {
		t.Balanced += float64(right[c]) / float64(all[c]) / float64(len(all))
	}
	sum := 0.0
	for _, g := range sortedKeys(off) {
		sum += off[g] * off[g]
	}
	if g := float64(len(off)); g > 1 {
		t.Error = math.Sqrt(g/(g-1)*sum) / float64(n)
	}
	return t
}

func sortedKeys[V any](m map[int32]V) []int32 { return slices.Sorted(maps.Keys(m)) }
