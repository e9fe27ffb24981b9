package show

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/widgets"
)

// Stability draws how alike the clusters of an epoch are to those of the one before, and to the classes (Caron et al. 2018,
// Fig. 2).
func Stability(r *runs.Record) (*widgets.Figure, error) {
	before, classes := r.History.Reports["nmi"], r.History.Figures["nmi_classes"]
	if len(before) < 2 {
		return nil, fmt.Errorf("show: %s has no two epochs of clusters to compare", sslkit.TitleOf(r.Config.Method))
	}
	c := widgets.Curves{XLabel: "epoch", YLabel: "normalised mutual information", YRange: [2]float64{0, 1},
		Note: fmt.Sprintf("%v, %s, seed %d", sslkit.TitleOf(r.Config.Method), r.Config.Data.Name, r.Config.Seed)}
	line := widgets.Series{Name: "with the clusters before", Role: widgets.Blue}
	for epoch := 1; epoch < len(before); epoch++ {
		line.X, line.Y = append(line.X, float64(epoch+1)), append(line.Y, before[epoch])
	}
	c.Series = append(c.Series, line)
	if len(classes) > 0 {
		c.Series = append(c.Series, widgets.Series{Name: "with the classes", Y: classes})
	}
	return c.Figure()
}

// Entropy draws how evenly SwAV uses its prototypes and how much its codes say, beside ln K: the use of all prototypes is near
// it in a good run, and the codes of one that has collapsed are.
func Entropy(r *runs.Record) (*widgets.Figure, error) {
	m, err := methodOf[*sslkit.SwAV](r.Config, "codes are made by swav")
	if err != nil {
		return nil, err
	}
	lnK := math.Log(float64(m.Prototypes))
	return widgets.Curves{XLabel: "epoch", YLabel: "nats", YRange: [2]float64{0, lnK},
		Note:   fmt.Sprintf("%s, %s, seed %d, K = %d", sslkit.TitleOf(r.Config.Method), r.Config.Data.Name, r.Config.Seed, m.Prototypes),
		Guides: []widgets.Guide{{Name: "ln K", Y: lnK}},
		Series: []widgets.Series{{Name: "loss", Role: widgets.Blue, Y: r.History.Loss},
			{Name: "entropy of the use", Y: r.History.Reports["entropy"]}, {Name: "entropy of a code", Y: r.History.Reports["code_entropy"]}}}.Figure()
}

// groups returns what training images there are and to which of k groups each belongs: a [sslkit.Clusterer]'s clusters of
// the last epoch, or a [sslkit.Prototyped]'s nearest prototypes. -1 is none.
func groups(ctx context.Context, s *runs.Store, c sslkit.Config) (src data.Source, group []int32, k int, err error) {
	trained, err := s.Trained(ctx, c)
	if err != nil {
		return nil, nil, 0, err
	}
	src = trained.Train
	switch m := c.Method.(type) {
	case sslkit.Clusterer:
		group = m.Labels(trained.Store)[:src.Len()]
		return src, group, int(slices.Max(group)) + 1, nil
	case sslkit.Prototyped:
		err = calls(ctx, trained, src, src.Len(), func(scope *model.Scope, image *Node) []*Node {
			scores := m.Scores(scope, image) // NxK
			k = scores.Shape().Dim(1)
			return []*Node{ArgMax(scores, -1)}
		}, func(out []*tensors.Tensor) error {
			group = append(group, tensors.MustCopyFlatData[int32](out[0])...)
			return nil
		})
		return src, group, k, err
	}
	return nil, nil, 0, fmt.Errorf("show: %s makes no groups of images", sslkit.TitleOf(c.Method))
}

