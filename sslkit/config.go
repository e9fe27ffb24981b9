package sslkit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/sslkit/lab/sslkit/optim"
)

// Config is all that the result of a run follows from. Its JSON is what a config file holds, with the method as
// {"simclr": {...}}, and, with the method's revision, what a run's key is the hash of.
type Config struct {
	Method    Method // registered, see [Register]
	Data      Data
	Epochs    int
	Batch     int // images; rotation trains on as many copies of each as it has angles
	Optimizer Optimizer
	Seed      int64
	Backend   string // name of a pjrt.Choice; a request without one gets this machine's
	Devices   int    // among which each batch is divided; 0 and 1 are one, of which the key says nothing
	Precision string // of products in training, see nn.MixedPrecision: "bf16", or "" and "float32", of which the key says nothing
	Init      *Init  // parameters that the encoder starts from; nil: random ones
}

// BF16 is the precision of products in bfloat16.
const BF16 = "bf16"

// written is how a Config is written. The order of its fields is that of the keys of all records.
type written struct {
	Method    json.RawMessage `json:"method"`
	Data      Data            `json:"data"`
	Epochs    int             `json:"epochs"`
	Batch     int             `json:"batch"`
	Optimizer Optimizer       `json:"optimizer"`
	Seed      int64           `json:"seed"`
	Backend   string          `json:"backend,omitempty"`
	Devices   int             `json:"devices,omitempty"`
	Precision string          `json:"precision,omitempty"`
	Init      *Init           `json:"init,omitempty"`
}

func (c Config) written() (written, error) {
	w := written{json.RawMessage("{}"), c.Data, c.Epochs, c.Batch, c.Optimizer, c.Seed, c.Backend, several(c.Devices), mixed(c.Precision), c.Init}
	if c.Method == nil {
		return w, nil
	}
	name := NameOf(c.Method)
	if name == "" {
		return w, unregistered(c.Method)
	}
	text, err := json.Marshal(map[string]Method{name: c.Method})
	w.Method = text
	return w, err
}

// several is a number of devices, 0 where it is one.
func several(devices int) int {
	if devices == 1 {
		return 0
	}
	return devices
}

// mixed is a precision, "" where it is the usual one.
func mixed(precision string) string {
	if precision == "float32" {
		return ""
	}
	return precision
}

func unregistered(m Method) error {
	return fmt.Errorf("sslkit: the method %T is not registered: import github.com/sslkit/lab/sslkit/recipe for those of the laboratory, or call sslkit.Register", m)
}

// MarshalJSON writes the method under its name.
func (c Config) MarshalJSON() ([]byte, error) {
	w, err := c.written()
	if err != nil {
		return nil, err
	}
	return json.Marshal(w)
}

// UnmarshalJSON refuses fields that it does not know, and methods that are not registered: see [ErrUnknownMethod].
func (c *Config) UnmarshalJSON(text []byte) error {
	var w written
	if err := strict(text, &w, Config{}.Fields()); err != nil {
		return err
	}
	*c = Config{nil, w.Data, w.Epochs, w.Batch, w.Optimizer, w.Seed, w.Backend, several(w.Devices), mixed(w.Precision), w.Init}
	var named map[string]json.RawMessage
	if len(w.Method) > 0 {
		if err := json.Unmarshal(w.Method, &named); err != nil {
			return fmt.Errorf("method: %w", err)
		}
	}
	if len(named) > 1 {
		return fmt.Errorf("%d methods are given: name one of %s", len(named), strings.Join(Methods(), ", "))
	}
	for name, text := range named {
		r, err := Lookup(name)
		if err != nil {
			return err
		}
		m := reflect.New(r.kind.Elem()).Interface().(Method)
		if err := strict(text, m, Config{Method: m}.Fields()); err != nil {
			return err
		}
		c.Method = m
	}
	return nil
}

