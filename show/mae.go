package show

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/sslkit/view"
	"github.com/sslkit/lab/widgets"
)

// Painted draws examples of src: whole, as c's masked autoencoder sees them, and as it paints them (He et al. 2022, Fig. 2).
// There is one frame for each share of hidden patches; what one hides, those that hide more hide too. See
// [sslkit.MAE.Reconstruct] for the brightness and the contrast of what is painted.
func Painted(ctx context.Context, s *runs.Store, c sslkit.Config, src data.Source, masks []float64, index ...int) (widgets.Frames, error) {
	f := widgets.Frames{Label: "hidden"}
	images, names, err := read(src, index)
	if err != nil {
		return f, err
	}
	trained, m, err := trained[*sslkit.MAE](ctx, s, c, "hidden patches are painted by mae")
	if err != nil {
		return f, err
	}
	patches := (images[0].H / m.Backbone.Patch) * (images[0].W / m.Backbone.Patch)
	order, rnd := make([][]int32, len(images)), rand.New(rand.NewPCG(uint64(c.Seed), 0))
	for i := range order {
		for _, patch := range rnd.Perm(patches) {
			order[i] = append(order[i], int32(patch))
		}
	}
	about := "targets are pixels, and so is what is painted"
	if m.Normalize {
		about = "brightness and contrast of painted patches are guessed from visible ones near by, not taken from the image"
	}
	for i, mask := range masks {
		masked, painted, err := paint(trained, m, images, order, mask)
		if err != nil {
			return f, err
		}
		g := widgets.Gallery{Rows: []string{"image", "seen", "painted"}, Cols: names, Images: [][]widgets.Image{images, masked, painted}, Size: 84,
			Note: fmt.Sprintf("%s, %d of %d patches hidden, trained with %g %% for %d epochs; %s",
				c.Data.Name, view.Hidden(patches, mask), patches, 100*m.Mask, c.Epochs, about)}
		figure, err := g.Figure()
		if err != nil {
			return f, err
		}
		if mask == m.Mask {
			f.At = i
		}
		f.Names, f.Figures = append(f.Names, fmt.Sprintf("%g %%", 100*mask)), append(f.Figures, figure)
	}
	return f, nil
}

// paint hides a share mask of the patches, those last in order [N][L].
func paint(t *runs.Job, m *sslkit.MAE, images []widgets.Image, order [][]int32, mask float64) (masked, painted []widgets.Image, err error) {
	exec, err := model.NewExec(t.Backend, t.Store, func(scope *model.Scope, x, order *Node) []*Node {
		masked, painted := m.Reconstruct(scope, x, order, mask)
		return []*Node{masked, painted}
	})
	if err != nil {
		return nil, nil, fmt.Errorf("show: painting: %w", err)
	}
	defer exec.Finalize()
	out, err := exec.Call(batchOf(images), order)
	if err != nil {
		return nil, nil, fmt.Errorf("show: painting: %w", err)
	}
	if masked, err = imagesOf(out[0]); err != nil {
		return nil, nil, err
	}
	painted, err = imagesOf(out[1])
	return masked, painted, err
}

// Explained draws, over the epochs, how much of the variance of the hidden patches each masked autoencoder explains.
func Explained(ctx context.Context, s *runs.Store, variants ...study.Variant) (*widgets.Figure, error) {
	c := widgets.Curves{XLabel: "epoch", YLabel: "variance explained, %"}
	for _, v := range variants {
		r, err := s.Pretrain(ctx, v.Config)
		if err != nil {
			return nil, err
		}
		y := r.History.Reports["explained"]
		if len(y) == 0 {
			return nil, fmt.Errorf("show: %s paints no patches", sslkit.TitleOf(v.Config.Method))
		}
		c.Series = append(c.Series, widgets.Series{Name: v.Name, Y: percents(y)})
		c.Note = fmt.Sprintf("%s, seed %d; of hidden patches of training images, mean over the epoch", v.Config.Data.Name, v.Config.Seed)
	}
	return c.Figure()
}

