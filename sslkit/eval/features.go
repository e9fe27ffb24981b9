// Package eval measures what a frozen encoder has learnt: k-NN, linear and non-linear probes on cached features of every
// stage, with all labels or few, beside a random and a supervised encoder, and figures that show collapse. [FineTune] goes
// on training a copy of it.
//
// It sees only Method.Encode and a store. The encoder is in evaluation mode, and nothing here changes the store.
package eval

import (
	"fmt"
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/nn"
)

// Set is the features of one split, a row of equal length an example, and their labels from 0.
type Set struct {
	Features [][]float32
	Labels   []int32
	Groups   []int32 // of a test set, see Options.Groups; nil: each example is its own
}

// Pooled averages each feature map [N, h, w, C] over its positions: [N, C]. It is made for sslkit.Features.
func Pooled(maps []*Node) []*Node { return Grid(1)(maps) }

// Grid returns a function for sslkit.Features that averages each feature map [N, h, w, C] down to at most side by side
// cells and flattens it: [N, s*s*C] with s the smaller of side and h, likewise for w. Side 0 keeps the whole map.
//
// Average pooling over the whole map throws away where things are, which is most of what early stages hold. Linear
// probes of convolutional maps are therefore commonly pooled to about 9000 numbers only (Zhang, Isola & Efros 2016,
// Sec. 3.2), and RotNet's CIFAR-10 classifiers see the whole map. Where side does not divide h the cells overlap, as those
// of PyTorch's AdaptiveAvgPool2d do.
func Grid(side int) func(maps []*Node) []*Node {
	return func(maps []*Node) []*Node {
		if side < 0 {
			exceptions.Panicf("eval.Grid: side is %d; it must be at least 0", side)
		}
		out := make([]*Node, len(maps))
		for i, m := range maps {
			if m.Rank() != 4 {
				exceptions.Panicf("eval.Grid: feature map %d is %s, want [N, h, w, C]", i+1, m.Shape())
			}
			if side == 1 {
				out[i] = nn.Pool(m)
				continue
			}
			m = poolAxis(m, 1, side)
			m = poolAxis(m, 2, side)
			out[i] = Reshape(m, m.Shape().Dim(0), -1)
		}
		return out
	}
}

// poolAxis averages a spatial axis of m [N, h, w, C] down to n cells: cell i is [floor(i*size/n), ceil((i+1)*size/n)).
func poolAxis(m *Node, axis, n int) *Node {
	size := m.Shape().Dim(axis)
	if n == 0 || n >= size {
		return m
	}
	cells := make([]*Node, n)
	for i := range cells {
		cell := SliceAxis(m, axis, AxisRange(i*size/n, ((i+1)*size+n-1)/n))
		cells[i] = ReduceAndKeep(cell, ReduceMean, axis)
	}
	return Concatenate(cells, axis)
}

// validate says what in a set cannot be learnt from or measured.
func (s Set) validate(name string, classes int) error {
	if len(s.Features) == 0 {
		return fmt.Errorf("eval: the %s set is empty", name)
	}
	if err := checkFeatures(s.Features); err != nil {
		return fmt.Errorf("eval: %s set: %w", name, err)
	}
	if s.Groups != nil && len(s.Groups) != len(s.Features) {
		return fmt.Errorf("eval: the %s set has %d examples but groups of %d", name, len(s.Features), len(s.Groups))
	}
	return checkLabels(name, s.Labels, len(s.Features), classes)
}

func checkLabels(name string, labels []int32, n, classes int) error {
	if classes < 2 {
		return fmt.Errorf("eval: %d classes, want at least 2", classes)
	}
	if len(labels) != n {
		return fmt.Errorf("eval: the %s set has %d examples but %d labels", name, n, len(labels))
	}
	for i, l := range labels {
		if l < 0 || int(l) >= classes {
			return fmt.Errorf("eval: %s label %d is %d, want 0 to %d; leave examples without a label out", name, i, l, classes-1)
		}
	}
	return nil
}

func checkFeatures(x [][]float32) error {
	for i, row := range x {
		if len(row) == 0 || len(row) != len(x[0]) {
			return fmt.Errorf("features of example %d have %d dimensions, those of example 0 have %d", i, len(row), len(x[0]))
		}
		for _, v := range row {
			if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
				return fmt.Errorf("features of example %d are not finite (%g): the encoder has diverged; load an earlier checkpoint, or lower the learning rate", i, v)
			}
		}
	}
	return nil
}

// checkPair says why a probe of the two sets makes no sense.
func checkPair(train, test Set, classes int) error {
	if err := train.validate("training", classes); err != nil {
		return err
	}
	if err := test.validate("test", classes); err != nil {
		return err
	}
	if a, b := len(train.Features[0]), len(test.Features[0]); a != b {
		return fmt.Errorf("eval: training features have %d dimensions, test features %d", a, b)
	}
	return nil
}

// accuracy is the fraction of predictions that are right.
func accuracy(predicted, labels []int32) float64 {
	right := 0
	for i, p := range predicted {
		if p == labels[i] {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}
