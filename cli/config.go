package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/published"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// configFlags say which run is meant: a preset or a file, and what is changed in it.
type configFlags struct {
	flags              *pflag.FlagSet
	names              []string
	preset, file       string
	data, method, arch string
	precision          string
	angles             []int
	seed               int64
	epochs, batch      int
	devices            int
	train, test        int
	depth, width       int
	rate               float64
	set                []string
	several            []int64 // seeds, of commands that repeat a run

	init, initPixels string // a file that the encoder comes from
	initHeads        int
	asItIs           bool // without --method such an encoder is meant itself, not what is trained from it
	note             func(string)
}

// add defines the flags that every command on runs has, and those for a choice of method, and for a single
// run's seed.
func (f *configFlags) add(cmd *cobra.Command, method, seed bool) {
	s := pflag.NewFlagSet("", pflag.ContinueOnError)
	s.SortFlags = false
	s.StringVar(&f.preset, "preset", sslkit.PresetOr(sslkit.Smoke), "smoke (two minutes of CPU), class (ten), night (an hour or two), or paper (a GPU)")
	s.StringVar(&f.file, "config", "", "configuration as a JSON `FILE`, in place of a preset")
	s.StringVar(&f.data, "data", "", "dataset `NAME`, see 'sslkit data' (default an embedded one that suits the method)")
	s.IntVar(&f.train, "train", 0, "train on so many examples; 0: on all (default the preset's)")
	s.IntVar(&f.test, "test", 0, "test on so many examples; 0: on all (default the preset's)")
	if method {
		s.StringVar(&f.method, "method", "rotation", "`NAME`: "+strings.Join(sslkit.Methods(), ", ")+"; see 'sslkit methods'")
		s.StringVar(&f.init, "init", "", "`FILE` of safetensors, with the names of timm, torchvision, transformers, DINOv2, MAE or MoCo, that the encoder starts from, or their folder")
		s.StringVar(&f.initPixels, "init-pixels", "", "how images of that encoder are normalised, where no config.json beside it says so: imagenet or half")
		s.IntVar(&f.initHeads, "init-heads", 0, "heads of its attention, where neither config.json nor a usual width says so")
		s.IntSliceVar(&f.angles, "angles", nil, "angles in `DEGREES` to tell apart, multiples of 45 (default 0,90,180,270)")
	}
	if seed {
		s.Int64Var(&f.seed, "seed", 1, "of parameters, order and augmentation")
	}
	s.StringVar(&f.arch, "arch", "", "backbone: nin, resnet, resnet18, resnet34, resnet50, vit, vit_tiny, vit_small or vit_base; patches are 4 pixels wide unless --set patch=N (default the preset's)")
	s.IntVar(&f.depth, "depth", 0, "of the backbone: 3 to 5 blocks of nin, 6n+2 layers of resnet, blocks of vit (default the preset's or the name's)")
	s.IntVar(&f.width, "width", 0, "of the backbone: channels, of a vit's tokens a multiple of 32 (default the preset's, or the name's: 64 of resnet18)")
	s.IntVar(&f.epochs, "epochs", 0, "passes over the images; drops of the rate move along (default the preset's)")
	s.IntVar(&f.batch, "batch", 0, "images a step (default the preset's)")
	s.IntVar(&f.devices, "devices", 1, "divide each batch among so many devices of this machine")
	s.StringVar(&f.precision, "precision", "float32", "of products in training: float32 or bf16, with parameters, norms, softmax and losses in float32")
	s.Float64Var(&f.rate, "rate", 0, "peak of the learning rate (default the preset's)")
	s.StringArrayVar(&f.set, "set", nil, "`FIELD=VALUE`: change any field of the configuration, as --print-config shows them; may be repeated")
	s.VisitAll(func(flag *pflag.Flag) { f.names = append(f.names, flag.Name) })
	cmd.Flags().AddFlagSet(s)
	f.note = func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), widgets.Printable(text)) }
	f.flags = cmd.Flags()
	complete(cmd, "preset", f.completePreset)
	complete(cmd, "data", completeData)
	complete(cmd, "set", f.completeField)
	if method {
		complete(cmd, "method", completeMethod)
	}
}

