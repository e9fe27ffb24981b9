package sweep

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// Method names a method by the one field that is set. Each has a field Backbone, the network that is kept.
type Method struct {
	Colorization *sslkit.Colorization      `json:"colorization,omitempty"`
	Inpainting   *sslkit.ContextEncoder    `json:"inpainting,omitempty"`
	Tracking     *sslkit.VideoColorization `json:"tracking,omitempty"` // of clips
	Rotation     *sslkit.Rotation          `json:"rotation,omitempty"`
	Context      *sslkit.ContextPrediction `json:"context,omitempty"`
	Jigsaw       *sslkit.Jigsaw            `json:"jigsaw,omitempty"`
	SimCLR       *sslkit.SimCLR            `json:"simclr,omitempty"`
	MoCo         *sslkit.MoCo              `json:"moco,omitempty"`
	DenseCL      *sslkit.DenseCL           `json:"densecl,omitempty"`
	DeepCluster  *sslkit.DeepCluster       `json:"deepcluster,omitempty"`
	SwAV         *sslkit.SwAV              `json:"swav,omitempty"`
	CLIP         *sslkit.CLIP              `json:"clip,omitempty"`
	MAE          *sslkit.MAE               `json:"mae,omitempty"`
	Position     *sslkit.PatchPosition     `json:"position,omitempty"`   // an instrument
	Supervised   *eval.Supervised          `json:"supervised,omitempty"` // the labels are found in the data
	Random       *Random                   `json:"random,omitempty"`
}

// revisions are raised, from 1, by whoever changes a method's numbers: older records are then not returned.
var revisions = map[string]int{"deepcluster": 2}

func revision(method string) int { return max(1, revisions[method]) }

// Random is the encoder that has learnt nothing: it is evaluated as it is drawn, and never trained.
type Random struct {
	Backbone nn.Backbone `json:"backbone"`
	Fitted   bool        `json:"fitted,omitempty"` // with the running statistics of its batch norms fitted, see eval.FitNorms
}

// Loss panics: there is nothing to train.
func (r *Random) Loss(*model.Scope, sslkit.Batch) *Node {
	exceptions.Panicf("sweep: the random encoder is not trained")
	return nil
}

// Encode is the backbone.
func (r *Random) Encode(scope *model.Scope, image *Node) []*Node {
	return r.Backbone.Stages(scope.In("encoder"), image)
}

// Methods are the names of all methods, as in JSON.
func Methods() []string {
	var names []string
	for f := range reflect.TypeFor[Method]().Fields() {
		names = append(names, jsonName(f))
	}
	return names
}

func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// chosen are the methods that are set.
func (m Method) chosen() []sslkit.Method {
	var out []sslkit.Method
	for _, v := range reflect.ValueOf(m).Fields() {
		if !v.IsNil() {
			out = append(out, v.Interface().(sslkit.Method))
		}
	}
	return out
}

// Name is the method's, as in JSON; "" where none is set.
func (m Method) Name() string {
	for f, v := range reflect.ValueOf(m).Fields() {
		if !v.IsNil() {
			return jsonName(f)
		}
	}
	return ""
}

// String is the name with what tells runs of one method apart at a glance.
func (m Method) String() string {
	switch {
	case m.Rotation != nil:
		return "rotation " + strings.Trim(strings.ReplaceAll(fmt.Sprint(m.Rotation.Angles), " ", ","), "[]")
	case m.Random != nil && m.Random.Fitted:
		return "random, norms fitted"
	}
	return m.Name()
}

// Network is the backbone of the method that is set, to be read and changed.
func (m Method) Network() *nn.Backbone {
	for _, method := range m.chosen() {
		return reflect.ValueOf(method).Elem().FieldByName("Backbone").Addr().Interface().(*nn.Backbone)
	}
	return new(nn.Backbone)
}

// Recipe is how the method that is set draws its views, to be read and changed; nil where it has no such field.
func (m Method) Recipe() *view.Recipe {
	for _, method := range m.chosen() {
		if v := reflect.ValueOf(method).Elem().FieldByName("View"); v.IsValid() {
			return v.Addr().Interface().(*view.Recipe)
		}
	}
	return nil
}

// ChanceLoss is the loss of a network of c's method that tells nothing apart: a run that stays there has not begun
// to learn, or has collapsed. It is 0 where there is no such figure.
func (c Config) ChanceLoss() float64 {
	candidates := 1
	switch m := c.Method; {
	case m.Rotation != nil:
		candidates = len(m.Rotation.Angles)
	case m.Context != nil:
		candidates = 8
	case m.Jigsaw != nil:
		candidates = m.Jigsaw.Permutations
	case m.SimCLR != nil:
		candidates = 2*c.Batch - 1
	case m.MoCo != nil:
		candidates = m.MoCo.Queue + 1
	case m.DenseCL != nil:
		candidates = m.DenseCL.Queue + 1
	case m.CLIP != nil:
		candidates = c.Batch
	case m.SwAV != nil:
		candidates = m.SwAV.Prototypes
	}
	return math.Log(float64(candidates))
}

// SelfSupervised tells the methods from the baselines.
func (m Method) SelfSupervised() bool { return m.Supervised == nil && m.Random == nil }

// RandomInit returns c with its method replaced by the same backbone as it is drawn, untrained.
func (c Config) RandomInit() Config {
	c.Method = Method{Random: &Random{Backbone: *c.Method.Network()}}
	c.Epochs, c.Batch, c.Optimizer = 0, 0, Optimizer{}
	return c
}

// RandomFitted is RandomInit with the batch norms fitted to the images.
func (c Config) RandomFitted() Config {
	c = c.RandomInit()
	c.Method.Random.Fitted = true
	return c
}
