package sslkit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
)

// A key that changes orphans the records that users have. Who means it, by a new field without omitempty for example,
// changes these too and says so in CHANGELOG.
func TestKeysStay(t *testing.T) {
	c := labtest.Full()
	supervised, random := c, c
	supervised.Method = &eval.Supervised{Backbone: nn.ResNet(8, 4), Pad: 1}
	random.Method = &eval.Random{Backbone: nn.ResNet(8, 4)}
	for _, test := range []struct {
		name string
		c    sslkit.Config
		want string
	}{
		{"rotation", c, "0aff8dde6ae1ac50"},
		{"supervised", supervised, "5b750bdde7368c01"},
		{"random", random, "d4c1c1e2658658ad"},
		{"random init", recipe.RandomInit(c), "af497646081c3f33"},
	} {
		if got := test.c.Key(); got != test.want {
			t.Errorf("%s: key %s, want %s", test.name, got, test.want)
		}
	}
}

// One device is what there was before there were several.
func TestDevicesInTheKey(t *testing.T) {
	c := labtest.Full()
	one, err := c.With("devices", 1)
	if err != nil || one.Devices != 0 || one.Key() != c.Key() {
		t.Errorf("devices %d, key %s, want none and %s; %v", one.Devices, one.Key(), c.Key(), err)
	}
	if c.Devices = 1; c.Key() != one.Key() {
		t.Errorf("key %s of 1 device, %s of none said", c.Key(), one.Key())
	}
	two, err := c.With("devices", 2)
	if err != nil || two.Devices != 2 || two.Key() == one.Key() {
		t.Errorf("devices %d, key %s as that of one; %v", two.Devices, two.Key(), err)
	}
}

// Float32 is what there was before there was another precision.
func TestPrecisionInTheKey(t *testing.T) {
	c := labtest.Full()
	usual, err := c.With("precision", "float32")
	if err != nil || usual.Precision != "" || usual.Key() != c.Key() {
		t.Errorf("precision %q, key %s, want none and %s; %v", usual.Precision, usual.Key(), c.Key(), err)
	}
	half, err := c.With("precision", sslkit.BF16)
	if err != nil || half.Key() == c.Key() {
		t.Errorf("key %s as that of float32; %v", half.Key(), err)
	}
	half.Precision = "bf17"
	labtest.WantError(t, "precision", half.Validate(), `precision "bf17"`, "float32 or bf16")
}

func TestKeyFollowsRevision(t *testing.T) {
	c := labtest.Full()
	now := c.Revision()
	if now.Number != 1 || now.Source != "" || c.KeyAt(now) != c.Key() {
		t.Errorf("revision %+v of a method that says none", now)
	}
	seen := map[string]bool{c.Key(): true}
	for _, r := range []sslkit.Revision{{Number: 2}, {Number: 1, Source: "a"}, {Number: 1, Source: "b"}} {
		key := c.KeyAt(r)
		if seen[key] {
			t.Errorf("%+v has the key of another revision", r)
		}
		seen[key] = true
	}
}

func TestKeyFollowsEveryField(t *testing.T) {
	supervised := labtest.Full()
	supervised.Method = &eval.Supervised{Backbone: nn.NIN(4, 24), Classes: 3, Pad: 3, Flip: true}
	random := labtest.Full()
	random.Method = &eval.Random{Backbone: nn.NIN(4, 24)}
	// From nothing too: an omitted field must not hide behind its zero.
	empty := sslkit.Config{Method: &sslkit.Rotation{}}
	for name, base := range map[string]sslkit.Config{"rotation": labtest.Full(), "supervised": supervised, "random": random, "empty": empty} {
		text, err := json.Marshal(base)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]string{base.Key(): "no change"}
		n := 0
		change(reflect.ValueOf(&base).Elem(), name, func(path string) {
			n++
			key := base.Key()
			if other, found := seen[key]; found {
				t.Errorf("a change of %s has the key of %s", path, other)
			}
			seen[key] = path
		})
		if n < 20 {
			t.Errorf("%s: only %d fields were changed", name, n)
		}
		if after, _ := json.Marshal(base); !bytes.Equal(text, after) {
			t.Fatalf("%s: the walk left a change behind:\n%s\n%s", name, text, after)
		}
	}
}

