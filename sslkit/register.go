package sslkit

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"sync"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Registration is all that the laboratory has to know of a method, said once by its recipe, its module or its cell.
type Registration struct {
	Name    string // in JSON, on the command line and in tables: "simclr"
	Paper   string // "Chen et al., 2020"
	Chapter int    // of the lecture, from 1; 0 where it is in none
	Needs   Needs  // of the data
	Role    Role

	// New returns the method with the network and the hyperparameters that it is tried with first: a pointer to a struct,
	// whose JSON is the method's configuration, with a field Backbone of type nn.Backbone, the network that is kept. A field
	// View of type view.Recipe is how it draws its views.
	New func() Method

	// Revision is raised, from 1, by whoever changes a method's numbers: older records are then not returned. 0 is 1, or in a
	// notebook's cell the digest of the method's source.
	Revision int

	Data string // the embedded dataset that it is tried on first; "": fashion-mnist-10k
	// Preset returns the configuration of a preset on a dataset. Without one it is [Usual] of New().
	Preset func(preset, dataset string) (Config, error)
	// NoPaper says what is not as in the paper where there is no preset [Paper].
	NoPaper string
	// Drawing is a step of training at a glance, boxes and arrows in the form that widgets.ParseDiagram reads; "" where there is none.
	Drawing string

	kind   reflect.Type // of what New returns
	source string       // digest, see Revision
}

// Needs is what a method reads of an example.
type Needs int

// What a method may need.
const (
	Images   Needs = iota
	Captions       // images with captions
	Moving         // clips, of which sounds are one kind
	Written        // texts
)

func (n Needs) String() string { return [...]string{"images", "captions", "clips", "texts"}[n] }

// Input is what the method's network is given as examples.
func (n Needs) Input() nn.Input {
	switch n {
	case Moving:
		return nn.Clips
	case Written:
		return nn.Texts
	}
	return nn.Images
}

// Role tells methods from what they are compared with.
type Role int

// Roles of what is registered.
const (
	SelfSupervised Role = iota
	Instrument          // learns without labels, and is there to measure something else
	Labelled            // is handed the labels: the upper row
	Untrained           // the lower row
)

func (r Role) String() string {
	return [...]string{"self-supervised", "instrument", "supervised", "untrained"}[r]
}

