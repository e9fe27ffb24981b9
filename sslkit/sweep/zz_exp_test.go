package sweep

import (
	"os"
	"strconv"
	"testing"
	"time"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/pjrt"
)

func TestExp(t *testing.T) {
	if os.Getenv("EXP") == "" {
		t.Skip()
	}
	n := func(k string) int { v, _ := strconv.Atoi(os.Getenv(k)); return v }
	backend, _, err := pjrt.Open()
	if err != nil {
		t.Fatal(err)
	}
	c, _ := Rotation(Smoke, "fashion-mnist-10k")
	c.Data.Train, c.Data.Test, c.Epochs, c.Batch = n("TRAIN"), 1000, n("EPOCHS"), n("BATCH")
	m := c.Method.Rotation
	m.Backbone = nn.NIN(n("BLOCKS"), n("WIDTH"))
	b := bench{c, backend, nil, nil}
	b.train, b.test, _ = c.Data.open(t.Context(), data.OpenOptions{})
	for seed := range int64(n("SEEDS")) {
		for name, f := range map[string]func() *model.Store{
			"random  ": func() *model.Store { return b.untrained(t, m, seed) },
			"rotation": func() *model.Store { return b.trained(t, m, seed) },
			"mistaken": func() *model.Store { return b.trained(t, mistaken{m}, seed) },
		} {
			began := time.Now()
			store := f()
			took := time.Since(began)
			in, _ := inOrder(b.train)
			te, _ := inOrder(b.test)
			read := func(maps []*Node) []*Node { return eval.Pooled(maps) }
			a, err := sslkit.Features(t.Context(), backend, store, m, in.loader, read)
			if err != nil {
				t.Fatal(err)
			}
			z, _ := sslkit.Features(t.Context(), backend, store, m, te.loader, read)
			var out []float64
			for i := range a {
				fit, _ := eval.Linear{Side: 1, L2: 1e-3, Iterations: 50}.Fit(t.Context(), backend, eval.Set{Features: a[i], Labels: in.labels}, eval.Set{Features: z[i], Labels: te.labels}, 10, 0)
				hits := 0
				for j, k := range eval.KNN(a[i], in.labels, z[i], 20, 10, .07) {
					if k == te.labels[j] {
						hits++
					}
				}
				out = append(out, float64(hits)/1000, fit.Test)
			}
			t.Logf("seed %d %s knn,lin per block %.3f  trained %v all %v", seed, name, out, took.Round(time.Second), time.Since(began).Round(time.Second))
		}
	}
}