// change calls visit with each field within v changed in turn.
func change(v reflect.Value, path string, visit func(path string)) {
	set := func(x any) {
		old := reflect.ValueOf(v.Interface())
		v.Set(reflect.ValueOf(x).Convert(v.Type()))
		visit(path)
		v.Set(old)
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Tag.Get("json") != "-" {
				change(v.Field(i), path+"."+f.Name, visit)
			}
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			change(v.Elem(), path, visit)
		}
	case reflect.Slice: // of ints
		old := v.Interface().([]int)
		set(append(slices.Clone(old), 90))
		if len(old) > 0 {
			set(old[1:])
			changed := slices.Clone(old)
			changed[0]++
			set(changed)
		}
	case reflect.String:
		set(v.String() + "x")
	case reflect.Bool:
		set(!v.Bool())
	case reflect.Int, reflect.Int64:
		if strings.HasSuffix(path, ".Devices") && v.Int() == 0 {
			set(2) // 1 is the same
			break
		}
		set(v.Int() + 1)
	case reflect.Float64:
		set(math.Nextafter(v.Float(), math.Inf(1))) // by the least bit
	default:
		panic(fmt.Sprintf("%s: teach this test about fields of %s", path, v.Kind()))
	}
}

func TestReadConfigRoundTrip(t *testing.T) {
	paper, err := recipe.Rotation(sslkit.Paper, "cifar10")
	if err != nil {
		t.Fatal(err)
	}
	lars := paper
	lars.Optimizer = sslkit.Optimizer{Kind: "lars", Rate: 1, Momentum: 0.9, WeightDecay: 1e-6, Warmup: 10}
	for _, want := range []sslkit.Config{paper, recipe.Supervised(paper), recipe.RandomInit(paper), lars} {
		text, err := json.MarshalIndent(want, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		got, err := sslkit.ReadConfig(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) || got.Key() != want.Key() {
			t.Errorf("%s: read as %+v", text, got)
		}
	}
}

func TestReadConfigIsStrict(t *testing.T) {
	good, err := recipe.Rotation(sslkit.Smoke, "fashion-mnist-10k")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	replace := func(old, new string) string {
		t.Helper()
		if !bytes.Contains(text, []byte(old)) {
			t.Fatalf("%s has no %s", text, old)
		}
		return strings.Replace(string(text), old, new, 1)
	}
	for _, test := range []struct {
		text string
		want []string
	}{
		{replace(`"epochs"`, `"epochz"`), []string{`unknown field "epochz"`, `did you mean "epochs"?`}},
		{replace(`"method"`, `"methods"`), []string{`did you mean "method"?`}},
		{replace(`"rotation"`, `"rotatoin"`), []string{`sslkit: no method is called "rotatoin"; did you mean "rotation"?`}},
		{replace(`"rotation"`, `"nonesuch"`), []string{`sslkit: no method is called "nonesuch"; known: colorization, `}},
		{replace(`{"rotation"`, `{"simclr":{},"rotation"`), []string{"2 methods are given"}},
		{replace(`"warmup"`, `"warm_up"`), []string{`did you mean "optimizer.warmup"?`}},
		{replace(`"angles"`, `"angels"`), []string{`did you mean "method.rotation.angles"?`}},
		{replace(`"seed"`, `"weather"`), []string{`unknown field "weather"`, "known: method, data.name", "data.per_photo", "data.digest", "optimizer.weight_decay", "epochs", "seed", "backend"}},
		{replace(`"epochs":3`, `"epochs":"3"`), []string{"epochs", "string"}},
		{replace(`"epochs":3`, `"epochs":0`), []string{"0 epochs: choose at least 1"}}, // it is validated too
		{string(text) + string(text), []string{"more after its end"}},
		{string(text[:len(text)-1]), []string{"unexpected EOF"}},
		{"", []string{"sslkit: the configuration: EOF"}},
		{"[]", []string{"cannot unmarshal array"}},
	} {
		_, err := sslkit.ReadConfig(strings.NewReader(test.text))
		labtest.WantError(t, test.text, err, test.want...)
	}
	if _, err := sslkit.ReadConfig(strings.NewReader(string(text) + "\n \n")); err != nil {
		t.Errorf("space after the end: %v", err)
	}
}

func TestValidate(t *testing.T) {
	rotation := func(edit func(*sslkit.Rotation)) func(*sslkit.Config) {
		return func(c *sslkit.Config) { edit(c.Method.(*sslkit.Rotation)) }
	}
	for _, test := range []struct {
		edit func(*sslkit.Config)
		want string
	}{
		{func(c *sslkit.Config) { c.Method = nil }, "no method is given: name one of colorization, "},
		{func(c *sslkit.Config) { c.Method = stranger{} }, "the method sslkit_test.stranger is not registered"},
		{rotation(func(m *sslkit.Rotation) { m.Angles = []int{90} }), "at least 2 angles"},
		{rotation(func(m *sslkit.Rotation) { m.Backbone.Width = 7 }), "multiple of 6"},
		{func(c *sslkit.Config) { *c = recipe.Supervised(*c); c.Method.(*eval.Supervised).Backbone.Arch = "vgg" }, `"resnet"`},
		{func(c *sslkit.Config) { *c = recipe.Supervised(*c); c.Method.(*eval.Supervised).Classes = 10 }, "leave them out"},
		{func(c *sslkit.Config) { *c = recipe.RandomInit(*c); c.Method.(*eval.Random).Backbone.Depth = 9 }, "3, 4 or 5 blocks"},
		{func(c *sslkit.Config) { *c = recipe.RandomInit(*c); c.Epochs = 3 }, "leave out epochs, batch, devices, precision and optimizer"},
		{func(c *sslkit.Config) { *c = recipe.RandomInit(*c); c.Batch = 3 }, "leave out epochs, batch, devices, precision and optimizer"},
		{func(c *sslkit.Config) { *c = recipe.RandomInit(*c); c.Optimizer.Factor = 1 }, "leave out epochs, batch, devices, precision and optimizer"},
		{func(c *sslkit.Config) { c.Data.Name = "" }, "'sslkit data' lists them"},
		{func(c *sslkit.Config) { c.Data.Train = -1 }, "choose numbers above 0, or 0 for all"},
		{func(c *sslkit.Config) { c.Data.Test = -1 }, "choose numbers above 0, or 0 for all"},
		{func(c *sslkit.Config) { c.Batch = 0 }, "batch of 0: choose at least 1"},
		{func(c *sslkit.Config) { c.Devices = -1 }, "-1 devices: choose at least 1"},
		{func(c *sslkit.Config) { c.Batch, c.Devices = 15, 2 }, "a batch of 15 cannot be divided among 2 devices"},
		{func(c *sslkit.Config) { c.Precision = "bf17" }, "choose float32 or bf16"},
		{func(c *sslkit.Config) { c.Epochs = 0 }, "0 epochs: choose at least 1"},
		{func(c *sslkit.Config) { c.Optimizer.Kind = "adam" }, `no optimizer is called "adam": choose sgd, lars or adamw`},
		{func(c *sslkit.Config) { c.Optimizer.Kind = "lars" }, "lars has no Nesterov momentum"},
		{func(c *sslkit.Config) { c.Optimizer.Rate = 0 }, "above 0"},
		{func(c *sslkit.Config) { c.Optimizer.Rate = math.NaN() }, "above 0"},
		{func(c *sslkit.Config) { c.Optimizer.Rate = math.Inf(1) }, "must be finite and above 0"},
		{func(c *sslkit.Config) { c.Optimizer.Momentum = 1 }, "must be in [0, 1)"},
		{func(c *sslkit.Config) { c.Optimizer.Momentum = 0 }, "Nesterov needs a Momentum"},
		{func(c *sslkit.Config) { c.Optimizer.WeightDecay = math.NaN() }, "WeightDecay is NaN"},
		{func(c *sslkit.Config) { c.Optimizer.Warmup = 200 }, "shorter than the 200 epochs"},
		{func(c *sslkit.Config) { c.Optimizer.Warmup = -1 }, "warm-up of -1"},
		{func(c *sslkit.Config) { c.Optimizer.Warmup = math.NaN() }, "warm-up of NaN"},
		{func(c *sslkit.Config) { c.Optimizer.Warmup = 1 }, "goes with the cosine"},
		{func(c *sslkit.Config) { c.Optimizer.Drops = []int{60, 30} }, "rising order"},
		{func(c *sslkit.Config) { c.Optimizer.Drops = []int{60, 60} }, "rising order"},
		{func(c *sslkit.Config) { c.Optimizer.Drops = []int{0, 60} }, "from 1"},
		{func(c *sslkit.Config) { c.Optimizer.Drops = []int{60, 200} }, "move the drops to earlier epochs"},
		{func(c *sslkit.Config) { c.Optimizer.Drops = nil }, "name the epochs of the drops, or leave it out"},
		{func(c *sslkit.Config) { c.Optimizer.Factor = 0 }, "between 0 and 1"},
		{func(c *sslkit.Config) { c.Optimizer.Factor = 1 }, "between 0 and 1"},
	} {
		c, err := recipe.Rotation(sslkit.Paper, "cifar10")
		if err != nil {
			t.Fatal(err)
		}
		test.edit(&c)
		labtest.WantError(t, fmt.Sprintf("%+v", c), c.Validate(), test.want)
	}
	labtest.WantError(t, "nothing", sslkit.Config{}.Validate(), "no method is given")
	nothing := sslkit.Config{Method: &sslkit.Rotation{}}
	labtest.WantError(t, "nothing", nothing.Validate(), "at least 2 angles", "no dataset", "0 epochs", "batch of 0", "no optimizer") // all at once
}

func TestVariants(t *testing.T) {
	c := labtest.Full()
	before, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}

	s := recipe.Supervised(c)
	var want sslkit.Config
	if again := recipe.Supervised(s); again.Key() != s.Key() {
		t.Errorf("supervised twice: %+v", again)
	}

	r := recipe.RandomInit(c)
	want = sslkit.Config{Method: &eval.Random{Backbone: c.Method.(*sslkit.Rotation).Backbone}, Data: c.Data, Seed: c.Seed, Backend: c.Backend}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("random init: %+v", r)
	}
	// One row serves all that is compared with it.
	other := c
	other.Epochs, other.Optimizer.Rate = 3, 1
	other.Method = &sslkit.Rotation{Backbone: c.Method.(*sslkit.Rotation).Backbone, Angles: []int{90, 270}}
	if recipe.RandomInit(other).Key() != r.Key() || recipe.RandomInit(s).Key() != r.Key() {
		t.Error("random init depends on how the method would be trained")
	}
	other.Seed++
	if recipe.RandomInit(other).Key() == r.Key() {
		t.Error("random init is the same for two seeds")
	}

	if after, _ := json.Marshal(c); !bytes.Equal(before, after) {
		t.Errorf("the variants changed what they were made of: %s", after)
	}
}

