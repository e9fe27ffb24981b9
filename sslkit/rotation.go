package sslkit

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Rotation recognises by how much an image was turned, which takes knowing what is in it.
//
// Gidaris et al., "Unsupervised Representation Learning by Predicting Image Rotations", ICLR 2018,
// arXiv:1803.07728. Loss is Eq. 2 averaged over the batch (Eq. 1).
type Rotation struct {
	Backbone nn.Backbone `json:"backbone"` // F(·), Sec. 2.1
	Angles   []int       `json:"angles"`   // the K transformations g(·|y), in degrees counter-clockwise
	Pad      int         `json:"pad"`      // shift by up to so many pixels; 4 on CIFAR
	Flip     bool        `json:"flip"`     // mirror half of the images
}

// RotNet has the paper's best set of angles, Table 2: 0, 90, 180 and 270 degrees.
func RotNet(backbone nn.Backbone) *Rotation {
	return &Rotation{Backbone: backbone, Angles: []int{0, 90, 180, 270}, Pad: 4, Flip: true}
}

// Validate says what cannot be trained.
func (m *Rotation) Validate() error {
	if len(m.Angles) < 2 {
		return fmt.Errorf("sslkit: rotation needs at least 2 angles to tell apart, got %v", m.Angles)
	}
	for i, a := range m.Angles {
		if a < 0 || a >= 360 || a%45 != 0 {
			return fmt.Errorf("sslkit: angle %d is not one of 0, 45, ... 315", a)
		}
		if slices.Contains(m.Angles[:i], a) {
			return fmt.Errorf("sslkit: angle %d is given twice", a)
		}
	}
	if m.Pad < 0 {
		return fmt.Errorf("sslkit: pad %d is negative", m.Pad)
	}
	return m.Backbone.Validate()
}

// Reports lists the accuracy on the pretext task.
func (m *Rotation) Reports() []string { return []string{"accuracy"} }

// Loss builds the K-way classification of all K rotated copies of each image.
func (m *Rotation) Loss(scope *model.Scope, b Batch) *Node {
	x := b.Image
	if m.Pad > 0 {
		x = view.RandomCrop(m.Pad)(scope, x)
	}
	if m.Flip {
		x = view.Flip(scope, x)
	}
	return m.recognise(scope, m.Rotate(x))
}

// recognise tells the angles of the copies apart, which are all of the first angle first.
func (m *Rotation) recognise(scope *model.Scope, copies *Node) *Node {
	n, k := copies.Shape().Dim(0), len(m.Angles)
	y := Reshape(Iota(copies.Graph(), shapes.Make(dtypes.Int32, k, n/k), 0), n) // KN
	h := nn.Pool(nn.Last(m.Encode(scope, copies)))                              // KNxC
	return told(nn.Dense(scope.In("classifier"), h, true, k), y)                // KNxK
}

// Rotate returns the copies of x [N, H, H, C] turned by each of the angles, [K*N, H, H, C], all of
// the first angle first. Crops are taken before, so that the copies show the same content, and the
// K copies share a batch (Sec. 3.1): a batch of one angle only would give itself away to batch norm.
//
// Turns by multiples of 90 degrees permute pixels. The others interpolate, and two traces of that
// would give the angle away: the corners that leave the frame, and the blur. So with such an angle
// in the set all copies keep only the inscribed disc, and those that permute pixels are softened by
// about as much as interpolation softens the others. About: odd and even multiples of 45 degrees can
// still be told apart by texture, so part of the accuracy at such angles takes no understanding.
func (m *Rotation) Rotate(x *Node) *Node {
	oblique := slices.ContainsFunc(m.Angles, func(a int) bool { return a%90 != 0 })
	copies := make([]*Node, len(m.Angles))
	for i, a := range m.Angles {
		c := view.Rotate(x, a)
		if oblique && a%90 == 0 {
			c = view.Soften(c)
		}
		copies[i] = c
	}
	all := Concatenate(copies, 0)
	if oblique {
		all = view.Disc(all, 0.5)
	}
	return all
}

// Encode is F without its classifier.
func (m *Rotation) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.In("encoder"), image)
}

// GuessLoss is the cross-entropy of a guess.
func (m *Rotation) GuessLoss(int) float64 { return math.Log(float64(len(m.Angles))) }

// Title has the angles, which tell runs apart.
func (m *Rotation) Title() string {
	return "rotation " + strings.Trim(strings.ReplaceAll(fmt.Sprint(m.Angles), " ", ","), "[]")
}
