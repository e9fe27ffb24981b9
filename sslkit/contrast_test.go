package sslkit

import (
	"context"
	"errors"
	"iter"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

// waves yields n images of side s, each a grating of its own direction, wavelength and contrast, which no shift and no
// mirror image takes away.
type waves struct{ n, s, batch int }

func (d waves) Name() string                        { return "waves" }
func (d waves) Steps() int                          { return d.n / d.batch }
func (d waves) Iter() iter.Seq2[train.Batch, error] { return d.Epoch(0, 0) }

func (d waves) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		order := rand.New(rand.NewPCG(7, uint64(epoch))).Perm(d.n)
		for b := skip; b < d.Steps(); b++ {
			if !yield(train.Batch{Inputs: []*tensors.Tensor{d.images(order[b*d.batch : (b+1)*d.batch])}}, nil) {
				return
			}
		}
	}
}

func (d waves) images(index []int) *tensors.Tensor {
	var pixels []uint8
	for _, i := range index {
		rnd := rand.New(rand.NewPCG(11, uint64(i)))
		angle, pitch, phase, contrast := rnd.Float64()*math.Pi, 0.4+rnd.Float64(), rnd.Float64()*6, 40+rnd.Float64()*80
		for y := range d.s {
			for x := range d.s {
				along := float64(x)*math.Cos(angle) + float64(y)*math.Sin(angle)
				pixels = append(pixels, uint8(128+contrast*math.Sin(pitch*along+phase)))
			}
		}
	}
	return tensors.FromFlatDataAndDimensions(pixels, len(index), d.s, d.s, 1)
}

// toyView keeps what tells gratings apart.
var toyView = view.Recipe{MinScale: 0.5, Flip: true}

// contrastive returns small methods and the logarithm of the number of their candidates in batches of 16.
func contrastive() map[string]struct {
	Method
	chance float64
} {
	backbone := nn.ResNet(8, 4)
	return map[string]struct {
		Method
		chance float64
	}{
		"simclr":  {&SimCLR{Backbone: backbone, View: toyView, Head: "mlp", Dim: 16, Temperature: 0.2}, math.Log(31)},
		"moco":    {&MoCo{Backbone: backbone, View: toyView, MLP: true, Dim: 16, Queue: 64, Momentum: 0.97, Temperature: 0.1, Split: 2}, math.Log(65)},
		"densecl": {&DenseCL{Backbone: backbone, View: toyView, Dim: 16, Grid: 2, Queue: 64, Momentum: 0.97, Temperature: 0.1, Lambda: 0.5, Split: 2}, math.Log(65)},
	}
}

func contrastiveRun(t testing.TB, m Method, dir string, images, epochs int) *Run {
	ds := waves{n: images, s: 16, batch: 16}
	return &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: epochs, Seed: 1, Dir: dir,
		Optimizer: optim.SGD{Rate: optim.CosineWarmup(0.05, 5, epochs*ds.Steps()), Momentum: 0.9, WeightDecay: 1e-4}}
}

