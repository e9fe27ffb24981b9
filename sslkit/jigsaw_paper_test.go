package sslkit

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

func TestJigsawValidate(t *testing.T) {
	if err := CFN(nn.ResNet(8, 4)).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, func() *Jigsaw { return CFN(nn.ResNet(8, 4)) }, map[string]func(*Jigsaw){
		"2 to 10000":       func(m *Jigsaw) { m.Permutations = 1 },
		"0 to 9 apart":     func(m *Jigsaw) { m.Distance = 10 },
		"at least 1":       func(m *Jigsaw) { m.Puzzles = 0 },
		"share of a cell":  func(m *Jigsaw) { m.Gap = 1 },
		"share of the gap": func(m *Jigsaw) { m.Jitter = -0.1 },
		"hidden units":     func(m *Jigsaw) { m.Hidden = 0 },
		"tower of -1":      func(m *Jigsaw) { m.Tower = -1 },
		"guarded by":       func(m *Jigsaw) { m.Guards.Colors = "grey" },
		"downsample":       func(m *Jigsaw) { m.Guards.Downsample = 2 },
		"6n+2":             func(m *Jigsaw) { m.Backbone.Depth = 9 },
	})
}

// panics wants f, which builds a graph on images of side s, to panic with an error that says want.
func panics(t *testing.T, want string, h, w int, f func(scope *model.Scope, x *Node)) {
	t.Helper()
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGraph(goBackend(t), "panics")
	defer g.Finalize()
	caught := exceptions.TryCatch[error](func() {
		f(store.RootScope(), Parameter(g, "x", shapes.Make(dtypes.Float32, 2, h, w, 1)))
	})
	if caught == nil || !strings.Contains(caught.Error(), want) {
		t.Errorf("%dx%d: want a panic with an error that says %q, got %v", h, w, want, caught)
	}
}

func TestJigsawRejectsImages(t *testing.T) {
	tiles := func(scope *model.Scope, x *Node) { CFN(nn.ResNet(8, 4)).Tiles(scope, x) }
	panics(t, "square images", 28, 32, tiles)
	panics(t, "at least 4 pixels", 14, 14, tiles) // cells of 4, a gap of 1
}

// "We select the 64x64 pixel tiles randomly from the 85x85 pixel cells. This allows us to have a 21 pixel gap between
// tiles." On average: it is 0 to 42. Reference: Noroozi & Favaro 2016, "Preventing Shortcuts", Table 5.
func TestPaperJigsawTiles(t *testing.T) {
	for _, c := range []struct {
		s, cell, tile int
		gap, jitter   float64
		least, most   int // shifts within a cell
	}{
		{255, 85, 64, 21. / 85, 1, 0, 21},
		{64, 21, 16, 21. / 85, 1, 0, 5},
		{28, 9, 7, 21. / 85, 1, 0, 2},
		{29, 9, 7, 21. / 85, 0, 1, 1}, // the middle
		{30, 10, 6, 0.4, 0.5, 1, 3},
		{27, 9, 9, 0, 1, 0, 0},
	} {
		m := CFN(nn.ResNet(8, 4))
		m.Gap, m.Jitter = c.gap, c.jitter
		const n = 20
		tiles := ask(t, 1, places(n, c.s), func(scope *model.Scope, x *Node) []*Node { return []*Node{m.Tiles(scope, x)} })[0]
		size, corner := corners(t, tiles, c.s)
		if size != c.tile || len(corner) != n*nine {
			t.Fatalf("%+v: %d tiles of %d pixels", c, len(corner), size)
		}
		least, most := c.s, 0
		for i, at := range corner {
			for axis, cell := range []int{i % nine / 3, i % 3} {
				shift := at[axis] - c.s%3/2 - cell*c.cell
				least, most = min(least, shift), max(most, shift)
			}
		}
		// 360 shifts of up to 22 values: one of the ends is missed with probability 2e-7.
		if least != c.least || most != c.most {
			t.Errorf("%+v: shifts %d to %d", c, least, most)
		}
	}
}

