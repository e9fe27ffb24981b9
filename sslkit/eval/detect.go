package eval

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
)

// Box is an object: its class, and a rectangle in pixels, half open.
type Box struct {
	Class  int32   `json:"class"`
	Top    float64 `json:"top"`
	Left   float64 `json:"left"`
	Bottom float64 `json:"bottom"`
	Right  float64 `json:"right"`
}

func (b Box) area() float64 { return max(b.Bottom-b.Top, 0) * max(b.Right-b.Left, 0) }

// IoU is the area of both boxes' intersection by that of their union, whatever their classes; 0 if there is none.
func (b Box) IoU(o Box) float64 {
	both := Box{0, max(b.Top, o.Top), max(b.Left, o.Left), min(b.Bottom, o.Bottom), min(b.Right, o.Right)}.area()
	return both / max(b.area()+o.area()-both, math.SmallestNonzeroFloat64)
}

// Detection is a box that was found.
type Detection struct {
	Box
	Score float64 `json:"score"` // in [0, 1]
}

// DetectFit is how well objects were found on the test set, see AveragePrecision.
type DetectFit struct {
	AP       float64       `json:"ap"`                 // mean over overlaps of 0.5, 0.55, ... 0.95
	AP50     float64       `json:"ap50"`               // at an overlap of 0.5
	Examples [][]Detection `json:"examples,omitempty"` // what was found in the first test images, most certain first
}

const (
	centreRadius = 1.5  // cells: how far from an object's centre it is learnt
	focalAlpha   = 0.25 // weight of what is there, 1-alpha of what is not
	rareness     = 0.01 // share of the cells that an untrained head takes for an object, pi of focal loss
	leastScore   = 0.05
	sameObject   = 0.6 // overlap
	mostFound    = 100
)

// Detect trains a head that says for every cell of a feature map which objects have their centre there, and how far their
// sides are: a 3x3 convolution with batch norm and ReLU, then a 1x1 convolution. It is trained on a map of the encoder that
// store holds, or with tune, on that of a copy which is trained along. The store stays as it is.
//
// It is a small FCOS (Tian et al., "FCOS: Fully Convolutional One-Stage Object Detection", ICCV 2019) on one level: focal loss
// (Lin et al. 2017, Eq. 5, with its prior of Sec. 3.3) for the classes, -ln IoU for the sides. A cell learns an object if the
// cell's centre lies in the box and within 1.5 cells of the box's centre (the authors' later "center sampling", here in
// place of centerness), or if the box's centre lies in the cell; of several, the smallest. Detections of a score below 0.05
// are dropped, and those that overlap a better one of their class by more than 0.6; at most 100 an image are left.
func (o DenseOptions) Detect(ctx context.Context, backend compute.Backend, store *model.Store, m sslkit.Method, train, test *Scenes, tune bool) (DetectFit, error) {
	p, err := o.places(ctx, backend, store, m, train, test, tune)
	if err != nil {
		return DetectFit{}, err
	}
	return o.detect(ctx, backend, p, train, test)
}

func (o DenseOptions) detect(ctx context.Context, backend compute.Backend, p places, train, test *Scenes) (DetectFit, error) {
	if !slices.ContainsFunc(test.Boxes, func(b []Box) bool { return len(b) > 0 }) {
		return DetectFit{}, fmt.Errorf("eval: detection: the test set has no objects")
	}
	rows, err := o.predict(ctx, backend, p, detectHead{train, o.Hidden})
	if err != nil {
		return DetectFit{}, fmt.Errorf("eval: detection: %w", err)
	}
	found := make([][]Detection, len(rows))
	for i, row := range rows {
		found[i] = suppress(candidates(row, test), sameObject, mostFound)
	}
	var fit DetectFit
	for k := range 10 {
		ap := meanPrecision(AveragePrecision(test.Boxes, test.Ignored, found, test.Classes, 0.5+0.05*float64(k)))
		fit.AP += ap / 10
		if k == 0 {
			fit.AP50 = ap
		}
	}
	fit.Examples = found[:min(exemplary, len(found))]
	return fit, nil
}

// candidates are the boxes of one image's row, which holds for each cell K scores and four sides.
func candidates(row []float32, s *Scenes) (out []Detection) {
	k := s.Classes
	for ; len(row) > 0; row = row[k+4:] {
		b := Box{0, max(float64(row[k]), 0), max(float64(row[k+1]), 0),
			min(float64(row[k+2]), float64(s.Height)), min(float64(row[k+3]), float64(s.Width))}
		for c, score := range row[:k] {
			if b.Class = int32(c); score >= leastScore && b.area() > 0 {
				out = append(out, Detection{b, float64(score)})
			}
		}
	}
	return out
}

func better(a, b Detection) int { return cmp.Compare(b.Score, a.Score) }

