package sslkit

import (
	"errors"
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/model/initializer"

	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

// DINO has a network say of small and large views of an image what a slow copy of it, centred and sharpened, says of the large ones.
//
// Caron et al., "Emerging Properties in Self-Supervised Vision Transformers", ICCV 2021, arXiv:2104.14294. Loss is Eq. 3; the
// center moves by Eq. 4, after the loss, as in the authors' code, facebookresearch/dino, main_dino.py.
//
// The teacher moves before a step, by that step's momentum. Views are drawn alike, where the release blurs and solarizes the large ones
// differently. Small views have positions of their own, and not stretched ones. The student is kept, where the paper keeps the teacher.
type DINO struct {
	Backbone    nn.Backbone `json:"backbone"`     // f, Sec. 3.1
	View        view.Recipe `json:"view"`         // of the two large views and, but for its min_scale, of the small ones
	SmallCrops  int         `json:"small_crops"`  // local views, Sec. 3.1
	SmallSize   int         `json:"small_size"`   // their side in pixels
	SmallMin    float64     `json:"small_min"`    // least and
	SmallMax    float64     `json:"small_max"`    // largest share of the image's area
	Hidden      int         `json:"hidden"`       // units of the two hidden layers of the head h, App. C
	Bottleneck  int         `json:"bottleneck"`   // dimensions of the unit rows before its last layer
	Dim         int         `json:"dim"`          // K
	Student     float64     `json:"student"`      // tau_s, Eq. 1
	Teacher     float64     `json:"teacher"`      // tau_t, Sec. 3.2
	WarmTeacher float64     `json:"warm_teacher"` // tau_t in the first epoch, from where it rises linearly
	WarmEpochs  int         `json:"warm_epochs"`  // epochs before it is Teacher; 0: from the first
	Momentum    float64     `json:"momentum"`     // lambda at first; 1 at the end, by a cosine (Sec. 3.1)
	Center      float64     `json:"center"`       // m, Eq. 4; 1: never moved from 0, no centring
	Freeze      int         `json:"freeze"`       // first epochs, in which the last layer stays as it was drawn (App. C)
}

// PaperDINO has the release's setting for a ViT-S (Sec. 3.2, App. C) of images of this side, with eight small views of 96/224 of it.
func PaperDINO(backbone nn.Backbone, side int) *DINO {
	m := &DINO{Backbone: backbone, View: view.MoCoV2(), SmallCrops: 8, SmallSize: side * 96 / 224, SmallMin: 0.05, SmallMax: 0.4,
		Hidden: 2048, Bottleneck: 256, Dim: 65536, Student: 0.1, Teacher: 0.07, WarmTeacher: 0.04, WarmEpochs: 30, Momentum: 0.996, Center: 0.9, Freeze: 1}
	m.View.MinScale = 0.4
	return m
}

// SmallDINO is for images of some 32 pixels, patches of 4, and some hundred steps.
func SmallDINO(backbone nn.Backbone) *DINO {
	m := PaperDINO(backbone, 28)
	m.View = view.SimCLRCIFAR()
	m.View.MinScale, m.SmallCrops, m.SmallSize, m.SmallMin = 0.4, 4, 16, 0.1
	m.Hidden, m.Bottleneck, m.Dim, m.Teacher, m.WarmEpochs, m.Momentum = 256, 64, 256, 0.04, 0, 0.97
	return m
}

// Validate says what cannot be trained.
func (m *DINO) Validate() error {
	switch {
	case m.Hidden < 1 || m.Bottleneck < 1 || m.Dim < 2:
		return fmt.Errorf("sslkit: a head of %d, %d and %d units: at least 1, 1 and 2", m.Hidden, m.Bottleneck, m.Dim)
	case !(m.Momentum >= 0 && m.Momentum <= 1 && m.Center >= 0 && m.Center <= 1):
		return fmt.Errorf("sslkit: momentum %g and center %g: both must be in [0, 1]", m.Momentum, m.Center)
	case m.SmallCrops < 0 || m.WarmEpochs < 0 || m.Freeze < 0:
		return fmt.Errorf("sslkit: small_crops %d, warm_epochs %d, freeze %d: none may be negative", m.SmallCrops, m.WarmEpochs, m.Freeze)
	case m.SmallCrops > 0 && (m.SmallSize < 1 || !(m.SmallMin > 0 && m.SmallMin <= m.SmallMax && m.SmallMax <= 1)):
		return fmt.Errorf("sslkit: small views of side %d and of %g to %g of the area: choose at least 1, and from above 0 to 1", m.SmallSize, m.SmallMin, m.SmallMax)
	}
	return errors.Join(checkTemperature(m.Student), checkTemperature(m.Teacher), checkTemperature(m.WarmTeacher), m.View.Validate(), m.Backbone.Validate())
}

// Reports lists the spread of the teacher's unit features, and the entropy of its batch's mean and the mean of its single ones, in nats.
func (m *DINO) Reports() []string { return []string{"projection_std", "entropy", "teacher_entropy"} }

// Loss builds what the student says of all views, the teacher of the large ones, and their cross-entropy.
func (m *DINO) Loss(scope *model.Scope, b Batch) *Node {
	g, x := b.Image.Graph(), b.Image
	large, small := m.crops(scope, x) // 2NxHxWxC, VNxsxsxC
	epoch, share := clock(scope, g)
	h := nn.Pool(nn.Last(m.Encode(scope, large)))
	if small != nil {
		h = Concatenate([]*Node{h, nn.Pool(nn.Last(m.Encode(scope, small)))}, 0)
	}
	_, student := m.head(scope.In("head"), h, LessThan(epoch, ConstAs(epoch, m.Freeze))) // (2+V)NxK

	slow, momentum := scope.In("teacher"), cosineMomentum(share, m.Momentum)
	follow(slow.At("encoder"), scope.At("encoder"), momentum)
	follow(slow.At("head"), scope.At("head"), momentum)
	z, teacher := m.head(slow.In("head"), nn.Pool(nn.Last(m.Encode(slow, large))), nil) // 2NxK
	nn.Freeze(slow)
	teacher = StopGradient(teacher)
	v := scope.WithInitializer(initializer.Zero).VariableWithShape("center", shapes.Make(dtypes.Float32, m.Dim)).SetTrainable(false)
	c := v.NodeValue(g)
	if scope.IsTraining(g) {
		v.SetNodeValue(Add(MulScalar(c, m.Center), MulScalar(ReduceMean(teacher, 0), 1-m.Center)))
	}
	t := m.temperature(epoch)
	teacher, c = Div(teacher, t), Div(c, t) // t changes: the loss is handed what it is to divide by 1
	said := Softmax(Sub(teacher, InsertAxes(c, 0)))
	Report("entropy", entropy(ReduceMean(said, 0)))
	Report("teacher_entropy", ReduceAllMean(entropy(said)))
	Report("projection_std", loss.FeatureStd(z))
	return loss.DINO(views(student, x.Shape().Dim(0)), views(teacher, x.Shape().Dim(0)), c, m.Student, 1)
}

// Start makes the teacher a copy of the student, and tells the schedules how long the training is.
func (m *DINO) Start(r *Run) error {
	return errors.Join(setClock(r), nn.Copy(r.Store, "/teacher/encoder", "/encoder"), nn.Copy(r.Store, "/teacher/head", "/head"))
}

// Encode is f of the student.
func (m *DINO) Encode(scope *model.Scope, image *Node) []*Node {
	return m.Backbone.Stages(scope.At("encoder"), image)
}

// GuessLoss is the cross-entropy of a guess.
func (m *DINO) GuessLoss(int) float64 { return math.Log(float64(m.Dim)) }
