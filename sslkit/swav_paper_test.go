package sslkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

// tinySwAV is small enough for a test on the pure Go backend.
func tinySwAV() *SwAV {
	return &SwAV{
		Backbone: nn.NIN(3, 6), Hidden: 8, Dim: 5, Prototypes: 6, Temperature: 0.1, Epsilon: 0.05, Iterations: 3,
		View:       view.Recipe{MinScale: 0.3, Flip: true},
		SmallCrops: 2, SmallSize: 5, SmallMin: 0.1, SmallMax: 0.3,
	}
}

func TestSwAVValidate(t *testing.T) {
	if err := SwAVMultiCrop(nn.NIN(3, 24), 28).Validate(); err != nil {
		t.Error(err)
	}
	wantInvalid(t, tinySwAV, map[string]func(*SwAV){
		"0 features":        func(m *SwAV) { m.Dim = 0 },
		"-1 hidden units":   func(m *SwAV) { m.Hidden = -1 },
		"got 1":             func(m *SwAV) { m.Prototypes = 1 },
		"temperature 0":     func(m *SwAV) { m.Temperature = 0 },
		"epsilon -1":        func(m *SwAV) { m.Epsilon = -1 },
		"epsilon NaN":       func(m *SwAV) { m.Epsilon = math.NaN() },
		"epsilon +Inf":      func(m *SwAV) { m.Epsilon = math.Inf(1) },
		"0 iterations":      func(m *SwAV) { m.Iterations = 0 },
		"freeze_epochs -1":  func(m *SwAV) { m.FreezeEpochs = -1 },
		"set freeze_epochs": func(m *SwAV) { m.Freeze = 39 },
		"small_crops -1":    func(m *SwAV) { m.SmallCrops = -1 },
		"of side 0":         func(m *SwAV) { m.SmallSize = 0 },
		"of 0 to 0.3":       func(m *SwAV) { m.SmallMin = 0 },
		"of 0.1 to 0.05":    func(m *SwAV) { m.SmallMax = 0.05 },
		"of 0.1 to 2":       func(m *SwAV) { m.SmallMax = 2 },
		"min_scale":         func(m *SwAV) { m.View.MinScale = 2 },
		"queue -8":          func(m *SwAV) { m.Queue = -8 },
		"queue_start -2":    func(m *SwAV) { m.QueueStart = -2 },
		"multiple of 6":     func(m *SwAV) { m.Backbone.Width = 7 },
	})
}

// symmetric images [n, s, s, 1] look the same in a mirror, so that a view of the whole image is the image.
func symmetric(n, s int) *tensors.Tensor {
	pixels := make([]float32, n*s*s)
	for i := range pixels {
		column, rest := i%s, i/s
		column = min(column, s-1-column)
		pixels[i] = float32(math.Mod(math.Abs(math.Sin(float64(1+rest*s+column)))*1e4, 1))
	}
	return tensors.FromFlatDataAndDimensions(pixels, n, s, s, 1)
}

// Codes of two full-resolution crops are predicted from all other crops, of which those of low resolution have no codes: to
// compute codes for all takes longer, and what is seen of an image in part is assigned worse (a paraphrase).
// Reference: Caron et al. 2020, Sec. 3.1, Eq. 2 and 5; Sec. 3.2, Eq. 6.
func TestSwAVLossIsEquation6(t *testing.T) {
	const n = 4
	m := tinySwAV()
	m.View.MinScale, m.SmallCrops, m.SmallMin, m.SmallMax = 0, 3, 1, 1 // the whole image, as it is and shrunk
	backend := goBackend(t)
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	call := func(build func(scope *model.Scope, x *Node) []*Node) [][][]float64 {
		t.Helper()
		out, err := model.CallOnceN(backend, store, func(scope *model.Scope, x *Node) []*Node {
			scope.Store().SetTraining(x.Graph(), true)
			return build(scope, x)
		}, symmetric(n, 8))
		if err != nil {
			t.Fatal(err)
		}
		var rows [][][]float64
		for _, o := range out {
			d := o.Shape().Dim(-1)
			var m [][]float64
			for row := range slices.Chunk(tensors.MustCopyFlatData[float32](o), d) {
				var wide []float64
				for _, v := range row {
					wide = append(wide, float64(v))
				}
				m = append(m, wide)
			}
			rows = append(rows, m)
		}
		return rows
	}
	loss := call(func(scope *model.Scope, x *Node) []*Node {
		return []*Node{Reshape(m.Loss(scope, Batch{Image: x}), 1, 1)}
	})[0][0][0]
	parts := call(func(scope *model.Scope, x *Node) []*Node {
		whole := AddScalar(Zeros(x.Graph(), shapes.Make(dtypes.Float32, n)), 8)
		small := view.CropResize(x, ZerosLike(whole), ZerosLike(whole), whole, whole, 5)
		h := nn.Pool(nn.Last(m.Encode(scope, Concatenate([]*Node{x, x}, 0))))
		l := nn.Pool(nn.Last(m.Encode(scope, Concatenate([]*Node{small, small, small}, 0))))
		z := m.project(scope.In("head"), Concatenate([]*Node{h, l}, 0))
		return []*Node{z, store.GetVariable("/prototypes").NodeValue(x)}
	})
	z, c := parts[0], parts[1]
	score := func(view int) [][]float64 { // cosines
		out := make([][]float64, n)
		for i := range out {
			for _, p := range c {
				var dot, zz, cc float64
				for j, v := range z[view*n+i] {
					dot, zz, cc = dot+v*p[j], zz+v*v, cc+p[j]*p[j]
				}
				out[i] = append(out[i], dot/math.Sqrt(zz*cc))
			}
		}
		return out
	}
	want, terms := 0.0, 0
	for i := range 2 {
		q := spreadEvenly(score(i), m.Epsilon, m.Iterations)
		for v := range 2 + m.SmallCrops {
			if v == i {
				continue
			}
			for k, row := range score(v) {
				sum := 0.0
				for _, s := range row {
					sum += math.Exp(s / m.Temperature)
				}
				for j, s := range row {
					want -= q[k][j] * (s/m.Temperature - math.Log(sum))
				}
				terms++
			}
		}
	}
	want /= float64(terms)          // the paper's sum, over the number of its terms
	if math.Abs(loss-want) > 1e-4 { // float32 features, over the temperature and epsilon of 0.05
		t.Errorf("loss %g, want %g", loss, want)
	}
}

