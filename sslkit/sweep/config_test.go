package sweep

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

func TestPresets(t *testing.T) {
	infos := append(data.Names(), data.Info{Name: "folder:pictures"})
	for _, info := range infos {
		for i, preset := range slices.Repeat([]string{Smoke, Class, Paper}, len(Methods())-2) { // the last two are baselines
			c, err := Preset(Methods()[i/3], preset, info.Name)
			if err == nil {
				err = c.Validate()
			}
			if err != nil {
				t.Errorf("%s on %s: %v", preset, info.Name, err)
				continue
			}
			if c.Method.Name() != Methods()[i/3] {
				t.Errorf("the preset of %s is of %s", Methods()[i/3], c.Method.Name())
			}
			if c.Data.Name != info.Name {
				t.Errorf("%s on %s is on %s", preset, info.Name, c.Data.Name)
			}
			if info.Train > 0 && (c.Data.Train > info.Train || c.Data.Test > info.Test || c.Batch > info.Train) {
				t.Errorf("%s on %s: batches of %d and %d/%d examples of %d/%d", preset, info.Name, c.Batch, c.Data.Train, c.Data.Test, info.Train, info.Test)
			}
			if c.Method.Tracking != nil { // of clips, which need not be balanced
				continue
			}
			if k := len(info.Classes); k > 0 && (c.Data.Train%k != 0 || c.Data.Test%k != 0) {
				t.Errorf("%s on %s: %d/%d examples are not equally of %d classes", preset, info.Name, c.Data.Train, c.Data.Test, k)
			}
			for _, other := range []Config{c.Supervised(), c.RandomInit()} {
				if err := other.Validate(); err != nil {
					t.Errorf("%s on %s, %s: %v", preset, info.Name, other.Method.Name(), err)
				}
			}
		}
	}
	_, err := Rotation("quick", "mnist")
	wantError(t, "unknown preset", err, `"quick"`, Smoke, Class, Paper)
}

// The embedded datasets can be cut as the presets say.
func TestPresetsOpen(t *testing.T) {
	for _, name := range []string{"fashion-mnist-10k", "photos"} {
		for _, preset := range []string{Smoke, Class, Paper} {
			c, err := Rotation(preset, name)
			if err != nil {
				t.Fatal(err)
			}
			train, test, err := c.Data.open(t.Context(), data.OpenOptions{Offline: true})
			if err != nil {
				t.Errorf("%s on %s: %v", preset, name, err)
				continue
			}
			if _, err := data.Batches(train, data.Options{Batch: c.Batch}); err != nil {
				t.Errorf("%s on %s: %v", preset, name, err)
			}
			for _, n := range []struct{ want, got int }{{c.Data.Train, train.Len()}, {c.Data.Test, test.Len()}} {
				if n.want != 0 && n.got != n.want || n.got == 0 {
					t.Errorf("%s on %s: %d examples, want %d", preset, name, n.got, n.want)
				}
			}
			if len(train.Classes()) == 0 {
				t.Errorf("%s on %s: no classes to probe", preset, name)
			}
		}
	}
}

// 'We use SGD with batch size 128, momentum 0.9, weight decay 5e-4 and lr of 0.1. We drop the learning rates by a factor
// of 5 after epochs 30, 60, and 80. We train in total for 100 epochs.' In the code that the authors released it is 60, 120
// and 160 of 200.
// Reference: Gidaris et al. 2018, Sec. 3.1, "Implementation details".
func TestPaperPreset(t *testing.T) {
	c, err := Rotation(Paper, "cifar10")
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Method: Method{Rotation: &sslkit.Rotation{Backbone: nn.NIN(4, 192), Angles: []int{0, 90, 180, 270}, Pad: 4, Flip: true}},
		Data:   Data{Name: "cifar10"},
		Epochs: 200,
		Batch:  128,
		Optimizer: Optimizer{Kind: "sgd", Rate: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 5e-4,
			Drops: []int{60, 120, 160}, Factor: 0.2},
		Seed: 1,
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%+v\nwant %+v", c, want)
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
