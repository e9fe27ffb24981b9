package sslkit

import (
	"fmt"
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
)

func paperDenseCL() *DenseCL {
	return &DenseCL{Backbone: nn.ResNet(8, 4), View: toyView, Dim: 8, Queue: 48, Momentum: 0.75, Temperature: 0.2, Lambda: 0.3, Split: 1}
}

// mistakenDenseCL is DenseCL with a mistake.
type mistakenDenseCL struct {
	*DenseCL
	mistake string
}

func (m mistakenDenseCL) Loss(scope *model.Scope, b Batch) *Node {
	is := func(mistake string) bool { return m.mistake == mistake }
	g, n := b.Image.Graph(), b.Image.Shape().Dim(0)
	x := m.View.View(scope, Concatenate([]*Node{b.Image, b.Image}, 0))
	fq := m.grid(scope, Slice(x, AxisRange(0, n)))
	q, r := m.project(scope.In("head"), fq)
	key := scope.In("key")
	nn.EMA(key.At("encoder"), scope.At("encoder"), g, m.Momentum)
	nn.EMA(key.At("head"), scope.At("head"), g, m.Momentum)
	fk := StopGradient(nn.Shuffled(scope, Slice(x, AxisRange(n)), func(x *Node) *Node { return m.grid(key, x) }))
	k, s := m.project(key.In("head"), fk)
	rows := func(t *Node) *Node { return L2Normalize(Reshape(t, -1, m.Dim), -1) }
	pooled := rows(ReduceMean(s, 1))
	if is("negatives of one place") {
		pooled = rows(SliceAxis(s, 1, AxisElem(0)))
	}
	match := loss.DenseCorrespondence(fq, fk)
	if is("correspondence of the heads") {
		match = loss.DenseCorrespondence(r, s)
	}
	matched := at(s, match)
	if is("no correspondence") {
		matched = s
	}
	queue, denseQueue := nn.Queue(scope.In("queue"), rows(k), m.Queue), nn.Queue(scope.In("dense_queue"), pooled, m.Queue)
	if is("one queue") {
		denseQueue = queue
	}
	one, dense := loss.InfoNCE(rows(q), rows(k), queue, m.Temperature), loss.InfoNCE(rows(r), rows(matched), denseQueue, m.Temperature)
	if is("lambda the other way round") {
		one, dense = dense, one
	}
	for _, name := range m.Reports() {
		Report(name, one)
	}
	return Add(MulScalar(one, 1-m.Lambda), MulScalar(dense, m.Lambda))
}

func unitRows(x [][]float64) (y [][]float64) {
	for _, row := range x {
		y = append(y, unitRow(row))
	}
	return y
}

// followDenseCL takes a step of m apart and names what is not as of says.
func followDenseCL(t *testing.T, m Method, of *DenseCL) (wrong []string) {
	t.Helper()
	before, got, after, images := paperRun(t, m, 5)
	n := images.Shape().Dim(0)
	// The key encoder as the step moved it, which MoCo's tests hold.
	for v := range before.Scope("/key").IterVariables() {
		if before.GetVariable(v.Path()[len("/key"):]).Trainable {
			moved, err := after.GetVariable(v.Path()).MustValue().LocalClone()
			if err != nil {
				t.Fatal(err)
			}
			if err := v.SetValue(moved); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		views := of.View.View(scope, Concatenate([]*Node{x[0], x[0]}, 0))
		key := scope.In("key")
		fq, fk := of.grid(scope, Slice(views, AxisRange(0, n))), of.grid(key, Slice(views, AxisRange(n)))
		q, r := of.project(scope.In("head"), fq)
		k, s := of.project(key.In("head"), fk)
		return []*Node{fq, fk, q, r, k, s}
	}, images)
	fq, fk, q, r, k, s := unitRows(out[0]), unitRows(out[1]), unitRows(out[2]), unitRows(out[3]), unitRows(out[4]), out[5]
	p := len(fq) / n

	var matched, pooled [][]float64
	for i := range n {
		mean := make([]float64, of.Dim)
		for a := range p {
			best := 0
			for b := range p {
				if inner(fq[i*p+a], fk[i*p+b]) > inner(fq[i*p+a], fk[i*p+best])+1e-6 {
					best = b
				}
			}
			matched = append(matched, unitRow(s[i*p+best]))
			for d := range mean {
				mean[d] += s[i*p+a][d] / float64(p)
			}
		}
		pooled = append(pooled, unitRow(mean))
	}
	one := infoNCE(q, k, variable(t, before, "/queue/keys"), of.Temperature)
	dense := infoNCE(r, matched, variable(t, before, "/dense_queue/keys"), of.Temperature)
	// As MoCo's: 8 layers in float32, in two orders.
	if want := (1-of.Lambda)*one + of.Lambda*dense; math.Abs(got-want) > 1e-4 {
		wrong = append(wrong, "loss")
	}
	if apart(variable(t, after, "/queue/keys")[:n], k) > 1e-4 {
		wrong = append(wrong, "queue")
	}
	if apart(variable(t, after, "/dense_queue/keys")[:n], pooled) > 1e-4 {
		wrong = append(wrong, "dense queue")
	}
	return wrong
}