// strict decodes one value and refuses fields that it does not know, with a hint at one of the paths.
func strict(text []byte, v any, paths []string) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil && len(bytes.TrimSpace(text[d.InputOffset():])) > 0 {
		err = errors.New("there is more after its end: one file holds one configuration")
	}
	if err == nil {
		return nil
	}
	if _, name, found := strings.Cut(err.Error(), "unknown field "); found {
		return fmt.Errorf("%w%s", err, Suggest(strings.Trim(name, `"`), paths))
	}
	return err
}

// Data is a dataset of package data.
type Data struct {
	Name     string `json:"name"`
	Size     int    `json:"size,omitempty"`      // side of photo crops and of a folder's images; 0: 32
	PerPhoto int    `json:"per_photo,omitempty"` // crops of each photo; 0: 64
	Frames   int    `json:"frames,omitempty"`    // of a clip; 0: 8, of the user's sounds as many as the longest has
	Train    int    `json:"train,omitempty"`     // train on so many, equally of each class; 0: all
	Test     int    `json:"test,omitempty"`      // likewise

	// Digest of what it holds, see data.Digest. A request without one is about what is there now; one with a digest is
	// refused where the data have changed since.
	Digest string `json:"digest,omitempty"`
}

// Optimizer is SGD, LARS or AdamW with a schedule: cosine after a warm-up, or drops.
type Optimizer struct {
	Kind        string  `json:"kind"`               // "sgd", "lars" or "adamw"
	Rate        float64 `json:"rate"`               // at its peak
	Momentum    float64 `json:"momentum"`           // of sgd and lars
	Nesterov    bool    `json:"nesterov,omitempty"` // of sgd
	Beta1       float64 `json:"beta1,omitempty"`    // of adamw; 0: 0.9
	Beta2       float64 `json:"beta2,omitempty"`    // of adamw; 0: 0.999
	WeightDecay float64 `json:"weight_decay"`
	Warmup      float64 `json:"warmup,omitempty"` // epochs; of the cosine
	Drops       []int   `json:"drops,omitempty"`  // epochs after which the rate is multiplied by Factor; without them, a cosine to 0
	Factor      float64 `json:"factor,omitempty"`
}

// WithEpochs returns c with another number of epochs, and drops of the rate moved in proportion. Where
// that leaves no drop the rate falls along a cosine.
func (c Config) WithEpochs(epochs int) Config {
	old := c.Optimizer.Drops
	c.Optimizer.Drops = nil
	for _, e := range old {
		e = e * epochs / max(c.Epochs, 1)
		if n := len(c.Optimizer.Drops); e > 0 && (n == 0 || e > c.Optimizer.Drops[n-1]) {
			c.Optimizer.Drops = append(c.Optimizer.Drops, e)
		}
	}
	if len(c.Optimizer.Drops) == 0 {
		c.Optimizer.Factor = 0
	}
	c.Epochs = epochs
	return c
}

// Limits that no run needs to pass, and numbers beyond them are mistakes.
const (
	maxEpochs = 1_000_000
	maxBatch  = 1 << 20
	maxConfig = 1 << 20 // bytes of a configuration
)