// StepTime draws how long a training step of each variant, a masked autoencoder, takes beside one of the first, and beside it
// how many multiplications it has, which no machine changes. The variants take their steps on src in turns, so that what slows
// the machine slows all of them; each is compared with the first within a turn, the median of the turns is drawn, and half
// the distance of the quartiles as spread. The first two turns, which compile and warm up, are left out.
func StepTime(ctx context.Context, src data.Source, turns int, variants ...study.Variant) (*widgets.Figure, error) {
	if turns < 1 || len(variants) == 0 {
		return nil, fmt.Errorf("show: %d turns of %d variants: give at least one of each", turns, len(variants))
	}
	backend, choice, err := pjrt.Open()
	if err != nil {
		return nil, err
	}
	h, _, channels := src.Shape()
	b := widgets.Bars{YLabel: "% of the first"}
	measured, counted := widgets.Series{Name: "time of a step", Role: widgets.Blue}, widgets.Series{Name: "its multiplications, counted"}
	var step []func() (error, bool)
	for _, v := range variants {
		m, ok := v.Config.Method.(*sslkit.MAE)
		if !ok {
			return nil, fmt.Errorf("show: only mae hides patches, not %s", sslkit.TitleOf(v.Config.Method))
		}
		if err := v.Config.Validate(); err != nil {
			return nil, err
		}
		loader, err := data.Batches(src, data.Options{Batch: v.Config.Batch, Seed: v.Config.Seed, Shuffle: true})
		if err != nil {
			return nil, err
		}
		next, stop := iter.Pull(endless(ctx, &sslkit.Run{Method: m, Backend: backend, Train: loader, Seed: v.Config.Seed,
			Epochs: 1 << 20, Optimizer: optim.AdamW{Rate: optim.Constant(1e-4)}}))
		defer stop()
		step = append(step, next)
		b.Groups = append(b.Groups, v.Name)
		grid := h / m.Backbone.Patch
		counted.Y = append(counted.Y, multiplications(m, grid*grid, m.Backbone.Patch*m.Backbone.Patch*channels))
	}
	const warm = 2
	seconds := make([][]float64, turns) // [turn][variant]
	for turn := range warm + turns {
		for _, next := range step {
			began := time.Now()
			if err, _ := next(); err != nil {
				return nil, err
			}
			if turn >= warm {
				seconds[turn-warm] = append(seconds[turn-warm], time.Since(began).Seconds())
			}
		}
	}
	measured.Y, measured.Err = relative(seconds)
	first := counted.Y[0]
	for i := range counted.Y {
		counted.Y[i] *= 100 / first
	}
	slices.SortFunc(seconds, func(a, b []float64) int { return cmp.Compare(a[0], b[0]) })
	b.Series, b.Reference = []widgets.Series{measured}, counted
	b.Note = fmt.Sprintf("%s, batches of %d, on %s; median of %d steps, taken in turns; 100 %% are %.0f ms here",
		src.Name(), variants[0].Config.Batch, choice.Kind, turns, 1000*seconds[turns/2][0])
	return b.Figure()
}

// endless yields after each step of a run, at last the error that ended it.
func endless(ctx context.Context, r *sslkit.Run) iter.Seq[error] {
	return func(yield func(error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		going := true
		r.Progress = func(sslkit.Progress) {
			if ctx.Err() != nil {
				return
			}
			if going = yield(nil); !going {
				cancel()
			}
		}
		if _, err := r.Pretrain(ctx); going {
			yield(err)
		}
	}
}

// relative returns the median over the turns [turn][variant] of each variant's time as a percentage of the first's, and half
// the distance of the quartiles.
func relative(seconds [][]float64) (median, spread []float64) {
	n := len(seconds)
	for i := range seconds[0] {
		var ratios []float64
		for _, turn := range seconds {
			ratios = append(ratios, 100*turn[i]/turn[0])
		}
		slices.Sort(ratios)
		median = append(median, (ratios[(n-1)/2]+ratios[n/2])/2)
		spread = append(spread, (ratios[n-1-n/4]-ratios[n/4])/2)
	}
	return median, spread
}

// multiplications counts those of a forward pass on one image of l patches, each of so many values. A backward pass has about
// twice as many.
func multiplications(m *sslkit.MAE, l, values int) float64 {
	// Queries, keys, values and output are 4d^2 a token, the MLP 8d^2; scores and the mean they weight are nd each.
	blocks := func(depth, n, d int) int { return depth * (12*n*d*d + 2*n*n*d) }
	d, w, visible := m.Backbone.Width, m.DecoderWidth, l-view.Hidden(l, m.Mask)
	seen := visible
	if m.MaskTokens {
		seen = l
	}
	return float64(visible*values*d + blocks(m.Backbone.Depth, seen, d) + seen*d*w + blocks(m.DecoderDepth, l, w) + l*w*values)
}
