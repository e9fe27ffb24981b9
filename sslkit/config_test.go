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

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
)

// full has a value in every field but those of methods that it cannot have as well.
func full() Config {
	return Config{
		Method:    Method{Rotation: &sslkit.Rotation{Backbone: nn.NIN(4, 24), Angles: []int{0, 180}, Pad: 3, Flip: true}},
		Data:      Data{Name: "photos", Size: 24, PerPhoto: 8, Train: 1000, Test: 500},
		Epochs:    10,
		Batch:     32,
		Optimizer: Optimizer{Kind: "sgd", Rate: 0.2, Momentum: 0.8, Nesterov: true, WeightDecay: 1e-4, Warmup: 1, Drops: []int{4, 8}, Factor: 0.3},
		Seed:      7,
		Backend:   "go",
	}
}

// A key that changes orphans the records that users have. Who means it, by a new field without omitempty for example,
// changes these too and says so in CHANGELOG.
func TestKeysStay(t *testing.T) {
	c := full()
	supervised, random := c, c
	supervised.Method = Method{Supervised: &eval.Supervised{Backbone: nn.ResNet(8, 4), Pad: 1}}
	random.Method = Method{Random: &Random{Backbone: nn.ResNet(8, 4)}}
	for _, test := range []struct {
		name string
		c    Config
		want string
	}{
		{"rotation", c, "0aff8dde6ae1ac50"},
		{"supervised", supervised, "5b750bdde7368c01"},
		{"random", random, "d4c1c1e2658658ad"},
		{"random init", c.RandomInit(), "af497646081c3f33"},
	} {
		if got := test.c.Key(); got != test.want {
			t.Errorf("%s: key %s, want %s", test.name, got, test.want)
		}
	}
}

func TestKeyFollowsRevision(t *testing.T) {
	c := full()
	before := c.Key()
	old := revisions
	defer func() { revisions = old }()
	revisions = map[string]int{"rotation": revision("rotation") + 1}
	if c.Key() == before {
		t.Error("a new revision of the method has the key of the old one")
	}
}

func TestKeyFollowsEveryField(t *testing.T) {
	supervised := full()
	supervised.Method = Method{Supervised: &eval.Supervised{Backbone: nn.NIN(4, 24), Classes: 3, Pad: 3, Flip: true}}
	random := full()
	random.Method = Method{Random: &Random{Backbone: nn.NIN(4, 24)}}
	// From nothing too: an omitted field must not hide behind its zero.
	empty := Config{Method: Method{Rotation: &sslkit.Rotation{}}}
	for name, base := range map[string]Config{"rotation": full(), "supervised": supervised, "random": random, "empty": empty} {
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
	case reflect.Pointer:
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
		set(v.Int() + 1)
	case reflect.Float64:
		set(math.Nextafter(v.Float(), math.Inf(1))) // by the least bit
	default:
		panic(fmt.Sprintf("%s: teach this test about fields of %s", path, v.Kind()))
	}
}

func TestReadConfigRoundTrip(t *testing.T) {
	paper, err := Rotation(Paper, "cifar10")
	if err != nil {
		t.Fatal(err)
	}
	lars := paper
	lars.Optimizer = Optimizer{Kind: "lars", Rate: 1, Momentum: 0.9, WeightDecay: 1e-6, Warmup: 10}
	for _, want := range []Config{paper, paper.Supervised(), paper.RandomInit(), lars} {
		text, err := json.MarshalIndent(want, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadConfig(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) || got.Key() != want.Key() {
			t.Errorf("%s: read as %+v", text, got)
		}
	}
}

func TestReadConfigIsStrict(t *testing.T) {
	good, err := Rotation(Smoke, "fashion-mnist-10k")
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
		{replace(`"warmup"`, `"warm_up"`), []string{`did you mean "optimizer.warmup"?`}},
		{replace(`"angles"`, `"angels"`), []string{`did you mean "method.rotation.angles"?`}},
		{replace(`"seed"`, `"weather"`), []string{`unknown field "weather"`, "known: ", "method.rotation.angles", "method.rotation.backbone.arch",
			"method.supervised.pad", "method.random.backbone.width", "data.per_photo", "optimizer.weight_decay", "epochs", "seed", "backend"}},
		{replace(`"epochs":3`, `"epochs":"3"`), []string{"epochs", "string"}},
		{replace(`"epochs":3`, `"epochs":0`), []string{"0 epochs: choose at least 1"}}, // it is validated too
		{string(text) + string(text), []string{"more after its end"}},
		{string(text[:len(text)-1]), []string{"unexpected EOF"}},
		{"", []string{"sweep: the configuration: EOF"}},
		{"[]", []string{"cannot unmarshal array"}},
	} {
		_, err := ReadConfig(strings.NewReader(test.text))
		wantError(t, test.text, err, test.want...)
	}
	if _, err := ReadConfig(strings.NewReader(string(text) + "\n \n")); err != nil {
		t.Errorf("space after the end: %v", err)
	}
}