// Validate says what cannot be run, as far as that is known without the data.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("sslkit: "+format, args...)) }
	r, known := RegistrationOf(c.Method)
	switch {
	case c.Method == nil:
		bad("no method is given: name one of %s", strings.Join(Methods(), ", "))
		return errors.Join(errs...)
	case !known:
		return unregistered(c.Method)
	}
	if m, ok := c.Method.(interface{ Validate() error }); ok {
		errs = append(errs, m.Validate())
	} else {
		errs = append(errs, Backbone(c.Method).Validate())
	}
	if c.Data.Name == "" {
		bad("no dataset is named; 'sslkit data' lists them")
	}
	if c.Data.Train < 0 || c.Data.Test < 0 {
		bad("%d training and %d test examples: choose numbers above 0, or 0 for all", c.Data.Train, c.Data.Test)
	}
	if c.Init != nil && c.Init.File == "" && c.Init.Digest == "" {
		bad("init names no file: give its path (--init)")
	}
	if m, ok := c.Method.(Given); ok && m.NeedsInit() != (c.Init != nil) {
		if c.Init == nil {
			bad("%s is an encoder out of a file: name one (--init)", TitleOf(c.Method))
		} else {
			bad("the random encoder starts from no file: leave init out")
		}
	}
	if r.Role == Untrained {
		if c.Epochs != 0 || c.Batch != 0 || several(c.Devices) != 0 || mixed(c.Precision) != "" || !reflect.DeepEqual(c.Optimizer, Optimizer{}) {
			bad("the random encoder is not trained: leave out epochs, batch, devices, precision and optimizer")
		}
		return errors.Join(errs...)
	}
	if c.Init != nil && r.Role == Instrument {
		bad("%s measures by a network of its own: leave init out", TitleOf(c.Method))
	}
	least := 1
	if m, ok := c.Method.(Crowded); ok {
		least = m.MinBatch() // an image alone has nothing to be told from
	}
	if c.Batch < least {
		bad("batch of %d: choose at least %d (--batch)", c.Batch, least)
	}
	if c.Batch > maxBatch {
		bad("batch of %d: choose at most %d (--batch)", c.Batch, maxBatch)
	}
	if c.Devices < 0 {
		bad("%d devices: choose at least 1 (--devices)", c.Devices)
	} else if c.Devices > 1 && c.Batch%c.Devices != 0 {
		bad("a batch of %d cannot be divided among %d devices: choose a multiple (--batch)", c.Batch, c.Devices)
	}
	if p := mixed(c.Precision); p != "" && p != BF16 {
		bad("precision %q: choose float32 or %s (--precision)", p, BF16)
	}
	if c.Epochs < 1 {
		bad("%d epochs: choose at least 1 (--epochs)", c.Epochs)
	}
	if c.Epochs > maxEpochs {
		bad("%d epochs: choose at most %d (--epochs)", c.Epochs, maxEpochs)
	}
	o := c.Optimizer
	if o.Kind != "sgd" && o.Kind != "lars" && o.Kind != "adamw" {
		bad("no optimizer is called %q: choose sgd, lars or adamw", o.Kind)
	}
	if !(o.Rate > 0 && o.Rate <= math.MaxFloat64) {
		bad("learning rate %g: it must be finite and above 0", o.Rate)
	}
	if !(o.Warmup >= 0 && o.Warmup < float64(max(c.Epochs, 1))) {
		bad("warm-up of %g epochs: it must be shorter than the %d epochs", o.Warmup, c.Epochs)
	}
	if len(o.Drops) > 0 {
		if !rise(o.Drops) {
			bad("drops %v: they must be epochs from 1 in rising order", o.Drops)
		} else if last := o.Drops[len(o.Drops)-1]; last >= c.Epochs {
			bad("a drop after %d epochs of %d: move the drops to earlier epochs", last, c.Epochs)
		}
		if !(o.Factor > 0 && o.Factor < 1) {
			bad("drops by the factor %g: it must be between 0 and 1", o.Factor)
		}
		if o.Warmup > 0 {
			bad("a warm-up goes with the cosine, not with drops")
		}
	}
	if o.Kind != "sgd" && o.Nesterov {
		bad("%s has no Nesterov momentum: leave nesterov out", o.Kind)
	}
	if o.Kind == "adamw" && o.Momentum != 0 {
		bad("adamw has no momentum %g: set it to 0", o.Momentum)
	}
	if o.Kind != "adamw" && (o.Beta1 != 0 || o.Beta2 != 0) {
		bad("beta1 %g and beta2 %g are of adamw: leave them out", o.Beta1, o.Beta2)
	}
	if len(o.Drops) == 0 && o.Factor != 0 {
		bad("factor %g without drops: name the epochs of the drops, or leave it out", o.Factor)
	}
	errs = append(errs, o.Build(1, max(c.Epochs, 1)).(interface{ Validate() error }).Validate())
	return errors.Join(errs...)
}