// spreadEvenly is Eq. 5, of scores [B][K]: Q = Diag(u) exp(scores/epsilon) Diag(v), by turns.
func spreadEvenly(scores [][]float64, epsilon float64, iterations int) [][]float64 {
	q := make([][]float64, len(scores))
	for i, row := range scores {
		for _, s := range row {
			q[i] = append(q[i], math.Exp(s/epsilon))
		}
	}
	for range iterations {
		for k := range q[0] {
			sum := 0.0
			for i := range q {
				sum += q[i][k]
			}
			for i := range q {
				q[i][k] /= sum
			}
		}
		for i := range q {
			sum := 0.0
			for _, v := range q[i] {
				sum += v
			}
			for k := range q[i] {
				q[i][k] /= sum
			}
		}
	}
	return q
}

// runSwAV has 3 epochs, and all that must come back with a checkpoint.
func runSwAV(t *testing.T, m *SwAV, ds Dataset, rate float64, dir string) *Run {
	return &Run{
		Method: m, Backend: goBackend(t), Train: ds, Epochs: 3, Seed: 1, Dir: dir,
		Optimizer: optim.SGD{Rate: optim.Constant(rate), Momentum: 0.9, WeightDecay: 1e-3},
	}
}

// Frozen prototypes and the queue come back with a checkpoint.
func TestSwAVResumesExactly(t *testing.T) {
	m := tinySwAV()
	m.FreezeEpochs, m.Queue, m.QueueStart = 1, 16, 5
	ds := toyData{n: 64, s: 8, batch: 8}
	whole := runSwAV(t, m, ds, 0.05, "")
	want, err := whole.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []int{3, 12} { // while frozen, for an epoch of 8 steps, and after
		dir := t.TempDir()
		r := runSwAV(t, m, ds, 0.05, dir)
		if _, err := r.Pretrain(stopAfter(r, step)); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("stopped after step %d: error %v, want ErrInterrupted", step, err)
		}
		r = runSwAV(t, m, ds, 0.05, dir)
		got, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		sameRun(t, r, got, whole, want)
	}
}

// sameRun compares all variables and all that the history holds but the time.
func sameRun(t *testing.T, r *Run, got History, whole *Run, want History) {
	t.Helper()
	a, b := variables(t, r.Store), variables(t, whole.Store)
	for name := range b {
		if a[name] != b[name] {
			t.Errorf("%s differs from the uninterrupted run's", name)
		}
	}
	got.Seconds, want.Seconds = 0, 0
	got.EpochSeconds, want.EpochSeconds = nil, nil
	if x, y := fmt.Sprint(got), fmt.Sprint(want); x != y {
		t.Errorf("history %s, the uninterrupted run's is %s", x, y)
	}
}