func TestValidate(t *testing.T) {
	rotation := func(edit func(*sslkit.Rotation)) func(*Config) {
		return func(c *Config) { edit(c.Method.Rotation) }
	}
	for _, test := range []struct {
		edit func(*Config)
		want string
	}{
		{func(c *Config) { c.Method = Method{} }, "0 methods are given: name one of colorization, "},
		{func(c *Config) { c.Method.Random = new(Random) }, "2 methods are given"},
		{func(c *Config) { c.Method.Supervised, c.Method.Random = new(eval.Supervised), new(Random) }, "3 methods are given"},
		{rotation(func(m *sslkit.Rotation) { m.Angles = []int{90} }), "at least 2 angles"},
		{rotation(func(m *sslkit.Rotation) { m.Backbone.Width = 7 }), "multiple of 6"},
		{func(c *Config) { *c = c.Supervised(); c.Method.Supervised.Backbone.Arch = "vgg" }, `"resnet"`},
		{func(c *Config) { *c = c.Supervised(); c.Method.Supervised.Classes = 10 }, "leave them out"},
		{func(c *Config) { *c = c.RandomInit(); c.Method.Random.Backbone.Depth = 9 }, "3, 4 or 5 blocks"},
		{func(c *Config) { *c = c.RandomInit(); c.Epochs = 3 }, "leave out epochs, batch and optimizer"},
		{func(c *Config) { *c = c.RandomInit(); c.Batch = 3 }, "leave out epochs, batch and optimizer"},
		{func(c *Config) { *c = c.RandomInit(); c.Optimizer.Factor = 1 }, "leave out epochs, batch and optimizer"},
		{func(c *Config) { c.Data.Name = "" }, "'sslkit data' lists them"},
		{func(c *Config) { c.Data.Train = -1 }, "choose numbers above 0, or 0 for all"},
		{func(c *Config) { c.Data.Test = -1 }, "choose numbers above 0, or 0 for all"},
		{func(c *Config) { c.Batch = 0 }, "batch of 0: choose at least 1"},
		{func(c *Config) { c.Epochs = 0 }, "0 epochs: choose at least 1"},
		{func(c *Config) { c.Optimizer.Kind = "adam" }, `no optimizer is called "adam": choose sgd, lars or adamw`},
		{func(c *Config) { c.Optimizer.Kind = "lars" }, "lars has no Nesterov momentum"},
		{func(c *Config) { c.Optimizer.Rate = 0 }, "above 0"},
		{func(c *Config) { c.Optimizer.Rate = math.NaN() }, "above 0"},
		{func(c *Config) { c.Optimizer.Rate = math.Inf(1) }, "must be finite and above 0"},
		{func(c *Config) { c.Optimizer.Momentum = 1 }, "must be in [0, 1)"},
		{func(c *Config) { c.Optimizer.Momentum = 0 }, "Nesterov needs a Momentum"},
		{func(c *Config) { c.Optimizer.WeightDecay = math.NaN() }, "WeightDecay is NaN"},
		{func(c *Config) { c.Optimizer.Warmup = 200 }, "shorter than the 200 epochs"},
		{func(c *Config) { c.Optimizer.Warmup = -1 }, "warm-up of -1"},
		{func(c *Config) { c.Optimizer.Warmup = math.NaN() }, "warm-up of NaN"},
		{func(c *Config) { c.Optimizer.Warmup = 1 }, "goes with the cosine"},
		{func(c *Config) { c.Optimizer.Drops = []int{60, 30} }, "rising order"},
		{func(c *Config) { c.Optimizer.Drops = []int{60, 60} }, "rising order"},
		{func(c *Config) { c.Optimizer.Drops = []int{0, 60} }, "from 1"},
		{func(c *Config) { c.Optimizer.Drops = []int{60, 200} }, "move the drops to earlier epochs"},
		{func(c *Config) { c.Optimizer.Drops = nil }, "name the epochs of the drops, or leave it out"},
		{func(c *Config) { c.Optimizer.Factor = 0 }, "between 0 and 1"},
		{func(c *Config) { c.Optimizer.Factor = 1 }, "between 0 and 1"},
	} {
		c, err := Rotation(Paper, "cifar10")
		if err != nil {
			t.Fatal(err)
		}
		test.edit(&c)
		wantError(t, fmt.Sprintf("%+v", c), c.Validate(), test.want)
	}
	wantError(t, "nothing", Config{}.Validate(), "0 methods", "no dataset", "0 epochs", "batch of 0", "no optimizer") // all at once
}

