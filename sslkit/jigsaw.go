package sslkit

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Jigsaw tells how the tiles of an image were shuffled, which takes knowing what its parts are and
// how they lie to each other.
//
// Noroozi & Favaro, "Unsupervised Learning of Visual Representations by Solving Jigsaw Puzzles", ECCV
// 2016, arXiv:1603.09246. Loss is the cross-entropy of p(S|A_1, ..., A_9), the arrangement given the
// tiles, where towers of shared weights see one tile each (the context-free network, Fig. 3).
//
// All tiles of a batch go through the tower together. Batch norm sees them as a set, which is the same
// however they are shuffled, so it leaks no order. And since a tower sees nothing but its
// tile, to shuffle the features is to shuffle the tiles.
type Jigsaw struct {
	Backbone     nn.Backbone `json:"backbone"`
	Permutations int         `json:"permutations"`    // P, of 9!; Table 4 tries up to 1000
	Distance     float64     `json:"distance"`        // mean Hamming distance wanted, see [Permutations]; 9 is Algorithm 1
	Seed         int64       `json:"seed"`            // of the permutations
	Puzzles      int         `json:"puzzles"`         // permutations of each image in a step; 1 in the authors' code
	Gap          float64     `json:"gap"`             // between tiles on average, as a share of a cell's side
	Jitter       float64     `json:"jitter"`          // share of the gap that a tile moves over; 1: anywhere in its cell
	Tower        int         `json:"tower,omitempty"` // units of fc6, which ends each tower; 0: the map's mean ends it
	Hidden       int         `json:"hidden"`          // units of fc7
	Gray         float64     `json:"gray,omitempty"`  // share of the images that are made grey
	Guards       Guards      `json:"guards"`
}

// CFN has the paper's proportions, "Preventing Shortcuts": tiles of 64 pixels anywhere in cells of 85,
// normalised, their colour channels shifted, 30 % of the images in grey; fc6 narrower than fc7
// (512 and 4096, Fig. 3; at an eighth of this width it would have 32 units, with which nothing was learnt of 2,000 scenes in three
// epochs: 4.5 % of 24 permutations told, 55.6 % with 64); and 100 permutations, as in the authors' code, which makes no image grey.
// The paper has no batch norm.
func CFN(backbone nn.Backbone) *Jigsaw {
	return &Jigsaw{Backbone: backbone, Permutations: 100, Distance: 9, Puzzles: 1, Gap: 21. / 85, Jitter: 1, Tower: 64, Hidden: 256,
		Gray: 0.3, Guards: Guards{Colors: "shift", Normalize: true}}
}

// Validate says what cannot be trained.
func (m *Jigsaw) Validate() error {
	switch {
	case m.Permutations < 2 || m.Permutations > 10000:
		return fmt.Errorf("sslkit: a jigsaw tells 2 to 10000 permutations apart, not %d", m.Permutations)
	case !(m.Distance >= 0 && m.Distance <= nine):
		return fmt.Errorf("sslkit: permutations of nine tiles are 0 to 9 apart, not %g", m.Distance)
	case m.Puzzles < 1:
		return fmt.Errorf("sslkit: %d puzzles of each image: choose at least 1", m.Puzzles)
	case !(m.Gap >= 0 && m.Gap < 1):
		return fmt.Errorf("sslkit: gap %g is no share of a cell: choose from 0 to below 1, such as 0.25", m.Gap)
	case !(m.Jitter >= 0 && m.Jitter <= 1):
		return fmt.Errorf("sslkit: jitter %g is no share of the gap: choose from 0 to 1", m.Jitter)
	case !(m.Gray >= 0 && m.Gray <= 1):
		return fmt.Errorf("sslkit: gray %g is no share of the images: choose from 0 to 1", m.Gray)
	}
	return checkPatches(m.Tower, m.Hidden, m.Guards, m.Backbone)
}

// Reports lists the accuracy on the pretext task.
func (m *Jigsaw) Reports() []string { return []string{"accuracy"} }

// Loss builds the P-way classification of shuffled images.
func (m *Jigsaw) Loss(scope *model.Scope, b Batch) *Node {
	x := b.Image
	if m.Gray > 0 && x.Shape().Dim(-1) == 3 {
		x = view.RandomGrayscale(m.Gray)(scope, x)
	}
	tiles := m.Guards.Apply(scope, m.Tiles(scope, x))
	y := m.draw(scope, tiles, m.Puzzles)
	return told(m.tell(scope, tiles, y), y)
}

// Encode is a tower, run on whole images.
func (m *Jigsaw) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// Tiles cuts images [N, S, S, C] into 3x3 cells and a tile out of each, [9N, t, t, C], all nine of the
// first image first, row by row. It panics with an error where tiles have less than 4 pixels.
func (m *Jigsaw) Tiles(scope *model.Scope, image *Node) *Node {
	n, s := square("jigsaw", image)
	cell := s / 3
	gap := int(math.Round(m.Gap * float64(cell)))
	if cell-gap < leastPatch {
		exceptions.Panicf("sslkit: images of %dx%d give a jigsaw cells of %d pixels with a gap of %d: tiles need at least %d pixels",
			s, s, cell, gap, leastPatch)
	}
	g, least := image.Graph(), int(math.Round(float64(gap)/2*(1-m.Jitter)))
	corner := func(axis int) *Node {
		place := Reshape(Iota(g, shapes.Make(dtypes.Int32, 1, 3, 3), axis), 1, nine)
		start := AddScalar(MulScalar(place, cell), s%3/2+least)
		return Add(start, scope.RandomIntN(g, int32(gap-2*least+1), shapes.Make(dtypes.Int32, n, nine))) // Nx9
	}
	return view.Cut(image, corner(1), corner(2), cell-gap)
}

// draw returns the numbers of permutations, [k*N] int32, all images once and again.
func (m *Jigsaw) draw(scope *model.Scope, tiles *Node, k int) *Node {
	return scope.RandomIntN(tiles.Graph(), int32(m.Permutations), shapes.Make(dtypes.Int32, k*tiles.Shape().Dim(0)/nine))
}

// tell returns the logits [k*N, P] of the puzzles which the permutations y [k*N] make of the tiles [9N, t, t, C].
func (m *Jigsaw) tell(scope *model.Scope, tiles, y *Node) *Node {
	h := shuffle(tower(scope, nn.Last(m.Encode(scope, tiles)), m.Tower), m.permutations(y, false)) // kNx9xC
	return nn.MLP(scope.In("classifier"), Reshape(h, y.Shape().Dim(0), -1), m.Hidden, m.Permutations)
}

// GuessLoss is the cross-entropy of a guess.
func (m *Jigsaw) GuessLoss(int) float64 { return math.Log(float64(m.Permutations)) }