func TestContrastiveLearns(t *testing.T) {
	if testing.Short() {
		t.Skip("trains three methods")
	}
	for name, c := range contrastive() {
		t.Run(name, func(t *testing.T) {
			const epochs = 6
			// More images than fit a queue, where an old view of one's own image would be a negative.
			h, err := contrastiveRun(t, c.Method, "", 256, epochs).Pretrain(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			last := h.Loss[epochs-1]
			t.Logf("chance %.3f, loss %.3f, accuracy %.3f, spread %.3f", c.chance, h.Loss, h.Reports["accuracy"], h.Reports["projection_std"])
			// The first keys are random directions, easily told from any view: the loss rises before it falls.
			if !(last < slices.Max(h.Loss)-0.3 && last < 0.8*c.chance) {
				t.Errorf("loss %.3f, chance is %.3f", h.Loss, c.chance)
			}
			if a := h.Reports["accuracy"][epochs-1]; !(a > 4*math.Exp(-c.chance)) {
				t.Errorf("accuracy %.3f, chance is %.3f", a, math.Exp(-c.chance))
			}
			// 16 dimensions: 1/4 is even.
			if std := h.Reports["projection_std"][epochs-1]; !(std > 0.1 && std <= 0.25) {
				t.Errorf("the features spread by %.3f, want more than a collapse and at most 1/4", std)
			}
		})
	}
}

func TestContrastiveResumesExactly(t *testing.T) {
	for name, c := range contrastive() {
		t.Run(name, func(t *testing.T) {
			for path, value := range resumesExactly(t, c.Method) {
				frozen := strings.HasPrefix(path, "/key/") || strings.HasSuffix(path, "queue/keys")
				if frozen && !strings.HasPrefix(value, "false") {
					t.Errorf("%s is to be trained", path)
				}
			}
		})
	}
}

// resumesExactly stops a run of m and goes on: the whole state is restored, parameters and momenta, keys, queues, running
// statistics, random draws, and what is not to be trained. It returns the variables.
func resumesExactly(t *testing.T, m Method) map[string]string {
	t.Helper()
	whole := contrastiveRun(t, m, "", 64, 2)
	want, err := whole.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	r := contrastiveRun(t, m, dir, 64, 2)
	if _, err := r.Pretrain(stopAfter(r, 5)); !errors.Is(err, ErrInterrupted) {
		t.Fatalf("error %v, want ErrInterrupted", err)
	}
	r = contrastiveRun(t, m, dir, 64, 2)
	got, err := r.Pretrain(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	a, b := variables(t, r.Store), variables(t, whole.Store)
	if !maps.Equal(a, b) {
		for path := range b {
			if a[path] != b[path] {
				t.Errorf("%s differs from the uninterrupted run's", path)
			}
		}
	}
	if !reflect.DeepEqual(got.Loss, want.Loss) || !reflect.DeepEqual(got.Reports, want.Reports) {
		t.Errorf("history %v, the uninterrupted run's is %v", got, want)
	}
	return a
}

func TestContrastiveValidate(t *testing.T) {
	backbone := nn.ResNet(8, 4)
	for _, m := range []interface{ Validate() error }{
		SimCLRDefault(backbone), SimCLRCIFAR(backbone), MoCoV1(backbone), MoCoV2(backbone), DenseCLDefault(backbone),
		&SimCLR{Backbone: backbone, View: view.SimCLRCIFAR(), Head: "none", Temperature: 1},
	} {
		if err := m.Validate(); err != nil {
			t.Errorf("%+v: %v", m, err)
		}
	}
	simclr := func(change func(m *SimCLR)) error { m := SimCLRDefault(backbone); change(m); return m.Validate() }
	moco := func(change func(m *MoCo)) error { m := MoCoV2(backbone); change(m); return m.Validate() }
	dense := func(change func(m *DenseCL)) error { m := DenseCLDefault(backbone); change(m); return m.Validate() }
	for want, err := range map[string]error{
		`no head "big"`:        simclr(func(m *SimCLR) { m.Head = "big" }),
		"dim is 0":             simclr(func(m *SimCLR) { m.Dim = 0 }),
		"temperature 0":        simclr(func(m *SimCLR) { m.Temperature = 0 }),
		"temperature NaN":      simclr(func(m *SimCLR) { m.Temperature = math.NaN() }),
		"unknown backbone":     simclr(func(m *SimCLR) { m.Backbone.Arch = "" }),
		"temperature -1":       moco(func(m *MoCo) { m.Temperature = -1 }),
		"momentum 1.1":         moco(func(m *MoCo) { m.Momentum = 1.1 }),
		"momentum NaN":         moco(func(m *MoCo) { m.Momentum = math.NaN() }),
		"queue 0":              moco(func(m *MoCo) { m.Queue = 0 }),
		"split 0":              moco(func(m *MoCo) { m.Split = 0 }),
		"resnet's depth":       moco(func(m *MoCo) { m.Backbone.Depth = 9 }),
		"lambda 2":             dense(func(m *DenseCL) { m.Lambda = 2 }),
		"lambda NaN":           dense(func(m *DenseCL) { m.Lambda = math.NaN() }),
		"grid -1":              dense(func(m *DenseCL) { m.Grid = -1 }),
		"queue -1":             dense(func(m *DenseCL) { m.Queue = -1 }),
		"resnet's width":       dense(func(m *DenseCL) { m.Backbone.Width = 0 }),
		"dim 0, queue 65536, ": dense(func(m *DenseCL) { m.Dim = 0 }),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// What does not fit the batch is named with both numbers when the step is built.
func TestContrastiveNamesWhatDoesNotFit(t *testing.T) {
	for want, change := range map[string]func(m *MoCo){
		"queue of 40 keys is no multiple of the batch of 16": func(m *MoCo) { m.Queue = 40 },
		"batch of 16 is no multiple of the 3 groups":         func(m *MoCo) { m.Split = 3 },
	} {
		m := *contrastive()["moco"].Method.(*MoCo)
		change(&m)
		if _, err := contrastiveRun(t, &m, "", 64, 1).Pretrain(context.Background()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	m := *contrastive()["densecl"].Method.(*DenseCL)
	m.Grid = 2 // of 3x3
	_, err := model.CallOnce(goBackend(t), model.NewStore(), func(scope *model.Scope, x *Node) *Node { return m.Match(scope, x, x) },
		tensors.FromFlatDataAndDimensions(make([]float32, 2*100), 2, 10, 10, 1))
	if err == nil || !strings.Contains(err.Error(), "3x3 cannot be pooled to a grid of 2x2") {
		t.Errorf("error %v", err)
	}
}

// paperRun trains m for some steps, each an epoch of one batch, by plain SGD at a rate of 0.1. It returns the store before
// the last step, the loss of that step, the store after it, and its images.
func paperRun(t *testing.T, m Method, steps int) (before *model.Store, loss float64, after *model.Store, images *tensors.Tensor) {
	t.Helper()
	ds := waves{n: 16, s: 12, batch: 16}
	r := &Run{Method: m, Backend: goBackend(t), Train: ds, Epochs: steps, Seed: 1, Optimizer: optim.SGD{Rate: optim.Constant(0.1)}}
	r.Progress = func(p Progress) {
		loss = p.Loss
		if p.Step == steps-1 {
			var err error
			if before, err = r.Store.Clone(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := r.Pretrain(context.Background()); err != nil {
		t.Fatal(err)
	}
	for batch := range ds.Epoch(steps-1, 0) {
		images = batch.Inputs[0]
	}
	return before, loss, r.Store, images
}

// training builds f in training mode on a copy of the store, whose random draws are therefore those of the step that followed.
func training(t *testing.T, store *model.Store, f func(scope *model.Scope, x []*Node) []*Node, inputs ...any) (out [][][]float64, after *model.Store) {
	t.Helper()
	after, err := store.Clone()
	if err != nil {
		t.Fatal(err)
	}
	results, err := model.CallOnceN(goBackend(t), after, func(scope *model.Scope, x []*Node) []*Node {
		scope.Store().SetTraining(x[0].Graph(), true)
		if x[0].DType() == dtypes.Uint8 {
			x[0] = floatImage(x[0])
		}
		return f(scope, x)
	}, inputs...)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		out = append(out, matrix(t, r))
	}
	return out, after
}

// matrix is x with all axes but the last as rows.
func matrix(t *testing.T, x *tensors.Tensor) (rows [][]float64) {
	t.Helper()
	flat := tensors.MustCopyFlatData[float32](x)
	d := 1
	if x.Rank() > 0 {
		d = x.Shape().Dim(-1)
	}
	for ; len(flat) > 0; flat = flat[d:] {
		row := make([]float64, d)
		for i := range row {
			row[i] = float64(flat[i])
		}
		rows = append(rows, row)
	}
	return rows
}

func variable(t *testing.T, store *model.Store, path string) [][]float64 {
	t.Helper()
	v := store.GetVariable(path)
	if v == nil {
		t.Fatalf("no variable %s", path)
	}
	return matrix(t, v.MustValue())
}

// apart is the largest difference of two matrices.
func apart(a, b [][]float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var most float64
	for i := range a {
		for j := range a[i] {
			most = max(most, math.Abs(a[i][j]-b[i][j]))
		}
	}
	return most
}

func inner(a, b []float64) (s float64) {
	for i := range a {
		s += a[i] * b[i]
	}
	return s
}

func unitRow(x []float64) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		y[i] = x[i] / math.Sqrt(inner(x, x))
	}
	return y
}

// searchLoss is -log of the share of exp(score) in the sum with those of the others.
func searchLoss(score float64, others []float64) float64 {
	sum := 1.0
	for _, o := range others {
		sum += math.Exp(o - score)
	}
	return math.Log(sum)
}

// infoNCE is Eq. 1 of MoCo, averaged.
func infoNCE(q, k, queue [][]float64, temperature float64) (mean float64) {
	for i := range q {
		var others []float64
		for _, key := range queue {
			others = append(others, inner(q[i], key)/temperature)
		}
		mean += searchLoss(inner(q[i], k[i])/temperature, others) / float64(len(q))
	}
	return mean
}

// BenchmarkContrastiveStep takes training steps on 256 views of 32x32x3, on the backend that users get: the views are
// drawn, encoded, compared, and the parameters moved, in one program.
func BenchmarkContrastiveStep(b *testing.B) {
	backbone := nn.ResNet(8, 16)
	moco := MoCoV2(backbone)
	moco.Split = 1
	for name, m := range map[string]Method{"simclr": SimCLRCIFAR(backbone), "moco": moco, "moco split 8": MoCoV2(backbone)} {
		b.Run(name, func(b *testing.B) {
			store, err := NewStore(1)
			if err != nil {
				b.Fatal(err)
			}
			step := func(scope *model.Scope, inputs []*Node) *Node {
				l := m.Loss(scope, batchOf(inputs))
				train.AddMainLoss(l)
				return l
			}
			trainer := train.NewTrainer(bestBackend(b), store, step, nil, optim.SGD{Rate: optim.Constant(0.1), Momentum: 0.9, WeightDecay: 1e-4}, nil, nil)
			pixels := make([]uint8, 128*32*32*3)
			for i := range pixels {
				pixels[i] = uint8(i * i >> 8)
			}
			take := func() {
				images := tensors.FromFlatDataAndDimensions(pixels, 128, 32, 32, 3)
				if _, err := trainer.TrainStep(train.Batch{Inputs: []*tensors.Tensor{images}}); err != nil {
					b.Fatal(err)
				}
			}
			take() // compiles
			for b.Loop() {
				take()
			}
		})
	}
}