func TestWithEpochs(t *testing.T) {
	paper, err := recipe.Rotation(sslkit.Paper, "cifar10")
	if err != nil {
		t.Fatal(err)
	}
	smoke, err := recipe.Rotation(sslkit.Smoke, "cifar10")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		from   sslkit.Config
		epochs int
		drops  []int
		factor float64
	}{
		{paper, 200, []int{60, 120, 160}, 0.2},
		{paper, 100, []int{30, 60, 80}, 0.2},
		{paper, 4, []int{1, 2, 3}, 0.2},
		{paper, 3, []int{1, 2}, 0.2}, // 0.9, 1.8 and 2.4: only whole epochs
		{paper, 1, nil, 0},
		{smoke, 7, nil, 0},
	} {
		c := test.from.WithEpochs(test.epochs)
		o := c.Optimizer
		if c.Epochs != test.epochs || !slices.Equal(o.Drops, test.drops) || o.Factor != test.factor {
			t.Errorf("%d of %d epochs: %d, drops %v by %g; want %v by %g", test.epochs, test.from.Epochs, c.Epochs, o.Drops, o.Factor, test.drops, test.factor)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%d of %d epochs: %v", test.epochs, test.from.Epochs, err)
		}
	}
	if !slices.Equal(paper.Optimizer.Drops, []int{60, 120, 160}) {
		t.Errorf("the original's drops are %v now", paper.Optimizer.Drops)
	}
}