// L = (1-λ) L_q + λ L_r, where places correspond by c_i = argmax_j sim(f_i, f'_j) of the backbones' features, and the
// negative keys of a place are pooled features of other images.
// Reference: Wang et al. 2021, Sec. 3.3, Eq. 2 and 3, and Sec. 3.4, Eq. 4.
func TestDenseCLLossIsEquation3(t *testing.T) {
	pooled := paperDenseCL()
	pooled.Grid = 1
	for name, m := range map[string]*DenseCL{"": paperDenseCL(), "one place": pooled} {
		if wrong := followDenseCL(t, m, m); wrong != nil {
			t.Errorf("%s: wrong %v", name, wrong)
		}
	}
	for mistake, want := range map[string]string{
		"": "", "negatives of one place": "dense queue", "correspondence of the heads": "loss", "no correspondence": "loss",
		"one queue": "loss", "lambda the other way round": "loss",
	} {
		m := paperDenseCL()
		if wrong := followDenseCL(t, mistakenDenseCL{m, mistake}, m); want == "" && wrong != nil || want != "" && !slices.Contains(wrong, want) {
			t.Errorf("mistake %q: wrong %v, want %q", mistake, wrong, want)
		}
	}
}

// With λ = 0 it is MoCo v2. Reference: Wang et al. 2021, Sec. 3.3, Eq. 3.
func TestDenseCLWithoutLambdaIsMoCo(t *testing.T) {
	dense := paperDenseCL()
	dense.Lambda = 0
	before, got, _, images := paperRun(t, dense, 3)
	moco := &MoCo{Backbone: dense.Backbone, View: dense.View, MLP: true, Dim: dense.Dim, Queue: dense.Queue, Momentum: dense.Momentum,
		Temperature: dense.Temperature, Split: dense.Split}
	for _, prefix := range []string{"", "/key"} {
		for v := range before.Scope(prefix + "/head/global").IterVariables() {
			path := prefix + "/head" + v.Path()[len(prefix+"/head/global"):]
			scope, name := model.SplitPath(path)
			before.Scope(scope).VariableWithValue(name, v.MustValue()).SetTrainable(v.Trainable)
		}
	}
	out, _ := training(t, before, func(scope *model.Scope, x []*Node) []*Node {
		return []*Node{moco.Loss(scope, Batch{Image: x[0]})}
	}, images)
	if want := out[0][0][0]; math.Abs(got-want) > 1e-5 {
		t.Errorf("loss %g, MoCo v2's is %g", got, want)
	}
}

// The feature map is pooled to S x S places, of whole blocks of pixels. Reference: Wang et al. 2021, Sec. 3.3.
func TestDenseCLGrid(t *testing.T) {
	m := paperDenseCL()
	image := func(seed int) *tensors.Tensor { return waves{s: 16}.images([]int{seed, seed + 1}) }
	store, err := NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	out, err := model.CallOnceN(goBackend(t), store, func(scope *model.Scope, a, b *Node) []*Node {
		a, b = floatImage(a), floatImage(b)
		whole := nn.Last(m.Encode(scope.At("one"), a)) // 2x4x4x16
		m.Grid = 2
		pooled := m.grid(scope.At("one"), a) // 2x4x16
		m.Grid = 0
		return []*Node{whole, pooled, m.Match(scope.At("one"), a, b), m.Match(scope.At("one"), a, a)}
	}, image(1), image(3))
	if err != nil {
		t.Fatal(err)
	}
	whole, pooled := matrix(t, out[0]), matrix(t, out[1])
	for i := range 2 {
		for y := range 2 {
			for x := range 2 {
				for c := range 16 {
					at := func(dy, dx int) float64 { return whole[i*16+(2*y+dy)*4+2*x+dx][c] }
					want := (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4
					if got := pooled[i*4+y*2+x][c]; math.Abs(got-want) > 1e-6 {
						t.Fatalf("image %d, place (%d, %d), channel %d: %g, want %g", i, y, x, c, got, want)
					}
				}
			}
		}
	}
	if got := fmt.Sprint(out[2].Shape().Dimensions); got != "[2 16]" {
		t.Errorf("matches are %s, want [2 16]", got)
	}
	for i, row := range out[3].Value().([][]int32) {
		for p, match := range row {
			// An image corresponds to itself, but for places that look alike: gratings repeat.
			if inner(unitRow(whole[i*16+p]), unitRow(whole[i*16+int(match)])) < 1-1e-5 {
				t.Errorf("image %d, place %d corresponds to %d in itself", i, p, match)
			}
		}
	}
}