// Sizes draws how many training images each group of c's DeepCluster or SwAV holds, the largest first, and how many of
// them are of the commonest class.
func Sizes(ctx context.Context, s *runs.Store, c sslkit.Config) (*widgets.Figure, error) {
	src, group, k, err := groups(ctx, s, c)
	if err != nil {
		return nil, err
	}
	all := widgets.Series{Name: "images", Role: widgets.Blue}
	pure := widgets.Series{Name: "of the commonest class"}
	right, empty := 0, 0
	for _, g := range ordered(src, group, k) {
		all.Y, pure.Y = append(all.Y, float64(len(g.index))), append(pure.Y, float64(g.common))
		right += g.common
		if len(g.index) == 0 {
			empty++
		}
	}
	return widgets.Curves{XLabel: "group, by size", YLabel: "training images", Series: []widgets.Series{all, pure},
		Note: fmt.Sprintf("%v, %s, seed %d: %d groups, %d empty; %.1f %% of the images are of their group's commonest class",
			sslkit.TitleOf(c.Method), c.Data.Name, c.Seed, k, empty, 100*float64(right)/float64(len(group)))}.Figure()
}

// member is a group of images.
type member struct {
	index  []int
	common int // of the commonest class
	class  int32
}

// ordered returns the groups, the largest first.
func ordered(src data.Source, group []int32, k int) []member {
	out, counts := make([]member, k), make([]map[int32]int, k)
	for i, g := range group {
		if g < 0 {
			continue
		}
		m := &out[g]
		m.index = append(m.index, i)
		if counts[g] == nil {
			counts[g] = make(map[int32]int)
		}
		label := src.Label(i)
		if counts[g][label]++; counts[g][label] > m.common {
			m.common, m.class = counts[g][label], label
		}
	}
	slices.SortStableFunc(out, func(a, b member) int { return cmp.Compare(len(b.index), len(a.index)) })
	return out
}

// Groups draws what so many groups of c's DeepCluster or SwAV hold, from the largest to the smaller ones in even steps: their
// first training images, and beside them their size and the share of the commonest class.
func Groups(ctx context.Context, s *runs.Store, c sslkit.Config, n int) (*widgets.Figure, error) {
	src, group, k, err := groups(ctx, s, c)
	if err != nil {
		return nil, err
	}
	const shown = 12
	g := widgets.Gallery{Size: 40, Note: fmt.Sprintf("%v, %s, seed %d: training images of %d of the groups", sslkit.TitleOf(c.Method), c.Data.Name, c.Seed, n)}
	all := slices.DeleteFunc(ordered(src, group, k), func(m member) bool { return len(m.index) < shown })
	for i := range min(n, len(all)) {
		m := all[i*len(all)/min(n, len(all))]
		images, _, err := read(src, m.index[:shown])
		if err != nil {
			return nil, err
		}
		name := fmt.Sprintf("%d", len(m.index))
		if m.class >= 0 {
			name = fmt.Sprintf("%d, %.0f %% %s", len(m.index), 100*float64(m.common)/float64(len(m.index)), src.Classes()[m.class])
		}
		g.Images, g.Rows = append(g.Images, images), append(g.Rows, name)
	}
	return g.Figure()
}

// Codes draws which of SwAV's prototypes the images of each class of src are nearest to: the most used ones, ordered by the class
// that uses them most.
func Codes(ctx context.Context, s *runs.Store, c sslkit.Config) (*widgets.Figure, error) {
	src, group, k, err := groups(ctx, s, c)
	if err != nil {
		return nil, err
	}
	const shown = 16
	all := slices.DeleteFunc(ordered(src, group, k), func(m member) bool { return len(m.index) == 0 })
	all = all[:min(shown, len(all))]
	slices.SortStableFunc(all, func(a, b member) int { return cmp.Compare(a.class, b.class) })
	h := widgets.Heatmap{Rows: src.Classes(), RowLabel: "class", ColLabel: "prototype, of the most used",
		Note: fmt.Sprintf("%s, training images, seed %d: %% of each class nearest to a prototype", c.Data.Name, c.Seed), Values: make([][]float64, len(src.Classes()))}
	total := make([]float64, len(src.Classes()))
	for _, label := range data.Labels(src) {
		total[label]++
	}
	for i, m := range all {
		h.Cols = append(h.Cols, fmt.Sprint(i+1))
		for row := range h.Values {
			h.Values[row] = append(h.Values[row], 0)
		}
		for _, at := range m.index {
			label := src.Label(at)
			h.Values[label][i] += 100 / total[label]
		}
	}
	return h.Figure()
}