// rise reports whether epochs start at 1 or later and none comes twice.
func rise(epochs []int) bool {
	for i, e := range epochs {
		if e < 1 || i > 0 && e <= epochs[i-1] {
			return false
		}
	}
	return true
}

// Build makes the optimizer for epochs of so many steps.
func (o Optimizer) Build(steps, epochs int) optimizer.Interface {
	at := make([]int, len(o.Drops))
	for i, e := range o.Drops {
		at[i] = e * steps
	}
	rate := optim.CosineWarmup(o.Rate, int(o.Warmup*float64(steps)), epochs*steps)
	if len(at) > 0 {
		rate = optim.Steps(o.Rate, o.Factor, at...)
	}
	switch o.Kind {
	case "adamw":
		return optim.AdamW{Rate: rate, Beta1: o.Beta1, Beta2: o.Beta2, WeightDecay: o.WeightDecay}
	case "lars":
		return optim.LARS{Rate: rate, Momentum: o.Momentum, WeightDecay: o.WeightDecay}
	}
	return optim.SGD{Rate: rate, Momentum: o.Momentum, Nesterov: o.Nesterov, WeightDecay: o.WeightDecay}
}

// RateAt is the learning rate after so many passes over the data, to a step of its schedule; 0 of what is not trained.
func (c Config) RateAt(passes float64) float64 {
	o := c.Optimizer
	rate := o.Rate
	switch {
	case len(o.Drops) > 0:
		for _, e := range o.Drops {
			if passes >= float64(e) {
				rate *= o.Factor
			}
		}
	case passes < o.Warmup:
		rate *= passes / o.Warmup
	case c.Epochs > 0:
		done := min(1, (passes-o.Warmup)/(float64(c.Epochs)-o.Warmup))
		rate *= (1 + math.Cos(math.Pi*done)) / 2
	}
	return rate
}

// Key is the name of the run's record: 16 hexadecimal digits of the hash of the configuration, of which the digest of the
// data is a part, and of the method's revision.
func (c Config) Key() string { return c.KeyAt(c.Revision()) }

// Revision is that of the numbers of c's method.
func (c Config) Revision() Revision {
	r, _ := RegistrationOf(c.Method)
	return Revision{max(1, r.Revision), r.source}
}

// Revision tells the versions of a method's code apart whose numbers differ.
type Revision struct {
	Number int    `json:"revision"`
	Source string `json:"source,omitempty"` // digest of a method's in a notebook's cell
}

// KeyAt is the key that c had, or will have, at another revision of its method.
func (c Config) KeyAt(r Revision) string {
	w, err := c.written()
	if err != nil {
		panic(err) // whoever has not called Validate
	}
	if w.Init != nil {
		w.Init = &Init{Digest: w.Init.Digest} // wherever the file is
	}
	return Hash(struct {
		written
		Revision
	}{w, r})
}

// KeyDigits is the length of a key.
const KeyDigits = 16

// Hash of a value's JSON, whose order of fields Go fixes, in KeyDigits hexadecimal digits.
func Hash(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs of numbers, strings and slices
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:KeyDigits/2])
}

// ReadConfig decodes a configuration and refuses fields that it does not know.
func ReadConfig(r io.Reader) (Config, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("it has more than %d bytes", maxConfig)
	}
	if err != nil {
		return Config{}, fmt.Errorf("sslkit: reading the configuration: %w", err)
	}
	c, err := decode(text)
	if err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

func decode(text []byte) (c Config, err error) {
	if err := c.UnmarshalJSON(text); err != nil {
		return Config{}, fmt.Errorf("sslkit: the configuration: %w", err)
	}
	return c, nil
}

