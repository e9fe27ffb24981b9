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
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/sslkit/view"
	"github.com/sslkit/lab/widgets"
)

// sides are the names of what [sslkit.ContextPrediction.Pairs] numbers.
var sides = []string{"above left", "above", "above right", "left", "right", "below left", "below", "below right"}

// held is how many test images a task is held against.
const held = 1000

// Confusion draws on which side of a patch c's context prediction sees another, in test images: a row for each side on which
// it lies.
func Confusion(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source) (*widgets.Figure, error) {
	trained, m, err := trained[*sslkit.ContextPrediction](ctx, s, c, "sides are told by context")
	if err != nil {
		return nil, err
	}
	counts := make([][]float64, len(sides))
	for i := range counts {
		counts[i] = make([]float64, len(sides))
	}
	right, all := 0, 0
	err = calls(ctx, trained, src, held, func(scope *model.Scope, image *Node) []*Node {
		_, _, side, guess := m.Predict(scope, image)
		return []*Node{side, guess}
	}, func(out []*tensors.Tensor) error {
		side, guess := tensors.MustCopyFlatData[int32](out[0]), tensors.MustCopyFlatData[int32](out[1])
		for i := range side {
			counts[side[i]][guess[i]]++
			all++
			if side[i] == guess[i] {
				right++
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, row := range counts {
		sum := 0.0
		for _, n := range row {
			sum += n
		}
		for k := range row {
			row[k] *= 100 / max(sum, 1)
		}
	}
	return widgets.Heatmap{Rows: sides, Cols: sides, RowLabel: "it lies", ColLabel: "it is said to lie", Values: counts,
		Note: fmt.Sprintf("%s, %d test images, seed %d: %% of each row; %.1f %% right, 12.5 by guessing", c.Data.Name, all, c.Seed, 100*float64(right)/float64(all))}.Figure()
}

// PatchNeighbours draws for a few patches of src, cut as the context prediction of the first variant does, the nearest ones
// of other images: a row for each encoder. Nearness is the cosine of pooled features.
func PatchNeighbours(ctx context.Context, s *runs.Store, src data.Source, variants ...study.Variant) (*widgets.Figure, error) {
	var cutter *sslkit.ContextPrediction
	if len(variants) > 0 {
		cutter, _ = variants[0].Config.Method.(*sslkit.ContextPrediction)
	}
	if cutter == nil {
		return nil, fmt.Errorf("show: the first encoder must be one of context, which says how patches are cut")
	}
	const each, queries, found = 8, 4, 8
	var index []int
	for i := range min(src.Len(), 100) {
		index = append(index, i)
	}
	images, _, err := read(src, index)
	if err != nil {
		return nil, err
	}
	backend, _, err := pjrt.Open()
	if err != nil {
		return nil, err
	}
	store, err := sslkit.NewStore(1)
	if err != nil {
		return nil, err
	}
	cut, err := model.CallOnce(backend, store, func(scope *model.Scope, x *Node) *Node {
		patches, _ := cutter.Pairs(scope, Concatenate(slices.Repeat([]*Node{x}, each/2), 0))
		return patches
	}, batchOf(images))
	if err != nil {
		return nil, fmt.Errorf("show: cutting patches: %w", err)
	}
	patches, err := imagesOf(cut)
	if err != nil {
		return nil, err
	}
	image := func(patch int) int { return patch / 2 % len(images) }
	g := widgets.Gallery{Cols: []string{"patch"}, Size: 48, Note: src.Name() + ": the nearest patches of other images"}
	for k := range found {
		g.Cols = append(g.Cols, fmt.Sprint(k+1))
	}
	features := make([][][]float32, len(variants))
	for i, v := range variants {
		m, err := s.Trained(ctx, v.Config)
		if err != nil {
			return nil, err
		}
		out, err := model.CallOnce(m.Backend, m.Store, func(scope *model.Scope, x *Node) *Node {
			return L2Normalize(nn.Pool(nn.Last(m.Method.Encode(scope, view.Standardize(x)))), -1)
		}, cut)
		if err != nil {
			return nil, fmt.Errorf("show: encoding patches: %w", err)
		}
		features[i] = out.Value().([][]float32)
	}
	for q := range queries {
		query := 2*(q*len(images)/queries) + 1
		for i, v := range variants {
			near := make([]int, 0, len(patches))
			for k := range patches {
				if image(k) != image(query) {
					near = append(near, k)
				}
			}
			cosine := func(k int) (sum float64) {
				for d, f := range features[i][query] {
					sum += float64(f) * float64(features[i][k][d])
				}
				return sum
			}
			slices.SortStableFunc(near, func(a, b int) int { return cmp.Compare(cosine(b), cosine(a)) })
			row := []widgets.Image{patches[query]}
			for _, k := range near[:min(found, len(near))] {
				row = append(row, patches[k])
			}
			g.Images, g.Rows = append(g.Images, row), append(g.Rows, v.Name)
		}
	}
	return g.Figure()
}

// Aberrated draws examples of src as they are and with the lens error of view.ChromaticAberration planted, of each strength.
func Aberrated(src data.Source, strengths []float64, index ...int) (*widgets.Figure, error) {
	images, names, err := read(src, index)
	if err != nil {
		return nil, err
	}
	g := widgets.Gallery{Rows: names, Images: make([][]widgets.Image, len(images)), Size: 144}
	for _, strength := range strengths {
		planted, err := drawn("planting the aberration", images, func(x *Node) *Node { return view.ChromaticAberration(x, strength) })
		if err != nil {
			return nil, err
		}
		g.Cols = append(g.Cols, fmt.Sprintf("strength %g", strength))
		for i := range images {
			g.Images[i] = append(g.Images[i], planted[i])
		}
	}
	return g.Figure()
}

// Aberration draws how far from a patch's place in test images each variant of position puts it, over the seeds.
func Aberration(ctx context.Context, s *runs.Store, src data.Source, variants []study.Variant, seeds ...int64) (*widgets.Figure, error) {
	off := widgets.Series{Name: "error of the place", Role: widgets.Vermillion}
	b := widgets.Bars{YLabel: "distance, 1 is the image's side", Guides: []widgets.Guide{{Name: "always the centre", Y: 1 / math.Sqrt(6)}}}
	for _, v := range variants {
		var errors []float64
		for _, seed := range seeds {
			c := v.Config
			c.Seed = seed
			trained, m, err := trained[*sslkit.PatchPosition](ctx, s, c, "places are told by position")
			if err != nil {
				return nil, err
			}
			sum, n := 0.0, 0
			err = calls(ctx, trained, src, held, func(scope *model.Scope, image *Node) []*Node {
				_, place, guess := m.Locate(scope, image)
				return []*Node{ReduceSum(Square(Sub(guess, place)), -1)}
			}, func(out []*tensors.Tensor) error {
				for _, d2 := range tensors.MustCopyFlatData[float32](out[0]) {
					sum, n = sum+float64(d2), n+1
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
			errors = append(errors, math.Sqrt(sum/float64(n)))
		}
		spread := eval.Summarize(errors)
		b.Groups = append(b.Groups, v.Name)
		off.Y, off.Err = append(off.Y, spread.Mean), append(off.Err, spread.Std)
		b.Note = fmt.Sprintf("%s, test images: root of the mean squared distance; %s", v.Config.Data.Name, counted(seeds))
	}
	b.Series = []widgets.Series{off}
	return b.Figure()
}

// Puzzles draws examples of src, shuffled, and put right by c's jigsaw; a frame says whether they are.
func Puzzles(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source, index ...int) (*widgets.Figure, error) {
	images, _, err := read(src, index)
	if err != nil {
		return nil, err
	}
	trained, m, err := trained[*sslkit.Jigsaw](ctx, s, c, "puzzles are solved by jigsaw")
	if err != nil {
		return nil, err
	}
	g := widgets.Gallery{Rows: []string{"shuffled", "put right", "image"}, Images: make([][]widgets.Image, 3), Roles: make([][]widgets.Role, 3), Size: 96,
		Note: fmt.Sprintf("%s, test images, %d permutations, seed %d", c.Data.Name, m.Permutations, c.Seed)}
	err = calls(ctx, trained, data.Pick(src, index...), len(index), func(scope *model.Scope, image *Node) []*Node {
		before, after, drawn, guess := m.Solve(scope, image)
		return []*Node{before, after, drawn, guess}
	}, func(out []*tensors.Tensor) error {
		drawn, guess := tensors.MustCopyFlatData[int32](out[2]), tensors.MustCopyFlatData[int32](out[3])
		for row := range 2 {
			pictures, err := imagesOf(out[row])
			if err != nil {
				return err
			}
			g.Images[row] = append(g.Images[row], pictures...)
		}
		for i := range drawn {
			role := widgets.Wrong
			if drawn[i] == guess[i] {
				role = widgets.Right
			}
			g.Roles[0], g.Roles[1], g.Roles[2] = append(g.Roles[0], widgets.Auto), append(g.Roles[1], role), append(g.Roles[2], widgets.Auto)
		}
		return nil
	})
	g.Images[2] = images
	if err != nil {
		return nil, err
	}
	return g.Figure()
}

// PermutationSets is a table, in Markdown, of the permutations of each variant of jigsaw: how far apart they are, in tiles.
func PermutationSets(variants ...study.Variant) (string, error) {
	t := widgets.Table{Head: []string{"jigsaw", "permutations", "mean Hamming distance", "smallest"}}
	for _, v := range variants {
		m, err := methodOf[*sslkit.Jigsaw](v.Config, "permutations are told by jigsaw")
		if err != nil {
			return "", err
		}
		mean, least := sslkit.HammingDistances(sslkit.Permutations(m.Permutations, m.Distance, m.Seed))
		t.Rows = append(t.Rows, []string{v.Name, fmt.Sprint(m.Permutations), fmt.Sprintf("%.2f", mean), fmt.Sprint(least)})
	}
	return t.Markdown()
}
