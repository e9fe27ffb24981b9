package sweep

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/gomlx/gomlx/ml/train/optimizer"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/optim"
)

// Config is all that the result of a run follows from. Its JSON is what a config file holds and,
// with the method's revision, what a run's key is the hash of.
type Config struct {
	Method    Method    `json:"method"`
	Data      Data      `json:"data"`
	Epochs    int       `json:"epochs"`
	Batch     int       `json:"batch"` // images; rotation trains on as many copies of each as it has angles
	Optimizer Optimizer `json:"optimizer"`
	Seed      int64     `json:"seed"`
	Backend   string    `json:"backend,omitempty"` // kind of pjrt.Choice; a request without one gets this machine's
}

// Data is a dataset of package data.
type Data struct {
	Name     string `json:"name"`
	Size     int    `json:"size,omitempty"`      // side of photo crops and of a folder's images; 0: 32
	PerPhoto int    `json:"per_photo,omitempty"` // crops of each photo; 0: 64
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

// Validate says what cannot be run, as far as that is known without the data.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("sweep: "+format, args...)) }
	if chosen := c.Method.chosen(); len(chosen) != 1 {
		bad("%d methods are given: name one of %s", len(chosen), strings.Join(Methods(), ", "))
	} else if m, ok := chosen[0].(interface{ Validate() error }); ok && c.Method.Supervised == nil {
		errs = append(errs, m.Validate())
	} else {
		errs = append(errs, c.Method.Network().Validate())
	}
	if m := c.Method.Supervised; m != nil && m.Classes != 0 {
		bad("%d classes: leave them out, the data says how many there are", m.Classes)
	}
	if c.Data.Name == "" {
		bad("no dataset is named; 'sslkit data' lists them")
	}
	if c.Data.Train < 0 || c.Data.Test < 0 {
		bad("%d training and %d test examples: choose numbers above 0, or 0 for all", c.Data.Train, c.Data.Test)
	}
	if c.Method.Random != nil {
		if c.Epochs != 0 || c.Batch != 0 || !reflect.DeepEqual(c.Optimizer, Optimizer{}) {
			bad("the random encoder is not trained: leave out epochs, batch and optimizer")
		}
		return errors.Join(errs...)
	}
	least := 1
	if m, ok := c.method().(sslkit.Crowded); ok {
		least = m.MinBatch() // an image alone has nothing to be told from
	}
	if c.Batch < least {
		bad("batch of %d: choose at least %d (--batch)", c.Batch, least)
	}
	if c.Batch > maxBatch {
		bad("batch of %d: choose at most %d (--batch)", c.Batch, maxBatch)
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
	errs = append(errs, o.build(1, max(c.Epochs, 1)).(interface{ Validate() error }).Validate())
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

// build makes the optimizer for epochs of so many steps.
func (o Optimizer) build(steps, epochs int) optimizer.Interface {
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

// Limits that no run needs to pass, and numbers beyond them are mistakes.
const (
	maxEpochs = 1_000_000
	maxBatch  = 1 << 20
	maxConfig = 1 << 20 // bytes of a configuration
)

// Key is the name of the run's record: 16 hexadecimal digits of the hash of the configuration, of which the digest of the
// data is a part, and of the method's revision.
func (c Config) Key() string { return c.key(revision(c.Method.Name())) }

func (c Config) key(revision int) string {
	return hash(struct {
		Config
		Revision int `json:"revision"`
	}{c, revision})
}

// method is the one that is chosen, nil where not just one is.
func (c Config) method() sslkit.Method {
	if chosen := c.Method.chosen(); len(chosen) == 1 {
		return chosen[0]
	}
	return nil
}

const keyDigits = 16

// hash of a value's JSON, whose order of fields Go fixes.
func hash(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain structs of numbers, strings and slices
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:keyDigits/2])
}

// ReadConfig decodes a configuration and refuses fields that it does not know.
func ReadConfig(r io.Reader) (Config, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("it has more than %d bytes", maxConfig)
	}
	if err != nil {
		return Config{}, fmt.Errorf("sweep: reading the configuration: %w", err)
	}
	c, err := decode(text)
	if err != nil {
		return Config{}, err
	}
	return c, c.Validate()
}

func decode(text []byte) (Config, error) {
	var c Config
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(&c)
	if err == nil && len(bytes.TrimSpace(text[d.InputOffset():])) > 0 {
		err = errors.New("there is more after its end: one file holds one configuration")
	}
	if err != nil {
		hint := ""
		if _, name, found := strings.Cut(err.Error(), "unknown field "); found {
			hint = suggest(strings.Trim(name, `"`), fields(reflect.TypeFor[Config]()))
		}
		return Config{}, fmt.Errorf("sweep: the configuration: %w%s", err, hint)
	}
	return c, nil
}

// suggest names the path whose last part is nearest to name, or all of them.
func suggest(name string, paths []string) string {
	best, least := "", 3 // more changes than two make another word
	for _, path := range paths {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), path[strings.LastIndex(path, ".")+1:]); d < least {
			best, least = path, d
		}
	}
	if best == "" {
		return "; known: " + strings.Join(paths, ", ")
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// fields lists the JSON names within t as paths.
func fields(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	var out []string
	for i := range t.NumField() {
		f := t.Field(i)
		name := jsonName(f)
		if name == "-" || name == "" {
			continue
		}
		inner := f.Type
		for inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
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

// open returns the training and the test split.
func (d Data) open(ctx context.Context, o data.OpenOptions) (train, test data.Source, err error) {
	if train, test, err = data.OpenContext(ctx, d.Name, o); err != nil {
		return nil, nil, err
	}
	if train, err = part(train, d.Train); err != nil {
		return nil, nil, fmt.Errorf("sweep: --train: %w", err)
	}
	if test, err = part(test, d.Test); err != nil {
		return nil, nil, fmt.Errorf("sweep: --test: %w", err)
	}
	return train, test, nil
}

// part draws n examples, always the same: equally many of each class, or in proportion where a class has too few for that.
func part(src data.Source, n int) (data.Source, error) {
	if n == 0 || n == src.Len() {
		return src, nil
	}
	some, err := data.Subset(src, n, 0)
	if err != nil {
		if some, err := data.Proportional(src, n, 0); err == nil {
			return some, nil
		}
	}
	return some, err
}

// fitted returns a preset's configuration for the images that a folder of the user's has: a preset's numbers are at most so
// many.
func (c Config) fitted(ctx context.Context) (Config, error) {
	if !strings.HasPrefix(c.Data.Name, "folder:") && !strings.HasPrefix(c.Data.Name, "captions:") {
		return c, nil
	}
	train, test, err := data.OpenContext(ctx, c.Data.Name, data.OpenOptions{Size: c.Data.Size})
	if err != nil {
		return c, err
	}
	atMost := func(n *int, all int) int {
		if *n >= all {
			*n = 0
		}
		if *n == 0 {
			return all
		}
		return *n
	}
	n := atMost(&c.Data.Train, train.Len())
	atMost(&c.Data.Test, test.Len())
	c.Batch = min(c.Batch, n)
	return c, nil
}