func TestVariants(t *testing.T) {
	c := full()
	before, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}

	s := c.Supervised()
	var want Config
	if again := s.Supervised(); again.Key() != s.Key() {
		t.Errorf("supervised twice: %+v", again.Method.Supervised)
	}

	r := c.RandomInit()
	want = Config{Method: Method{Random: &Random{Backbone: c.Method.Rotation.Backbone}}, Data: c.Data, Seed: c.Seed, Backend: c.Backend}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("random init: %+v", r)
	}
	// One row serves all that is compared with it.
	other := c
	other.Epochs, other.Optimizer.Rate = 3, 1
	other.Method.Rotation = &sslkit.Rotation{Backbone: c.Method.Rotation.Backbone, Angles: []int{90, 270}}
	if other.RandomInit().Key() != r.Key() || s.RandomInit().Key() != r.Key() {
		t.Error("random init depends on how the method would be trained")
	}
	other.Seed++
	if other.RandomInit().Key() == r.Key() {
		t.Error("random init is the same for two seeds")
	}

	if after, _ := json.Marshal(c); !bytes.Equal(before, after) {
		t.Errorf("the variants changed what they were made of: %s", after)
	}
}

func TestWithEpochs(t *testing.T) {
	paper, err := Rotation(Paper, "cifar10")
	if err != nil {
		t.Fatal(err)
	}
	smoke, err := Rotation(Smoke, "cifar10")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		from   Config
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

// A preset's numbers are at most so many: the first command on a few images of one's own uses all of them.
func TestPresetFitsTheUsersImages(t *testing.T) {
	c, err := Preset("simclr", Smoke, folder(t, true))
	if err != nil || c.Data.Train != 0 || c.Data.Test != 0 || c.Batch != 80 {
		t.Errorf("of 80 and 40 images %+v and a batch of %d, %v", c.Data, c.Batch, err)
	}
	if _, err := Preset("simclr", Smoke, "folder:"+t.TempDir()); err == nil {
		t.Error("an empty folder: no error")
	}
}

// Where a class has too few images for an even draw, it is in proportion.
func TestUnevenClasses(t *testing.T) {
	c := tiny(t)
	c.Data.Train = 30
	train, _, err := c.Data.open(t.Context(), data.OpenOptions{Size: 12})
	if err != nil || train.Len() != 30 {
		t.Errorf("%v, %v", train, err)
	}
	c.Data.Train = 81
	_, _, err = c.Data.open(t.Context(), data.OpenOptions{Size: 12})
	wantError(t, "more than there are", err, "--train", "choose 1 to 80")
}

func TestLimits(t *testing.T) {
	c := tiny(t)
	c.Epochs = math.MaxInt64
	wantError(t, "epochs", c.Validate(), "at most", "--epochs")
	c = tiny(t)
	c.Batch = math.MaxInt64
	wantError(t, "batch", c.Validate(), "at most", "--batch")
	_, err := ReadConfig(zeros{})
	wantError(t, "a configuration without end", err, "more than")
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