// addSeeds defines the seeds of a command that repeats its runs, after add.
func (f *configFlags) addSeeds() {
	f.flags.Int64SliceVar(&f.several, "seeds", []int64{1, 2, 3}, "seeds to repeat every run with; with --preset smoke only 1, unless given")
}

// seeds are the ones given, or as many as the preset has time for.
func (f *configFlags) seeds() []int64 {
	if f.file != "" || f.flags.Changed("seeds") {
		return f.several
	}
	return sslkit.Seeds(f.preset)
}

// given returns the flags that are there, "" if none of them is.
func (f *configFlags) given() string {
	var given []string
	for _, name := range f.names {
		if f.flags.Changed(name) {
			given = append(given, "--"+name)
		}
	}
	return strings.Join(given, ", ")
}

// config is the preset or the file, with what the flags change in it.
func (f *configFlags) config() (c sslkit.Config, err error) {
	given := f.flags.Changed
	switch {
	case f.file == "":
		if c, err = recipe.Preset(context.Background(), f.selfSupervised(), f.preset, f.data); err != nil {
			err = usageError{err}
		}
	case given("preset"):
		return c, usagef("--config and --preset both name a configuration: give one of them")
	default:
		c, err = readConfig(f.file)
	}
	if err != nil {
		return c, err
	}
	if given("data") {
		c.Data.Name = f.data
	}
	if given("train") {
		c.Data.Train = f.train
	}
	if given("test") {
		c.Data.Test = f.test
	}
	if given("seed") {
		c.Seed = f.seed
	}
	if err := f.setBackbone(sslkit.Backbone(c.Method)); err != nil {
		return c, err
	}
	if f.method == "given" && f.init == "" && f.file == "" {
		return c, usagef("--method given is an encoder out of a file: name it by --init")
	}
	if f.init != "" {
		if c, err = f.setInit(c); err != nil {
			return c, err
		}
	}
	if given("method") && f.method != sslkit.NameOf(c.Method) {
		switch {
		case c.Role() != sslkit.SelfSupervised || !isBaseline(f.method):
			return c, usagef("--method %s: %s holds %s, and only a self-supervised method can be made into a baseline", f.method, f.file, sslkit.NameOf(c.Method))
		case f.method == "supervised":
			c = recipe.Supervised(c) // whose recipe the flags change
		}
	}
	// The random encoder has no schedule: what is asked for concerns the method before it became random.
	if given("epochs") {
		c = c.WithEpochs(f.epochs)
	}
	switch {
	case given("batch"):
		c.Batch = f.batch
	case c.Data.Train > 0 && given("train"):
		c.Batch = min(c.Batch, c.Data.Train) // a preset's batch is at most so many
	}
	if given("devices") {
		c.Devices = f.devices
	}
	if given("precision") {
		c.Precision = f.precision
	}
	if given("rate") {
		c.Optimizer.Rate = f.rate
	}
	if f.init != "" && (f.method == "given" || f.asItIs && !given("method") && f.file == "") {
		c = recipe.Given(c, *sslkit.Backbone(c.Method), initName(f.init))
	}
	if given("method") && f.method == "random" && c.Role() == sslkit.SelfSupervised {
		c = recipe.RandomInit(c)
	}
	if given("angles") {
		if c, err = c.With("angles", f.angles); err != nil {
			return c, usagef("--angles: %s tells no angles apart", sslkit.NameOf(c.Method))
		}
	}
	for _, set := range f.set {
		path, text, found := strings.Cut(set, "=")
		if !found {
			return c, usagef("--set %s: write FIELD=VALUE", set)
		}
		if c, err = c.With(path, value(text)); err != nil {
			return c, usagef("--set %s: %w", set, err)
		}
	}
	if err := c.Validate(); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// value is what the text is in JSON, or else the text.
func value(text string) any {
	if !json.Valid([]byte(text)) {
		return text
	}
	return json.RawMessage(text)
}

// selfSupervised is the method whose preset is meant: the baselines have the one of rotation.
func (f *configFlags) selfSupervised() string {
	if f.method == "" || isBaseline(f.method) {
		return "rotation"
	}
	return f.method
}

// isBaseline reports whether a method is one of those that stand beside every other.
func isBaseline(method string) bool {
	return method == "supervised" || method == "random" || method == "given"
}

// setInit makes the encoder the one of --init, and says what of the file is left out.
func (f *configFlags) setInit(c sslkit.Config) (sslkit.Config, error) {
	for _, flag := range []string{"arch", "depth", "width"} {
		if _, alone := c.Method.(*eval.Given); f.flags.Changed(flag) && !alone { // of a table they are about its other rows
			return c, usagef("--%s: the file of --init says which network it is: leave that out", flag)
		}
	}
	file, err := published.Read(f.init)
	if err != nil {
		return c, err
	}
	encoder, err := file.Encoder(f.initPixels, f.initHeads)
	if err != nil {
		return c, err
	}
	b := encoder.Backbone
	note := fmt.Sprintf("%s: a %s of depth %d and width %d", f.init, b.Arch, b.Depth, b.Width)
	if len(encoder.Left) > 0 {
		note += ", without what is of no encoder: " + strings.Join(encoder.Left, ", ")
	}
	// A vit reads images of its own size, which datasets of files can have.
	if sized := slices.ContainsFunc([]string{"folder:", "photos", "captions:"}, func(kind string) bool { return strings.HasPrefix(c.Data.Name, kind) }); sized && b.Arch == "vit" && c.Data.Size == 0 {
		c.Data.Size = encoder.Size
		note += fmt.Sprintf("; images are read at %d pixels", encoder.Size)
	}
	if f.note != nil {
		f.note(note)
	}
	*sslkit.Backbone(c.Method), c.Init = b, &sslkit.Init{File: file.Path, Digest: file.Digest}
	return c, nil
}

// sizes are those of networks that are known by a name; what else it says is in the flags.
var sizes = map[string]nn.Backbone{
	"resnet18": nn.ResNet18(64), "resnet34": nn.ResNet34(64), "resnet50": nn.ResNet50(64),
	"vit_tiny": nn.ViTTiny(4), "vit_small": nn.ViTSmall(4), "vit_base": nn.ViTBase(4),
}

func (f *configFlags) setBackbone(b *nn.Backbone) error {
	if f.flags.Changed("arch") {
		arch := f.arch
		switch usual, has := sizes[f.arch]; {
		case has:
			arch, b.Depth, b.Width = usual.Arch, usual.Depth, usual.Width
		case f.arch != b.Arch && !(f.flags.Changed("depth") && f.flags.Changed("width")):
			return usagef("--arch %s needs its --depth and --width beside it: those of %s mean something else", f.arch, b.Arch)
		}
		switch {
		case arch != "vit":
			b.Patch = 0
		case b.Patch == 0:
			b.Patch = 4
		}
		b.Arch = arch
	}
	if f.flags.Changed("depth") {
		b.Depth = f.depth
	}
	if f.flags.Changed("width") {
		b.Width = f.width
	}
	return nil
}

// givenVariant is the encoder of --init as it is, on the data of others.
func (f *configFlags) givenVariant(data sslkit.Data) (study.Variant, error) {
	base := sslkit.Config{Method: &eval.Given{}, Data: data, Seed: 1}
	base.Data.Size = max(data.Size, 1) // which is that of the others, whatever it was trained on
	c, err := f.setInit(base)
	if err != nil {
		return study.Variant{}, err
	}
	c.Data = data
	c = recipe.Given(c, *sslkit.Backbone(c.Method), initName(f.init))
	return study.Variant{Name: sslkit.TitleOf(c.Method), Config: c}, c.Validate()
}

// initName is what an encoder out of a file is called: resnet18 of resnet18.safetensors and of resnet18/model.safetensors.
func initName(path string) string {
	path = filepath.Clean(path)
	if filepath.Base(path) == published.TensorsFile {
		if abs, err := filepath.Abs(path); err == nil {
			path = filepath.Dir(abs)
		}
	}
	return strings.TrimSuffix(filepath.Base(path), ".safetensors")
}

func readConfig(path string) (sslkit.Config, error) {
	file, err := os.Open(path)
	if err != nil {
		return sslkit.Config{}, err
	}
	defer file.Close()
	c, err := sslkit.ReadConfig(file)
	if err != nil {
		return c, usagef("%s: %w", path, err)
	}
	return c, nil
}
