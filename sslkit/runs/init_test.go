package runs

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/published"
	"github.com/sslkit/lab/sslkit/recipe"
)

// exported is a tiny run of a residual network, and its encoder as others would publish it.
func exported(t *testing.T, s *Store, seed int64) (c sslkit.Config, file string) {
	t.Helper()
	c = labtest.Tiny(t)
	c.Seed = seed
	*sslkit.Backbone(c.Method) = nn.ResNet(8, 4)
	j, err := s.Trained(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	out, err := published.Export(j.Store, nn.ResNet(8, 4), 12)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "encoder")
	if err := published.Write(dir, out, published.Origin{Backbone: nn.ResNet(8, 4), Channels: 3, Size: 12}); err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// An encoder that went out and comes in again is measured as it was; so it is where a method starts from it, and makes no step to
// speak of. The key has the file's digest, wherever the file is.
func TestInit(t *testing.T) {
	if testing.Short() {
		t.Skip("trains four networks")
	}
	s, _ := newStore(t)
	c, file := exported(t, s, 1)
	_, other := exported(t, s, 2)
	o := labtest.Quick()
	want, err := s.Evaluate(t.Context(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	given := recipe.Given(c, nn.ResNet(8, 4), "theirs")
	given.Init = &sslkit.Init{File: file}
	got, err := s.Evaluate(t.Context(), given, o)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Stages, want.Stages) {
		t.Errorf("out and in again it does\n%+v, before\n%+v", got.Stages, want.Stages)
	}

	started := c
	started.Init, started.Optimizer.Rate, started.Epochs = &sslkit.Init{File: file}, 1e-9, 1
	r := pretrain(t, s, started)
	if r.Key == keyOf(t, s, func() sslkit.Config { d := started; d.Init = nil; return d }()) {
		t.Error("a run from a file has the key of one from random parameters")
	}
	if !strings.HasPrefix(r.Config.Init.Digest, "sha256:") || !filepath.IsAbs(r.Config.Init.File) {
		t.Errorf("the record says %+v", r.Config.Init)
	}
	a, err := s.Trained(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.Trained(t.Context(), started)
	if err != nil {
		t.Fatal(err)
	}
	// A rate of 1e-9 moves no weight by more than a ten-millionth in five steps.
	for v := range a.Store.Scope("/encoder").IterVariables() {
		if !strings.HasSuffix(v.Path(), "weights") {
			continue
		}
		x, y := flatOf(t, v), flatOf(t, b.Store.GetVariable(v.Path()))
		for i := range x {
			if d := x[i] - y[i]; d > 1e-6 || d < -1e-6 {
				t.Errorf("%s begins with %g, not %g", v.Path(), y[i], x[i])
				break
			}
		}
	}

	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.CopyFS(moved, os.DirFS(file)); err != nil {
		t.Fatal(err)
	}
	same, others := started, started
	same.Init, others.Init = &sslkit.Init{File: moved}, &sslkit.Init{File: other}
	if keyOf(t, s, same) != r.Key || keyOf(t, s, others) == r.Key {
		t.Error("the key follows from where the file is, or not from what it holds")
	}
	if err := os.RemoveAll(file); err != nil { // a finished run needs none
		t.Fatal(err)
	}
	again := started
	again.Init = r.Config.Init
	if found := pretrain(t, s, again); !reflect.DeepEqual(found.History, r.History) {
		t.Error("a finished run is made again")
	}
}

func flatOf(t *testing.T, v *model.Variable) []float32 {
	t.Helper()
	value, err := v.Value()
	if err != nil {
		t.Fatal(err)
	}
	return tensors.MustCopyFlatData[float32](value)
}

func TestInitMistakes(t *testing.T) {
	s, _ := newStore(t)
	c, file := exported(t, s, 1)
	begin := func(init sslkit.Init, b nn.Backbone) error {
		d := labtest.Tiny(t)
		*sslkit.Backbone(d.Method), d.Init = b, &init
		_, err := s.Pretrain(t.Context(), d)
		return err
	}
	fits := nn.ResNet(8, 4)
	labtest.WantError(t, "no file", begin(sslkit.Init{File: "missing"}, fits), "missing")
	labtest.WantError(t, "another file", begin(sslkit.Init{File: file, Digest: "sha256:00"}, fits), "has changed", "bring the old file back")
	labtest.WantError(t, "a digest alone", begin(sslkit.Init{Digest: "sha256:00"}, fits), "give its path")
	labtest.WantError(t, "nothing", begin(sslkit.Init{}, fits), "names no file")
	labtest.WantError(t, "another width", begin(sslkit.Init{File: file}, nn.ResNet(8, 8)), "the store's /encoder/", "holds another encoder")
	labtest.WantError(t, "another depth", begin(sslkit.Init{File: file}, nn.ResNet(14, 4)), "missing: layer1.1.conv1.weight")
	narrow := recipe.Given(c, nn.ResNet(8, 8), "")
	narrow.Init = &sslkit.Init{File: file}
	labtest.WantError(t, "before a table is begun", s.Trainable(t.Context(), narrow), "holds another encoder")
	random := recipe.RandomInit(c)
	random.Init = &sslkit.Init{File: file}
	labtest.WantError(t, "random parameters out of a file", random.Validate(), "leave init out")
	labtest.WantError(t, "a file's encoder without a file", recipe.Given(c, fits, "").Validate(), "name one (--init)")
	if m := (&eval.Given{}); sslkit.TitleOf(m) != "given" {
		t.Errorf("it is called %q", sslkit.TitleOf(m))
	}
}
