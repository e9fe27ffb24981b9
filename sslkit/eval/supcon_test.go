package eval

import (
	"errors"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/optim"
	"github.com/sslkit/lab/sslkit/view"
)

func newSupCon(labels []int32, classes int) *SupCon {
	return &SupCon{SimCLR: sslkit.SimCLR{Backbone: nn.ResNet(8, 4), View: view.Recipe{Flip: true}, Head: "mlp", Dim: 8, Temperature: 0.2},
		Labels: labels, Classes: classes}
}

// Labels decide what lies together, not looks: of bars at four heights those of one class meet, whichever the classes are.
func TestSupConObeysLabels(t *testing.T) {
	backend := quickBackend(t)
	d := bars{n: 64, classes: 4, batch: 32}
	for name, class := range map[string][4]int32{"every other": {0, 1, 0, 1}, "neighbours": {0, 0, 1, 1}} {
		labels := make([]int32, d.n)
		for i := range labels {
			labels[i] = class[i%4]
		}
		m := newSupCon(labels, 2)
		if err := m.Validate(); err != nil {
			t.Fatal(err)
		}
		r := sslkit.Run{Method: m, Backend: backend, Train: d, Epochs: 12, Seed: 1, Optimizer: optim.SGD{Rate: optim.Constant(0.1), Momentum: 0.9}}
		if _, err := r.Pretrain(t.Context()); err != nil {
			t.Fatal(err)
		}
		features, err := sslkit.Features(t.Context(), backend, r.Store, m, bars{n: 64, classes: 4, batch: 32, seed: 1}, func(maps []*Node) []*Node {
			return []*Node{L2Normalize(nn.Pool(nn.Last(maps)), -1)}
		})
		if err != nil {
			t.Fatal(err)
		}
		cosine := func(i, j int) (sum float64) { // of bars at two heights, the mean
			for a := i; a < 64; a += 4 {
				for b := j; b < 64; b += 4 {
					for k, v := range features[0][a] {
						sum += float64(v*features[0][b][k]) / 256
					}
				}
			}
			return sum
		}
		alternate, near := (cosine(0, 2)+cosine(1, 3))/2, (cosine(0, 1)+cosine(2, 3))/2
		together, apart := alternate, near
		if class[0] == class[1] {
			together, apart = near, alternate
		}
		t.Logf("%s: cosine %.3f together, %.3f apart", name, together, apart)
		if together < apart+0.1 {
			t.Errorf("%s: bars of one class have a cosine of %.3f, of two classes %.3f", name, together, apart)
		}
	}
}

func TestSupConSeesTrainingLabelsOnly(t *testing.T) {
	d := bars{n: 64, classes: 2, batch: 32}
	r := sslkit.Run{Method: newSupCon(d.labels()[:40], 2), Backend: quickBackend(t), Train: d, Epochs: 1, Seed: 1, Optimizer: optim.SGD{Rate: optim.Constant(0.01)}}
	if _, err := r.Pretrain(t.Context()); !errors.Is(err, sslkit.ErrDiverged) {
		t.Errorf("error %v, want ErrDiverged: images 40 to 63 have no label", err)
	}
}

func TestSupConTeach(t *testing.T) {
	m := newSupCon(nil, 0)
	taught, err := m.Teach([]int32{0, 1, 2}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if s := taught.(*SupCon); len(s.Labels) != 3 || s.Classes != 3 || m.Labels != nil || m.Classes != 0 { // else its key would be another's
		t.Errorf("taught %+v, and before %+v", s, m)
	}
	_, err = m.Teach([]int32{0, 3}, 3)
	wantError(t, "a label beyond the classes", err, "label 1 is 3")
	_, err = m.Teach([]int32{0, 0}, 1)
	wantError(t, "one class", err, "1 classes")
	m.Classes = 2
	wantError(t, "classes without labels", m.Validate(), "leave them out")
	m.Classes, m.Temperature = 0, 0
	wantError(t, "temperature", m.Validate(), "temperature 0")
	if _, err = m.Teach([]int32{0, 1}, 2); err == nil {
		t.Error("it is taught with a temperature of 0")
	}
}
