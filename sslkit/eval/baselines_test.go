package eval

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/pjrt"
)

func newSupervised(d bars) *Supervised {
	return &Supervised{Backbone: nn.ResNet(8, 4), Classes: d.classes, Labels: d.labels()}
}

// toy is a network that was trained to tell the bars of train apart.
type toy struct {
	m           *Supervised
	store       *model.Store
	history     sslkit.History
	train, test bars
}

var trainToy = sync.OnceValues(func() (toy, error) {
	backend, _, err := pjrt.Open()
	if err != nil {
		return toy{}, err
	}
	d := toy{train: bars{n: 96, classes: 2, batch: 32}, test: bars{n: 64, classes: 2, batch: 32, seed: 1}}
	d.m = newSupervised(d.train)
	d.m.Flip, d.m.Pad = true, 1 // mirrored bars are the same; training draws random numbers
	r := sslkit.Run{Method: d.m, Backend: backend, Train: d.train, Epochs: 16, Seed: 1,
		Optimizer: optim.SGD{Rate: optim.Constant(0.05), Momentum: 0.9}}
	d.history, err = r.Pretrain(context.Background())
	d.store = r.Store
	return d, err
})

// fixture is trained once: tests must leave it as it is, which is the point of several.
func fixture(t testing.TB) toy {
	t.Helper()
	d, err := trainToy()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSupervisedLearns(t *testing.T) {
	d := fixture(t)
	m, store, test := d.m, d.store, d.test
	if a := d.history.Reports["accuracy"]; a[len(a)-1] < 0.9 {
		t.Errorf("training accuracy %v", a)
	}
	got, err := m.Test(context.Background(), testBackend(t), store, test, test.labels(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got.Test < 0.9 || math.Abs(got.Balanced-got.Test) > 1e-9 { // the classes are equal
		t.Errorf("test accuracy %+v", got)
	}
	wrong := test.labels()
	for i := range wrong {
		wrong[i] = 1 - wrong[i]
	}
	other, err := m.Test(context.Background(), testBackend(t), store, test, wrong, nil)
	if err != nil || math.Abs(got.Test+other.Test-1) > 1e-9 {
		t.Errorf("accuracy %g of labels turned around, want %g; error %v", other.Test, 1-got.Test, err)
	}
	for i := range wrong {
		wrong[i] = 2
	}
	_, err = m.Test(context.Background(), testBackend(t), store, test, wrong, nil)
	wantError(t, "label 2 of 2", err, "want 0 to 1")

	fresh, err := sslkit.NewStore(1)
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Test(context.Background(), testBackend(t), fresh, test, test.labels(), nil)
	wantError(t, "an empty store", err, "lacks", "RandomInit")
}

// Training sees the labels of its own images only: with those of other images, or with an index beyond them, it must not
// go on with wrong ones.
func TestSupervisedSeesTrainingLabelsOnly(t *testing.T) {
	d := bars{n: 64, classes: 2, batch: 32}
	m := newSupervised(d)
	m.Labels = m.Labels[:40]
	r := sslkit.Run{Method: m, Backend: quickBackend(t), Train: d, Epochs: 1, Seed: 1, Optimizer: optim.SGD{Rate: optim.Constant(0.01)}}
	if _, err := r.Pretrain(context.Background()); !errors.Is(err, sslkit.ErrDiverged) {
		t.Errorf("error %v, want ErrDiverged: images 40 to 63 have no label", err)
	}

	store := fixture(t).store
	v := store.GetVariable("/labels")
	if v == nil || v.Trainable || v.Shape().Size() != 96 {
		t.Errorf("variable %v: want the 96 training labels, not to be trained", v)
	}
	for path := range contents(t, store) {
		if strings.Contains(path, "label") && path != "/labels" {
			t.Errorf("variable %s", path)
		}
	}
}

func TestLabelsOf(t *testing.T) {
	store := model.NewStore()
	exec := model.MustNewExec(quickBackend(t), store, func(scope *model.Scope, index *Node) *Node {
		return labelsOf(scope, []int32{5, 6, 7}, index)
	})
	got := exec.MustCall([]int32{2, 0, 3, -1, 1, math.MaxInt32})[0].Value().([]int32)
	if want := []int32{7, 5, -1, -1, 6, -1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestSupervisedValidate(t *testing.T) {
	d := bars{n: 4, classes: 2}
	if err := newSupervised(d).Validate(); err != nil {
		t.Error(err)
	}
	for want, change := range map[string]func(*Supervised){
		"no labels":         func(m *Supervised) { m.Labels = nil },
		"label 3 is 2":      func(m *Supervised) { m.Labels[3] = 2 },
		"pad -1":            func(m *Supervised) { m.Pad = -1 },
		"unknown backbone ": func(m *Supervised) { m.Backbone.Arch = "vgg" },
	} {
		m := newSupervised(d)
		change(m)
		wantError(t, want, m.Validate(), want)
	}
}

func TestRandomInit(t *testing.T) {
	d := bars{n: 40, classes: 2, batch: 16}
	m := newSupervised(d)
	var stores []map[string]string
	for _, seed := range []int64{1, 1, 2} {
		store, err := RandomInit(context.Background(), quickBackend(t), m, d, seed)
		if err != nil {
			t.Fatal(err)
		}
		stores = append(stores, contents(t, store))
		statistics := 0
		for v := range store.IterVariables() {
			want := float32(0)
			switch v.Name() {
			case "variance":
				want = 1
				fallthrough
			case "mean":
				statistics++
				for _, x := range v.MustValue().Value().([]float32) {
					if x != want {
						t.Errorf("%s is %g, want %g", v.Path(), x, want)
					}
				}
			}
		}
		if statistics == 0 {
			t.Error("there are no running statistics")
		}
	}
	if !maps.Equal(stores[0], stores[1]) {
		t.Error("one seed gave two networks")
	}
	if maps.Equal(stores[0], stores[2]) {
		t.Error("two seeds gave one network")
	}
	_, err := RandomInit(context.Background(), quickBackend(t), m, bars{classes: 2, batch: 16}, 1)
	wantError(t, "no images", err, "bars is empty")
}

// Fitted statistics are what batch norm measures of these images; all else stays as it was drawn.
func TestFitNorms(t *testing.T) {
	d := bars{n: 40, classes: 2, batch: 16}
	m := newSupervised(d)
	store, err := RandomInit(context.Background(), quickBackend(t), m, d, 1)
	if err != nil {
		t.Fatal(err)
	}
	before := contents(t, store)
	if err := FitNorms(context.Background(), quickBackend(t), store, m, d); err != nil {
		t.Fatal(err)
	}
	for path, value := range contents(t, store) {
		statistic := strings.HasSuffix(path, "/mean") || strings.HasSuffix(path, "/variance")
		if changed := value != before[path]; changed != statistic {
			t.Errorf("%s: changed is %v, is a statistic %v", path, changed, statistic)
		}
	}
	// After fitting, features hardly depend on the mode: in training mode a batch's own statistics count.
	evaluated, err := sslkit.Features(context.Background(), quickBackend(t), store, m, d, Pooled)
	if err != nil {
		t.Fatal(err)
	}
	trained, err := sslkit.Features(context.Background(), quickBackend(t), store, inTraining{m}, d, Pooled)
	if err != nil {
		t.Fatal(err)
	}
	// Batches of 16 images differ from the average of many; 30 % of the features' size is far from the
	// several hundred per cent by which unfitted ones are off.
	for s := range evaluated {
		var off, size float64
		for i, row := range evaluated[s] {
			for j, v := range row {
				off += math.Abs(float64(v - trained[s][i][j]))
				size += math.Abs(float64(v))
			}
		}
		if off > 0.3*size {
			t.Errorf("stage %d: features in the two modes differ by %.2f of their size", s+1, off/size)
		}
	}
	wantError(t, "no images", FitNorms(context.Background(), quickBackend(t), store, m, bars{classes: 2, batch: 16}), "bars is empty")
}