// A tower sees one tile, so features are shuffled as tiles are; and batch norm, in training, sees the same set.
func TestJigsawShufflesTiles(t *testing.T) {
	m := CFN(nn.ResNet(8, 2))
	m.Permutations = 6
	rnd := rand.New(rand.NewPCG(5, 6))
	pixels := make([]float32, 2*nine*8*8)
	for i := range pixels {
		pixels[i] = rnd.Float32()
	}
	tiles := tensors.FromFlatDataAndDimensions(pixels, 2*nine, 8, 8, 1)
	y := []int32{4, 1}
	out := ask(t, 1, tiles, func(scope *model.Scope, tiles *Node) []*Node {
		scope.Store().SetTraining(tiles.Graph(), true)
		p := m.permutations(Const(tiles.Graph(), y), false)
		before := shuffle(nn.Pool(nn.Last(m.Encode(scope, tiles))), p)
		puzzle := Reshape(shuffle(tiles, p), 2*nine, 8, 8, 1)
		after := nn.Pool(nn.Last(m.Encode(scope.Store().RootScope(), puzzle)))
		return []*Node{p, Reshape(before, 2*nine, -1), after}
	})
	set := Permutations(6, m.Distance, m.Seed)
	for i, row := range out[0].Value().([][]int32) {
		for k, tile := range row {
			if int(tile) != set[y[i]][k] {
				t.Fatalf("puzzle %d is %v, want %v", i, row, set[y[i]])
			}
		}
	}
	a, b := out[1].Value().([][]float32), out[2].Value().([][]float32)
	for i := range a {
		for k := range a[i] {
			if d := a[i][k] - b[i][k]; d > 1e-5 || d < -1e-5 { // sums of batch norm in another order
				t.Fatalf("tile %d: %v before, %v after the tower", i, a[i], b[i])
			}
		}
	}
}

// Several puzzles of each image come image by image, once and again.
func TestShuffleSeveralTimes(t *testing.T) {
	const n, k = 2, 3
	numbers := make([]float32, n*nine)
	for i := range numbers {
		numbers[i] = float32(i)
	}
	set := Permutations(n*k, 9, 1)
	out := ask(t, 1, tensors.FromFlatDataAndDimensions(numbers, n*nine, 1), func(_ *model.Scope, tiles *Node) []*Node {
		var flat []int32
		for _, p := range set {
			for _, tile := range p {
				flat = append(flat, int32(tile))
			}
		}
		return []*Node{Reshape(shuffle(tiles, Reshape(Const(tiles.Graph(), flat), n*k, nine)), n*k, nine)}
	})
	for i, row := range out[0].Value().([][]float32) {
		for place, tile := range row {
			if want := float32(i%n*nine + set[i][place]); tile != want {
				t.Errorf("puzzle %d: tile %g at %d, want %g", i, tile, place, want)
			}
		}
	}
	several := puzzles()
	several.Puzzles = 3
	ask(t, 1, places(2, 28), func(scope *model.Scope, x *Node) []*Node {
		scope.Store().SetTraining(x.Graph(), true)
		return []*Node{several.Loss(scope, Batch{Image: x})}
	})
}

// Solve's pictures show the tiles where the drawn permutation puts them, and then where the guessed one has them from.
func TestJigsawSolve(t *testing.T) {
	const n, s, tile = 8, 15, 5
	m := CFN(nn.ResNet(8, 2))
	m.Permutations, m.Gap = 6, 0
	pixels := make([]uint8, 0, n*s*s) // each tile has the colour of its number
	for range n {
		for i := range s * s {
			pixels = append(pixels, uint8(i/s/tile*3+i%s/tile))
		}
	}
	out := ask(t, 3, tensors.FromFlatDataAndDimensions(pixels, n, s, s, 1), func(scope *model.Scope, x *Node) []*Node {
		before, after, drawn, guess := m.Solve(scope, x)
		return []*Node{before, after, drawn, guess}
	})
	set := Permutations(6, m.Distance, m.Seed)
	look := func(pictures *tensors.Tensor) [][]int {
		var shown [][]int
		for _, p := range pictures.Value().([][][][]float32) {
			if len(p) != s+2 || p[tile][0][0] != 1 || p[0][2*tile+1][0] != 1 {
				t.Fatalf("picture of %d rows without lines between the tiles", len(p))
			}
			var tiles []int
			for i := range nine {
				tiles = append(tiles, int(p[i/3*(tile+1)][i%3*(tile+1)][0]*255+0.5))
			}
			shown = append(shown, tiles)
		}
		return shown
	}
	before, after := look(out[0]), look(out[1])
	drawn, guess := out[2].Value().([]int32), out[3].Value().([]int32)
	for i := range n {
		if !slices.Equal(before[i], set[drawn[i]]) {
			t.Errorf("puzzle %d shows %v, want %v", i, before[i], set[drawn[i]])
		}
		for place, tile := range before[i] {
			if to := set[guess[i]][place]; after[i][to] != tile {
				t.Errorf("puzzle %d: tile %d of place %d does not go to %d but %v", i, tile, place, to, after[i])
			}
		}
	}
}