// Suggest names the path whose last part is nearest to name, or all of them.
func Suggest(name string, paths []string) string {
	best, least := "", 3 // more changes than two make another word
	for _, path := range paths {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), strings.ToLower(path[strings.LastIndex(path, ".")+1:])); d < least {
			best, least = path, d
		}
	}
	if best == "" {
		return "; known: " + strings.Join(paths, ", ")
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// Fields are the paths of all that the JSON of a configuration with c's method may say.
func (c Config) Fields() []string {
	var out []string
	if c.Method != nil {
		for _, f := range fields(reflect.TypeOf(c.Method)) {
			out = append(out, "method."+NameOf(c.Method)+"."+f)
		}
	}
	for _, f := range fields(reflect.TypeFor[written]()) {
		if f != "method" || c.Method == nil {
			out = append(out, f)
		}
	}
	return out
}

// fields lists the JSON names within t as paths.
func fields(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		inner := f.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "" && f.Anonymous && inner.Kind() == reflect.Struct: // whose fields JSON has as its own
			out = append(out, fields(inner)...)
			continue
		case name == "-", !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		if inner.Kind() != reflect.Struct {
			out = append(out, name)
			continue
		}
		for _, sub := range fields(inner) {
			out = append(out, name+"."+sub)
		}
	}
	return out
}

// With returns c with one field changed, without touching what c points to. The field is named by its path in
// JSON, or by as much of the path's end as names only one field of c's method, in capitals or not: "temperature" is then
// "method.simclr.temperature". The value is one that the field's JSON takes.
func (c Config) With(path string, value any) (Config, error) {
	full, err := c.resolve(path)
	if err != nil {
		return c, err
	}
	text, err := json.Marshal(c)
	if err != nil {
		return c, fmt.Errorf("sslkit: %w", err)
	}
	var tree map[string]any
	d := json.NewDecoder(strings.NewReader(string(text)))
	d.UseNumber() // a seed of 63 bits must come out as it went in
	if err := d.Decode(&tree); err != nil {
		return c, fmt.Errorf("sslkit: %w", err)
	}
	at, keys := tree, strings.Split(full, ".")
	for _, key := range keys[:len(keys)-1] {
		below, ok := at[key].(map[string]any)
		if !ok { // left out, being empty
			below = make(map[string]any)
			at[key] = below
		}
		at = below
	}
	at[keys[len(keys)-1]] = value
	if text, err = json.Marshal(tree); err != nil {
		return c, fmt.Errorf("sslkit: %s: %w", full, err)
	}
	changed, err := decode(text)
	if err != nil {
		return c, fmt.Errorf("%s: %w", full, err)
	}
	return changed, nil
}

// resolve completes the path of a field.
func (c Config) resolve(path string) (string, error) {
	own := paths(c.Fields())
	ending := func(in func(string) string) (ends []string) {
		for _, p := range own {
			if strings.HasSuffix("."+in(p), "."+in(path)) {
				ends = append(ends, p)
			}
		}
		return ends
	}
	ends := ending(func(s string) string { return s })
	if len(ends) == 0 { // fields without a name for JSON have that of Go
		ends = ending(strings.ToLower)
	}
	switch {
	case slices.Contains(own, path):
		return path, nil
	case len(ends) == 1:
		return ends[0], nil
	case len(ends) > 1:
		return "", fmt.Errorf("sslkit: %q may be %s: give more of its path", path, strings.Join(ends, " or "))
	}
	return "", fmt.Errorf("sslkit: no field is called %q%s", path, Suggest(path, own))
}

// paths are the fields and the structs that hold them.
func paths(fields []string) []string {
	var out []string
	for _, p := range fields {
		for i, r := range p {
			if r == '.' && !slices.Contains(out, p[:i]) {
				out = append(out, p[:i])
			}
		}
		out = append(out, p)
	}
	return out
}
