package nn_test

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	_ "github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/sslkit/lab/sslkit/nn"
)

func pureGo() compute.Backend {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		panic(err)
	}
	return backend
}

func ExampleBackbone_Stages() {
	g := NewGraph(pureGo(), "example")
	image := Parameter(g, "image", shapes.Make(dtypes.Float32, 512, 32, 32, 3))
	scope := model.NewStore().RootScope()
	for _, b := range []nn.Backbone{nn.ResNet(20, 16), nn.NIN(4, 192), nn.ViT(4, 96, 4)} {
		for _, m := range b.Stages(scope.In("%s", b.Arch), image) {
			fmt.Println(b.Arch, m.Shape().Dimensions)
		}
	}
	// Output:
	// resnet [512 32 32 16]
	// resnet [512 16 16 32]
	// resnet [512 8 8 64]
	// nin [512 16 16 96]
	// nin [512 8 8 192]
	// nin [512 8 8 192]
	// nin [512 8 8 192]
	// vit [512 8 8 96]
	// vit [512 8 8 96]
	// vit [512 8 8 96]
	// vit [512 8 8 96]
}

func ExamplePool() {
	store := model.NewStore()
	images := tensors.FromShape(shapes.Make(dtypes.Float32, 2, 8, 8, 1))
	logits := model.MustCallOnce(pureGo(), store, func(scope *model.Scope, image *Node) *Node {
		maps := nn.ResNet(8, 4).Stages(scope.In("encoder"), image)
		return nn.MLP(scope.In("classifier"), nn.Pool(nn.Last(maps)), 10)
	}, images)
	fmt.Println(logits.Shape())
	// Output:
	// (Float32)[2, 10]
}

func ExampleBatchNorm() {
	x := [][]float32{{1, 100}, {2, 300}, {3, 200}}
	y := model.MustCallOnce(pureGo(), model.NewStore(), func(scope *model.Scope, x *Node) *Node {
		scope.Store().SetTraining(x.Graph(), true)
		return nn.BatchNorm(scope, x)
	}, x)
	for _, row := range y.Value().([][]float32) {
		fmt.Printf("%.2f\n", row)
	}
	// Output:
	// [-1.22 -1.22]
	// [0.00 1.22]
	// [1.22 0.00]
}

func ExampleSinCos2D() {
	for _, position := range nn.SinCos2D(2, 4) {
		fmt.Printf("%.2f\n", position)
	}
	// Output:
	// [0.00 1.00 0.00 1.00]
	// [0.84 0.54 0.00 1.00]
	// [0.00 1.00 0.84 0.54]
	// [0.84 0.54 0.84 0.54]
}