// suppress sorts detections, best first, and drops those that overlap a better one of their class by more than so much, and
// all but so many.
func suppress(found []Detection, overlap float64, most int) []Detection {
	slices.SortStableFunc(found, better)
	var kept []Detection
	for _, d := range found {
		if len(kept) == most {
			break
		}
		if !slices.ContainsFunc(kept, func(k Detection) bool { return k.Class == d.Class && k.IoU(d.Box) > overlap }) {
			kept = append(kept, d)
		}
	}
	return kept
}

// AveragePrecision is, for each class, the mean of the precision at recalls of 0, 0.01, ... 1, each the best at this recall or
// above, as in COCO's evaluation; -1 of a class without objects.
//
// Detections are gone through by score, equal ones in the order of images. One is right if it overlaps an object of its class in its
// image, that no better one took, by at least so much: it takes the object that it overlaps most. Else it may take an object
// of ignored, which nobody needs to find, in the same way: then it is neither right nor wrong, as in COCO's evaluation where
// objects are not of the size that is asked for. All others are wrong, a second detection of an object, too. Truth and
// ignored are lists for each image; ignored may be nil.
func AveragePrecision(truth, ignored [][]Box, found [][]Detection, classes int, overlap float64) []float64 {
	out := make([]float64, classes)
	for c := range out {
		out[c] = averagePrecision(truth, ignored, found, int32(c), overlap)
	}
	return out
}

func averagePrecision(truth, ignored [][]Box, found [][]Detection, class int32, overlap float64) float64 {
	type hit struct {
		score float64
		right bool
	}
	var hits []hit
	objects := 0
	// take marks the object that d overlaps most, of those that are not taken yet.
	take := func(d Detection, boxes []Box, taken []bool) bool {
		best, most := -1, overlap-1e-9 // an overlap of just so much is enough, in spite of rounding
		for j, b := range boxes {
			if iou := d.IoU(b); b.Class == class && !taken[j] && iou >= most {
				best, most = j, iou
			}
		}
		if best >= 0 {
			taken[best] = true
		}
		return best >= 0
	}
	for i, boxes := range truth {
		var ignore []Box
		if ignored != nil {
			ignore = ignored[i]
		}
		taken, passed := make([]bool, len(boxes)), make([]bool, len(ignore))
		for _, b := range boxes {
			if b.Class == class {
				objects++
			}
		}
		for _, d := range slices.SortedStableFunc(slices.Values(found[i]), better) {
			if d.Class != class {
				continue
			}
			right := take(d, boxes, taken)
			if !right && take(d, ignore, passed) {
				continue
			}
			hits = append(hits, hit{d.Score, right})
		}
	}
	if objects == 0 {
		return -1
	}
	slices.SortStableFunc(hits, func(a, b hit) int { return cmp.Compare(b.score, a.score) })
	right, precision := make([]int, len(hits)), make([]float64, len(hits))
	for i, h := range hits {
		if i > 0 {
			right[i] = right[i-1]
		}
		if h.right {
			right[i]++
		}
		precision[i] = float64(right[i]) / float64(i+1)
	}
	for i := len(hits) - 2; i >= 0; i-- {
		precision[i] = max(precision[i], precision[i+1])
	}
	sum, at := 0.0, 0
	for percent := range 101 {
		for at < len(hits) && 100*right[at] < percent*objects {
			at++
		}
		if at < len(hits) {
			sum += precision[at]
		}
	}
	return sum / 101
}

// meanPrecision is the mean over the classes that have objects.
func meanPrecision(ap []float64) float64 {
	ap = slices.DeleteFunc(ap, func(v float64) bool { return v < 0 })
	sum := 0.0
	for _, v := range ap {
		sum += v
	}
	return sum / float64(len(ap))
}

// detectHead finds the objects of the training scenes.
type detectHead struct {
	scenes *Scenes
	hidden int
}

// build returns for each cell the logits of the classes, and the logarithms of the distances, in cells, from the
// cell's centre to the top, left, bottom and right: [N, h, w, K+4].
func (h detectHead) build(scope *model.Scope, x *Node) *Node {
	x = nn.BatchNorm(scope.In("norm"), x)
	hidden := scope.In("hidden")
	x = nn.Conv(hidden, x, h.hidden, 3, 1, false)
	x = activation.Relu(nn.BatchNorm(hidden.In("norm"), x))
	return layers.Dense(scope, x, true, h.scenes.Classes+4)
}

// split takes apart what build returns: logits [N, h, w, K] and sides [N, h, w, 4] in cells.
func (h detectHead) split(built *Node) (logits, sides *Node) {
	k := h.scenes.Classes
	logits = AddScalar(SliceAxis(built, -1, AxisRange(0, k)), math.Log(rareness/(1-rareness)))
	return logits, Exp(MinScalar(SliceAxis(built, -1, AxisRange(k)), 6)) // e^6 cells are beyond any image
}

