package recipe_test

import (
	"reflect"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/view"
)

// "We use SGD with base lr = 0.03 and a cosine decay schedule for 800 epochs, weight decay = 0.0005, and batch size = 512. The input
// image size is 32x32. We do not use blur augmentation. The backbone is the CIFAR variant of ResNet-18, followed by a 2-layer
// projection MLP. The outputs are 2048-d." Reference: Chen & He 2021, App. D; the rate is that times 512/256, Sec. 3; the views
// are those of App. A.
func TestSimSiamPaper(t *testing.T) {
	got, err := recipe.SimSiam(sslkit.Paper, "cifar10")
	if err != nil {
		t.Fatal(err)
	}
	want := sslkit.Config{
		Method: &sslkit.SimSiam{
			Backbone: nn.ResNet18(64), Layers: 2, Dim: 2048, Hidden: 512,
			View: view.Recipe{MinScale: 0.2, Flip: true, Jitter: 0.8, Brightness: 0.4, Contrast: 0.4, Saturation: 0.4, Hue: 0.1, Gray: 0.2},
		},
		Data: sslkit.Data{Name: "cifar10"}, Seed: 1, Epochs: 800, Batch: 512,
		Optimizer: sslkit.Optimizer{Kind: "sgd", Rate: 0.06, Momentum: 0.9, WeightDecay: 5e-4},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("it is %+v, want %+v", got, want)
	}
}