func TestLimits(t *testing.T) {
	c := labtest.Full()
	c.Epochs = math.MaxInt64
	labtest.WantError(t, "epochs", c.Validate(), "at most", "--epochs")
	c = labtest.Full()
	c.Batch = math.MaxInt64
	labtest.WantError(t, "batch", c.Validate(), "at most", "--batch")
	_, err := sslkit.ReadConfig(zeros{})
	labtest.WantError(t, "a configuration without end", err, "more than")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestWith(t *testing.T) {
	c := labtest.Full()
	c.Seed = 1<<62 + 1 // no float64 holds it
	for _, test := range []struct {
		path  string
		value any
		read  func(sslkit.Config) any
		want  any
	}{
		{"rate", 0.5, func(c sslkit.Config) any { return c.Optimizer.Rate }, 0.5},
		{"method.rotation.angles", []int{90, 270}, func(c sslkit.Config) any { return c.Method.(*sslkit.Rotation).Angles }, []int{90, 270}},
		{"backbone.width", 48, func(c sslkit.Config) any { return c.Method.(*sslkit.Rotation).Backbone.Width }, 48},
		{"test", 7, func(c sslkit.Config) any { return c.Data.Test }, 7},
		{"seed", 3, func(c sslkit.Config) any { return c.Seed }, int64(3)},
	} {
		before := c.Key()
		got, err := c.With(test.path, test.value)
		if err != nil {
			t.Errorf("%s: %v", test.path, err)
			continue
		}
		if v := test.read(got); !reflect.DeepEqual(v, test.want) {
			t.Errorf("%s: got %v, want %v", test.path, v, test.want)
		}
		if c.Key() != before {
			t.Errorf("%s: the original changed as well", test.path)
		}
		// Nothing else has changed: put back, it is the same run.
		if back, err := got.With(test.path, test.read(c)); err != nil || back.Key() != before {
			t.Errorf("%s: put back, the key is %s, want %s; %v", test.path, back.Key(), before, err)
		}
	}
	// An omitted field, and one within an omitted struct.
	c.Data.Size = 0
	if got, err := c.With("size", 16); err != nil || got.Data.Size != 16 {
		t.Errorf("size: %+v, %v", got.Data, err)
	}
}

func TestWithMistakes(t *testing.T) {
	for _, test := range []struct {
		path  string
		value any
		want  string
	}{
		{"tempereture", 1, "no field is called"},
		{"rates", 1, `did you mean "optimizer.rate"`},
		{"rate", "fast", "optimizer.rate"},
		{"classes", 3, "no field is called"}, // of another method
		{"method.supervised.flip", true, "no field is called"},
	} {
		if _, err := labtest.Full().With(test.path, test.value); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.path, err, test.want)
		}
	}
	ambiguous := sslkit.Config{Method: &eval.Random{}}
	if _, err := ambiguous.With("", 1); err == nil {
		t.Error("an empty path names a field")
	}
}