// Prototypes are frozen for the first epoch (a paraphrase): they stay as they were drawn for so many epochs, whatever an
// epoch's number of steps, and move in the next. Reference: Caron et al. 2020, App. A; main_swav.py, freeze_prototypes_niters.
func TestSwAVFreezesPrototypesForEpochs(t *testing.T) {
	for _, batch := range []int{8, 16} {
		m := tinySwAV()
		m.FreezeEpochs = 2
		r := runSwAV(t, m, toyData{n: 64, s: 8, batch: batch}, 0.05, "")
		var after []string // each epoch
		r.Monitor = func(r *Run, _ int) (map[string]float64, error) {
			after = append(after, fmt.Sprint(values(t, r.Store, "/prototypes")))
			return nil, nil
		}
		if _, err := r.Pretrain(context.Background()); err != nil {
			t.Fatal(err)
		}
		if after[0] != after[1] || after[1] == after[2] {
			t.Errorf("batches of %d: the prototypes moved in the second epoch: %t, in the third: %t", batch, after[0] != after[1], after[1] != after[2])
		}
	}
	_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node {
		m := tinySwAV()
		m.FreezeEpochs = 1
		return m.Loss(scope, Batch{Image: x})
	}, symmetric(2, 8))
	if err == nil || !strings.Contains(err.Error(), "StartEpoch") {
		t.Errorf("error %v before an epoch was begun, want StartEpoch named", err)
	}
}

// The queue is used from the step that the configuration names, or the first with a full queue.
func TestSwAVQueue(t *testing.T) {
	const never = 100
	losses := func(queue, start int) []float64 {
		m := tinySwAV()
		m.Queue, m.QueueStart = queue, start
		r := runSwAV(t, m, toyData{n: 64, s: 8, batch: 8}, 0, "") // nothing is learnt
		var all []float64
		r.Epochs = 1
		r.Progress = func(p Progress) { all = append(all, p.Loss) }
		if _, err := r.Pretrain(context.Background()); err != nil {
			t.Fatal(err)
		}
		return all
	}
	for _, c := range []struct{ queue, start, want int }{{16, 0, 2}, {16, 5, 5}, {8, 0, 1}} {
		with, without := losses(c.queue, c.start), losses(c.queue, never)
		first := len(with)
		for i := range with {
			if with[i] != without[i] {
				first = i
				break
			}
		}
		if first != c.want {
			t.Errorf("queue of %d from step %d: the loss first differs at step %d, want %d", c.queue, c.start, first, c.want)
		}
	}
}

// grays yields images of one of so many grays, which no view changes.
type grays struct {
	toyData
	levels int
}

func (d grays) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		for range d.Steps() - skip {
			var pixels []uint8
			var index []int32
			for i := range d.batch {
				pixels = append(pixels, slices.Repeat([]uint8{uint8(20 + 40*(i%d.levels))}, d.s*d.s)...)
				index = append(index, int32(i))
			}
			images := tensors.FromFlatDataAndDimensions(pixels, d.batch, d.s, d.s, 1)
			if !yield(train.Batch{Inputs: []*tensors.Tensor{images, tensors.FromFlatDataAndDimensions(index, d.batch)}}, nil) {
				return
			}
		}
	}
}

// The system can collapse: "it happens when all examples are mapped to the same unique representation", and "the only valid
// assignment that satisfy the equipartition constraint in this case is the uniform assignment". The loss then is ln K.
// Reference: the authors' README, "The loss does not decrease and is stuck at ln(nmb_prototypes)".
func TestSwAVNamesItsCollapse(t *testing.T) {
	m := tinySwAV()
	train := func(levels int) History {
		r := runSwAV(t, m, grays{toyData{n: 160, s: 8, batch: 16}, levels}, 0.05, "")
		r.Epochs = 6
		h, err := r.Pretrain(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d grays: loss %.3f, entropy %.3f, codes %.3f", levels, h.Loss, h.Reports["entropy"], h.Reports["code_entropy"])
		return h
	}
	lnK := math.Log(6)
	h := train(1)
	if got := h.Loss[5]; math.Abs(got-lnK) > 0.02*lnK {
		t.Errorf("loss %.3f on images that are all the same, ln K is %.3f", got, lnK)
	}
	if got := m.Diagnose(h); !strings.Contains(got, "ln K") {
		t.Errorf("diagnosis %q, want the collapse named", got)
	}
	if h = train(6); h.Loss[5] > 0.7*lnK || m.Diagnose(h) != "" {
		t.Errorf("loss %.3f on six grays, want them told apart; diagnosis %q", h.Loss, m.Diagnose(h))
	}
	if got := m.Diagnose(History{}); got != "" {
		t.Errorf("diagnosis %q before the first epoch", got)
	}
}

func TestSwAVConfigIsPlain(t *testing.T) {
	m, back := SwAVMultiCrop(nn.ResNet(8, 16), 28), &SwAV{}
	text, err := json.Marshal(m)
	if err == nil {
		err = json.Unmarshal(text, back)
	}
	if err != nil || fmt.Sprint(m) != fmt.Sprint(back) {
		t.Errorf("%s became %v, error %v", text, back, err)
	}
}