// puzzles is a small jigsaw: chance is 1/8.
func puzzles() *Jigsaw {
	m := CFN(nn.ResNet(8, 4))
	m.Permutations, m.Hidden = 8, 32
	return m
}

// marked makes a mistake: its tiles carry their place in the image, as a brightness.
type marked struct{ *Jigsaw }

func (m marked) Loss(scope *model.Scope, b Batch) *Node {
	tiles := m.Guards.Apply(scope, m.Tiles(scope, b.Image))
	place := Reshape(Iota(tiles.Graph(), shapes.Make(tiles.DType(), tiles.Shape().Dim(0)/nine, nine), 1), -1, 1, 1, 1)
	tiles = Add(tiles, MulScalar(place, 0.05))
	y := m.draw(scope, tiles, 1)
	logits := m.tell(scope, tiles, y)
	Report("accuracy", loss.Accuracy(logits, y))
	return loss.CrossEntropy(logits, y)
}

// mismatched makes a mistake: it shuffles by other permutations than it asks for.
type mismatched struct{ *Jigsaw }

func (m mismatched) Loss(scope *model.Scope, b Batch) *Node {
	tiles := m.Guards.Apply(scope, m.Tiles(scope, b.Image))
	y := m.draw(scope, tiles, 1)
	logits := m.tell(scope, tiles, m.draw(scope, tiles, 1))
	Report("accuracy", loss.Accuracy(logits, y))
	return loss.CrossEntropy(logits, y)
}

// "Adjacent patches include similar low-level statistics like the mean and standard deviation of the pixel intensities.
// This allows the model to find the arrangement of the patches. To avoid this shortcut, we normalize the mean and the
// standard deviation of each patch independently." Reference: Noroozi & Favaro 2016, "Preventing Shortcuts", Table 5.
func TestPaperJigsawShortcuts(t *testing.T) {
	const tolerance = 0.07 // 400 puzzles an epoch: chance, 0.125, varies by 0.017
	sloping := fresh{25, 16, 24, 1, slope}
	if got := learnt(t, puzzles(), sloping, 2); got > 0.125+tolerance {
		t.Errorf("accuracy %.3f on noise that gets brighter, chance is 0.125", got)
	}
	bright := puzzles()
	bright.Guards.Normalize = false
	if got := learnt(t, bright, sloping, 2); got < 0.5 {
		t.Errorf("accuracy %.3f without normalisation: this test would not notice a trace of brightness", got)
	}
	noise := fresh{25, 16, 24, 1, grain}
	if got := learnt(t, marked{puzzles()}, noise, 2); got < 0.5 {
		t.Errorf("accuracy %.3f with marked tiles: this test would not notice a leak", got)
	}
	if got := learnt(t, mismatched{bright}, sloping, 2); got > 0.125+tolerance {
		t.Errorf("accuracy %.3f on labels that belong to other permutations, chance is 0.125", got)
	}
}

// The training set is of grey and of coloured images, 30 to 70 (a paraphrase): of an image made grey, the three channels count by
// their luminance, and by nothing else. So the gradients of a network that saw only grey are to each other as the weights of red,
// green and blue.
//
// Reference: Noroozi & Favaro 2016, "Preventing Shortcuts". (The authors' code makes no image grey.)
func TestJigsawGray(t *testing.T) {
	ratio := func(gray float64) (off float64) {
		m := CFN(nn.ResNet(8, 4))
		m.Permutations, m.Gray = 4, gray
		store, err := NewStore(1)
		if err != nil {
			t.Fatal(err)
		}
		rnd := rand.New(rand.NewPCG(1, 2))
		pixels := make([]float32, 2*24*24*3)
		for i := range pixels {
			pixels[i] = rnd.Float32()
		}
		out, err := model.CallOnce(goBackend(t), store, func(scope *model.Scope, x *Node) *Node {
			return Gradient(m.Loss(scope, Batch{Image: x}), x)[0]
		}, tensors.FromFlatDataAndDimensions(pixels, 2, 24, 24, 3))
		if err != nil {
			t.Fatal(err)
		}
		g := tensors.MustCopyFlatData[float32](out)
		for i := 0; i < len(g); i += 3 {
			off = max(off, math.Abs(float64(g[i])/0.2989-float64(g[i+1])/0.587)) // torchvision's weights
		}
		return off
	}
	if off := ratio(1); off > 1e-4 { // rounding
		t.Errorf("all images grey: the channels' gradients differ by %g", off)
	}
	if off := ratio(0); off < 1e-3 {
		t.Errorf("none grey: the channels' gradients differ by %g only", off)
	}
}