var registry struct {
	sync.RWMutex
	byName map[string]*Registration
	byType map[reflect.Type]*Registration
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9_-]*$`)

// Register makes a method known to configurations, the store of runs, the command and the studies. It is called from an
// init function, as database/sql's and image's are, or from the cell of a notebook. It panics on a registration that cannot
// be meant, and where the name or the type is taken already.
func Register(r Registration) {
	err := func() error {
		switch {
		case !validName.MatchString(r.Name):
			return fmt.Errorf("the name %q: write it in small letters, digits, - and _", r.Name)
		case r.New == nil:
			return errors.New("there is no New, which makes one")
		}
		r.kind = reflect.TypeOf(r.New())
		if r.kind == nil || r.kind.Kind() != reflect.Pointer || r.kind.Elem().Kind() != reflect.Struct {
			return fmt.Errorf("what New returns is %v, want a pointer to a struct", r.kind)
		}
		f, ok := r.kind.Elem().FieldByName("Backbone")
		if !ok || f.Type != reflect.TypeFor[nn.Backbone]() {
			return fmt.Errorf("%v has no field Backbone of type nn.Backbone, the network that is kept and judged", r.kind)
		}
		if _, err := reflect.New(r.kind.Elem()).Elem().FieldByIndexErr(f.Index); err != nil { // there is nothing yet that JSON could be read into
			return fmt.Errorf("%v has its Backbone behind an embedded pointer: embed the struct itself", r.kind)
		}
		return nil
	}()
	if err != nil {
		panic(fmt.Errorf("sslkit: registering method %q: %w", r.Name, err))
	}
	if r.Data == "" {
		r.Data = "fashion-mnist-10k"
	}
	if r.Preset == nil {
		r.Preset = func(preset, dataset string) (Config, error) { return Usual(preset, dataset, r.New()) }
		r.NoPaper = cmp.Or(r.NoPaper, "it was given none")
	}
	if r.Revision == 0 {
		r.source = cellDigest(r.kind.Elem().Name())
		r.Revision = 1
	}
	registry.Lock()
	defer registry.Unlock()
	if registry.byName == nil {
		registry.byName, registry.byType = make(map[string]*Registration), make(map[reflect.Type]*Registration)
	}
	if other := registry.byName[r.Name]; other != nil {
		panic(fmt.Errorf("sslkit: the method %q is registered twice, as %v and as %v: give one of them another name", r.Name, other.kind, r.kind))
	}
	if other := registry.byType[r.kind]; other != nil {
		panic(fmt.Errorf("sslkit: %v is registered twice, as %q and as %q", r.kind, other.Name, r.Name))
	}
	registry.byName[r.Name], registry.byType[r.kind] = &r, &r
}

// Registered returns all registrations: the methods by chapter, year and name, then instruments and baselines.
func Registered() []Registration {
	registry.RLock()
	defer registry.RUnlock()
	var all []Registration
	for _, r := range registry.byName {
		all = append(all, *r)
	}
	chapter := func(r Registration) int {
		if r.Chapter == 0 {
			return 1000
		}
		return r.Chapter
	}
	slices.SortFunc(all, func(a, b Registration) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), cmp.Compare(chapter(a), chapter(b)), cmp.Compare(a.year(), b.year()), cmp.Compare(a.Name, b.Name))
	})
	return all
}

var yearPattern = regexp.MustCompile(`\d{4}`)

// Presets are those that a method has.
func (r Registration) Presets() []string {
	if r.NoPaper != "" {
		return []string{Smoke, Class, Night}
	}
	return []string{Smoke, Class, Night, Paper}
}

func (r Registration) year() string { return yearPattern.FindString(r.Paper) }

// Methods are the names of all methods, in the order of [Registered].
func Methods() []string {
	var names []string
	for _, r := range Registered() {
		names = append(names, r.Name)
	}
	return names
}

// Lookup returns the registration of a name.
func Lookup(name string) (Registration, error) {
	registry.RLock()
	r := registry.byName[name]
	registry.RUnlock()
	if r == nil {
		known := Methods()
		if len(known) == 0 {
			return Registration{}, fmt.Errorf("sslkit: no method is registered: import github.com/sslkit/lab/sslkit/recipe")
		}
		return Registration{}, fmt.Errorf("%w is called %q%s", ErrUnknownMethod, name, Suggest(name, known))
	}
	return *r, nil
}

// ErrUnknownMethod says that this program has no method of a name; another one, with another module or cell, may have it.
var ErrUnknownMethod = errors.New("sslkit: no method")

// RegistrationOf returns the registration of a method's type, and false where there is none.
func RegistrationOf(m Method) (Registration, bool) {
	registry.RLock()
	defer registry.RUnlock()
	r := registry.byType[reflect.TypeOf(m)]
	if r == nil {
		return Registration{}, false
	}
	return *r, true
}

// NameOf is the name that a method is registered by, "" where it is not.
func NameOf(m Method) string {
	r, _ := RegistrationOf(m)
	return r.Name
}

// Titled methods print themselves with what tells their runs apart at a glance: "rotation 0,180".
type Titled interface{ Title() string }

// TitleOf is a method's title, or else its name.
func TitleOf(m Method) string {
	if t, ok := m.(Titled); ok {
		return t.Title()
	}
	return NameOf(m)
}

// Backbone is the network that a method keeps, to be read and changed.
func Backbone(m Method) *nn.Backbone {
	if b, ok := field(m, "Backbone").(*nn.Backbone); ok {
		return b
	}
	return new(nn.Backbone)
}

// View is how a method draws its views, to be read and changed; nil where it has no such field.
func View(m Method) *view.Recipe {
	v, _ := field(m, "View").(*view.Recipe)
	return v
}

// field is the address of a field of what m points to, nil where there is none.
func field(m Method, name string) any {
	v := reflect.ValueOf(m)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	f, ok := v.Elem().Type().FieldByName(name)
	if !ok {
		return nil
	}
	at, err := v.Elem().FieldByIndexErr(f.Index)
	if err != nil { // behind an embedded pointer, which is nil
		return nil
	}
	return at.Addr().Interface()
}

// Optional methods of a method, beside [Starter], [EpochStarter], [Optimized], [Reporter], [Crowded], [Counted] and [Colored]:
type (
	// Guesser tells the loss of a network that tells nothing apart, of a batch of so many images: a run that stays there
	// has not begun to learn, or has collapsed.
	Guesser interface{ GuessLoss(batch int) float64 }

	// AccuracyGuesser tells what a guess gets right, where that does not follow from GuessLoss.
	AccuracyGuesser interface{ GuessAccuracy(batch int) float64 }
	// Reader reads captions, in this vocabulary and length of tokens.
	Reader interface {
		Reads() (vocabulary, length int)
	}
	// Clusterer assigns the training images to clusters, which are compared with their classes: the labels by index.
	Clusterer interface {
		Labels(store *model.Store) []int32
	}
	// Prototyped groups images around prototypes: the largest of an image's scores [N, K] names its group.
	Prototyped interface {
		Scores(scope *model.Scope, image *graph.Node) *graph.Node
	}
	// Paired puts images [N, H, W, C] and captions [N, L] of tokens into one space: rows [N, D] of length 1.
	Paired interface {
		Reader
		EmbedImage(scope *model.Scope, image *graph.Node) *graph.Node
		EmbedText(scope *model.Scope, text *graph.Node) *graph.Node
	}
	// Colorblind is a method whose encoder is given the lightness of images alone, so that it is compared with such an untrained one.
	Colorblind interface{ SeesLightness() bool }
	// Diagnoser says what a history shows to have gone wrong, "" for nothing.
	Diagnoser interface{ Diagnose(h History) string }
	// Taught is handed the labels of the training images.
	Taught interface {
		Teach(labels []int32, classes int) (Method, error)
	}
)

// GuessAccuracy is what a network of c's method that tells nothing apart gets right of what the method reports as accuracy, 0
// where there is no such figure. Of a method whose loss is no cross-entropy of equally likely answers it is the method's own, see
// [AccuracyGuesser].
func (c Config) GuessAccuracy() float64 {
	if g, ok := c.Method.(AccuracyGuesser); ok {
		return g.GuessAccuracy(c.Batch)
	}
	if guess := c.GuessLoss(); guess > 0 {
		return math.Exp(-guess)
	}
	return 0
}

// Role of c's method.
func (c Config) Role() Role {
	r, _ := RegistrationOf(c.Method)
	return r.Role
}

// GuessLoss is the loss of a network of c's method that tells nothing apart, 0 where there is no such figure: see [Guesser].
func (c Config) GuessLoss() float64 {
	if g, ok := c.Method.(Guesser); ok {
		return g.GuessLoss(c.Batch)
	}
	return 0
}