func (h detectHead) loss(scope *model.Scope, built, index *Node) *Node {
	logits, sides := h.split(built)
	n, rows, columns := len(h.scenes.Boxes), built.Shape().Dim(1), built.Shape().Dim(2)
	var allClasses []int32
	var allSides []float32
	for _, boxes := range h.scenes.Boxes {
		c, s := assign(boxes, rows, columns, float64(h.scenes.Height)/float64(rows), float64(h.scenes.Width)/float64(columns))
		allClasses, allSides = append(allClasses, c...), append(allSides, s...)
	}
	class := targets(scope, "classes", tensors.FromFlatDataAndDimensions(allClasses, n, rows, columns), index)
	side := targets(scope, "sides", tensors.FromFlatDataAndDimensions(allSides, n, rows, columns, 4), index)
	there := GreaterOrEqual(class, ZerosLike(class)) // Nxhxw
	objects := MaxScalar(ReduceAllSum(ConvertDType(there, logits.DType())), 1)
	y := Equal(InsertAxes(class, -1), Iota(class.Graph(), shapes.Make(dtypes.Int32, 1, 1, 1, h.scenes.Classes), 3)) // NxhxwxK
	l := Add(ReduceAllSum(focal(logits, ConvertDType(y, logits.DType()))),
		ReduceAllSum(Where(there, sideLoss(sides, side), ZerosLike(Squeeze(SliceAxis(sides, -1, AxisElem(0)), -1)))))
	return Div(l, objects)
}

// focal is FL of Lin et al. 2017, Eq. 5, with gamma 2, for each logit; y is 1 or 0.
func focal(logits, y *Node) *Node {
	p := Sigmoid(logits)
	ce := Sub(Softplus(logits), Mul(logits, y))           // -ln p_t
	miss := Add(Mul(y, OneMinus(p)), Mul(OneMinus(y), p)) // 1 - p_t
	alpha := AddScalar(MulScalar(y, 2*focalAlpha-1), 1-focalAlpha)
	return Mul(alpha, Mul(Square(miss), ce))
}

// sideLoss is -ln IoU of the boxes around a cell's centre whose sides [..., 4] are so far: [...].
func sideLoss(a, b *Node) *Node {
	side := func(x *Node, i int) *Node { return Squeeze(SliceAxis(x, -1, AxisElem(i)), -1) }
	area := func(x *Node) *Node { return Mul(Add(side(x, 0), side(x, 2)), Add(side(x, 1), side(x, 3))) }
	both := area(Min(a, b))
	union := Sub(Add(area(a), area(b)), both)
	const epsilon = 1e-6 // cells that have no object
	return Sub(Log(AddScalar(union, epsilon)), Log(AddScalar(both, epsilon)))
}

// read turns distances into boxes: for each cell K scores, then top, left, bottom and right in pixels.
func (h detectHead) read(built *Node) *Node {
	logits, sides := h.split(built)
	g, rows, columns := built.Graph(), built.Shape().Dim(1), built.Shape().Dim(2)
	centre := func(axis int) *Node {
		return AddScalar(Iota(g, shapes.Make(sides.DType(), 1, rows, columns, 1), axis), 0.5)
	}
	at := Concatenate([]*Node{centre(1), centre(2)}, -1) // 1xhxwx2
	scale := ConstAs(sides, []float64{float64(h.scenes.Height) / float64(rows), float64(h.scenes.Width) / float64(columns)})
	scale = Reshape(scale, 1, 1, 1, 2)
	low := Mul(Sub(at, SliceAxis(sides, -1, AxisRange(0, 2))), scale)
	high := Mul(Add(at, SliceAxis(sides, -1, AxisRange(2))), scale)
	return Reshape(Concatenate([]*Node{Sigmoid(logits), low, high}, -1), built.Shape().Dim(0), -1)
}

// assign says which object each of h x w cells, of so many pixels each, is to find: its class, -1 for none, and the distances of its
// sides from the cell's centre in cells, at least 0.
func assign(boxes []Box, h, w int, height, width float64) (class []int32, sides []float32) {
	class, sides = slices.Repeat([]int32{-1}, h*w), make([]float32, h*w*4)
	least := slices.Repeat([]float64{math.Inf(1)}, h*w)
	for _, b := range boxes {
		top, left, bottom, right := b.Top/height, b.Left/width, b.Bottom/height, b.Right/width
		for cell := range h * w {
			y, x := float64(cell/w)+0.5, float64(cell%w)+0.5
			off := max(math.Abs(y-(top+bottom)/2), math.Abs(x-(left+right)/2)) // from the box's centre
			d := [4]float64{y - top, x - left, bottom - y, right - x}
			if off > 0.5 && (off > centreRadius || slices.Min(d[:]) <= 0) || b.area() >= least[cell] {
				continue
			}
			least[cell], class[cell] = b.area(), b.Class
			for i, v := range d {
				sides[4*cell+i] = float32(max(v, 0))
			}
		}
	}
	return class, sides
}
