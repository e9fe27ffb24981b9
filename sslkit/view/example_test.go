package view_test

import (
	"encoding/json"
	"fmt"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/sslkit/lab/sslkit/view"
)

func pureGo() compute.Backend {
	backend, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		panic(err)
	}
	return backend
}

// picture is one gray image, its rows given.
func picture(rows ...[]float32) *tensors.Tensor {
	var pixels []float32
	for _, row := range rows {
		pixels = append(pixels, row...)
	}
	return tensors.FromFlatDataAndDimensions(pixels, 1, len(rows), len(rows[0]), 1)
}

func show(t *tensors.Tensor) {
	d := t.Shape().Dimensions
	tensors.MustConstFlatData(t, func(pixels []float32) {
		for i := range d[0] * d[1] {
			fmt.Printf("%.2f\n", pixels[i*d[2]:(i+1)*d[2]])
		}
	})
}

// drawn applies a random transform with a seeded store.
func drawn(transform view.Transform, images *tensors.Tensor) *tensors.Tensor {
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(42); err != nil {
		panic(err)
	}
	return model.MustCallOnce(pureGo(), store, func(scope *model.Scope, x *Node) *Node { return transform(scope, x) }, images)
}

func ExampleFlip() {
	four := tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3}, 4, 1, 3, 1)
	show(drawn(view.Flip, four))
	// Output:
	// [3.00 2.00 1.00]
	// [3.00 2.00 1.00]
	// [1.00 2.00 3.00]
	// [3.00 2.00 1.00]
}

func ExampleRandomCrop() {
	show(drawn(view.RandomCrop(1), picture([]float32{1, 2, 3}, []float32{4, 5, 6}, []float32{7, 8, 9})))
	// Output:
	// [0.00 0.00 0.00]
	// [2.00 3.00 0.00]
	// [5.00 6.00 0.00]
}

func ExampleChain() {
	cifar := view.Chain(view.RandomCrop(4), view.Flip)
	images := tensors.FromFlatDataAndDimensions(make([]float32, 2*32*32*3), 2, 32, 32, 3)
	fmt.Println(drawn(cifar, images).Shape())
	// Output:
	// (Float32)[2, 32, 32, 3]
}

func ExampleCropResize() {
	half := MustExecOnce(pureGo(), func(x *Node) *Node {
		at := func(v float32) *Node { return Const(x.Graph(), []float32{v}) }
		return view.CropResize(x, at(0), at(1), at(2), at(2), 4)
	}, picture([]float32{9, 0, 4}, []float32{9, 8, 4}))
	show(half)
	// Output:
	// [0.00 1.00 3.00 4.00]
	// [2.00 2.50 3.50 4.00]
	// [6.00 5.50 4.50 4.00]
	// [8.00 7.00 5.00 4.00]
}

func ExampleRotate90() {
	two := tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4, 1, 2, 3, 4}, 2, 2, 2, 1)
	show(MustExecOnce(pureGo(), view.Rotate90, two, []int32{1, 2}))
	// Output:
	// [2.00 4.00]
	// [1.00 3.00]
	// [4.00 3.00]
	// [2.00 1.00]
}

func ExampleRotate() {
	line := picture([]float32{0, 0, 0, 0, 0}, []float32{0, 0, 0, 0, 0}, []float32{1, 1, 1, 1, 1}, []float32{0, 0, 0, 0, 0}, []float32{0, 0, 0, 0, 0})
	show(MustExecOnce(pureGo(), func(x *Node) *Node { return view.Rotate(x, 45) }, line))
	// Output:
	// [0.00 0.00 0.00 0.29 1.00]
	// [0.00 0.00 0.29 1.00 0.29]
	// [0.00 0.29 1.00 0.29 0.00]
	// [0.29 1.00 0.29 0.00 0.00]
	// [1.00 0.29 0.00 0.00 0.00]
}

func ExampleDisc() {
	white := picture([]float32{1, 1, 1, 1}, []float32{1, 1, 1, 1}, []float32{1, 1, 1, 1}, []float32{1, 1, 1, 1})
	show(MustExecOnce(pureGo(), func(x *Node) *Node { return view.Disc(x, 0.5) }, white))
	// Output:
	// [0.50 0.50 0.50 0.50]
	// [0.50 1.00 1.00 0.50]
	// [0.50 1.00 1.00 0.50]
	// [0.50 0.50 0.50 0.50]
}

func ExampleSoften() {
	dot := picture([]float32{0, 0, 0}, []float32{0, 1, 0}, []float32{0, 0, 0})
	show(MustExecOnce(pureGo(), view.Soften, dot))
	// Output:
	// [0.04 0.05 0.04]
	// [0.05 0.66 0.05]
	// [0.04 0.05 0.04]
}

func ExamplePatchify() {
	image := picture([]float32{1, 2, 3, 4}, []float32{5, 6, 7, 8}, []float32{9, 10, 11, 12}, []float32{13, 14, 15, 16})
	patches := MustExecOnce(pureGo(), func(x *Node) *Node { return view.Patchify(x, 2) }, image)
	fmt.Println(patches.Value())
	// Output: [[[1 2 5 6] [3 4 7 8] [9 10 13 14] [11 12 15 16]]]
}

func ExampleUnpatchify() {
	patches := [][][]float32{{{1, 2, 5, 6}, {3, 4, 7, 8}, {9, 10, 13, 14}, {11, 12, 15, 16}}}
	show(MustExecOnce(pureGo(), func(x *Node) *Node { return view.Unpatchify(x, 2) }, patches))
	// Output:
	// [1.00 2.00 3.00 4.00]
	// [5.00 6.00 7.00 8.00]
	// [9.00 10.00 11.00 12.00]
	// [13.00 14.00 15.00 16.00]
}

func ExampleRandomMask() {
	image := tensors.FromFlatDataAndDimensions(make([]float32, 2*8*8), 2, 8, 8, 1)
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(42); err != nil {
		panic(err)
	}
	seen := model.MustCallOnce(pureGo(), store, func(scope *model.Scope, x *Node) *Node {
		patches := view.Patchify(x, 2) // 2x16x4
		order := view.RandomMask(scope, patches)
		return Slice(order, AxisRange(), AxisRange(0, 16-view.Hidden(16, 0.75)))
	}, image)
	fmt.Println(seen.Value())
	// Output: [[9 5 1 0] [14 7 8 4]]
}

// One of the words is to be hidden, and none of the padding.
func ExampleRandomOrder() {
	order, err := model.CallOnce(pureGo(), model.NewStore(), view.RandomOrder, [][]bool{{true, true, false, false}})
	if err != nil {
		panic(err)
	}
	fmt.Println(order.Value().([][]int32)[0][0] < 2)
	// Output:
	// true
}

func ExamplePick() {
	patches := [][][]float32{{{1, 2}, {3, 4}, {5, 6}}}
	fmt.Println(MustExecOnce(pureGo(), view.Pick, patches, [][]int32{{2, 0}}).Value())
	// Output: [[[5 6] [1 2]]]
}

func ExampleRanks() {
	fmt.Println(MustExecOnce(pureGo(), view.Ranks, [][]int32{{2, 0, 1}}).Value())
	// Output: [[1 2 0]]

}

func ExampleCut() {
	numbers := picture([]float32{1, 2, 3, 4}, []float32{5, 6, 7, 8}, []float32{9, 10, 11, 12})
	two := MustExecOnce(pureGo(), func(x *Node) *Node {
		return view.Cut(x, Const(x.Graph(), [][]int32{{0, 1}}), Const(x.Graph(), [][]int32{{0, 2}}), 2)
	}, numbers)
	show(two)
	// Output:
	// [1.00 2.00]
	// [5.00 6.00]
	// [7.00 8.00]
	// [11.00 12.00]
}

func ExampleChromaticAberration() {
	// A white spot far right of the centre: green, the second of each pixel's three values, moves to the left.
	line := tensors.FromFlatDataAndDimensions([]float32{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1}, 1, 1, 5, 3)
	fringe := MustExecOnce(pureGo(), func(x *Node) *Node {
		return Reshape(view.ChromaticAberration(x, 1), 1, 5, 3, 1)
	}, line)
	show(fringe)
	// Output:
	// [0.00 0.00 0.00]
	// [0.00 0.00 0.00]
	// [0.00 0.00 0.00]
	// [0.00 1.00 0.00]
	// [1.00 1.00 1.00]
}

func ExampleStandardize() {
	dim := picture([]float32{0.5, 0.5, 0.52, 0.52})
	show(MustExecOnce(pureGo(), view.Standardize, dim))
	// Output:
	// [0.25 0.25 0.75 0.75]
}

func ExampleProjectColors() {
	// Green and magenta become the same grey.
	colours := tensors.FromFlatDataAndDimensions([]float32{0, 1, 0, 0.5, 0, 0.5}, 1, 1, 2, 3)
	grey := MustExecOnce(pureGo(), func(x *Node) *Node { return Reshape(view.ProjectColors(x), 1, 2, 3, 1) }, colours)
	show(grey)
	// Output:
	// [0.33 0.33 0.33]
	// [0.33 0.33 0.33]
}

func ExampleDropColors() {
	// One channel of each is left. The noise in the others is that of a flat one: none.
	red := tensors.FromFlatDataAndDimensions([]float32{1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0}, 4, 1, 1, 3)
	show(drawn(func(scope *model.Scope, x *Node) *Node {
		return Reshape(view.DropColors(scope, x), 1, 4, 3, 1)
	}, red))
	// Output:
	// [1.00 0.50 0.50]
	// [0.50 0.00 0.50]
	// [1.00 0.50 0.50]
	// [0.50 0.50 0.00]
}

func ExampleShiftColors() {
	// Both channels are 0, 1, 2 along the line.
	line := tensors.FromFlatDataAndDimensions([]float32{0, 0, 1, 1, 2, 2}, 1, 1, 3, 2)
	show(drawn(func(scope *model.Scope, x *Node) *Node {
		return Reshape(view.ShiftColors(1)(scope, x), 1, 3, 2, 1)
	}, line))
	// Output:
	// [1.00 0.00]
	// [2.00 1.00]
	// [2.00 2.00]
}

func ExamplePixelate() {
	show(drawn(view.Pixelate(1), picture([]float32{1, 0, 0, 0}, []float32{0, 0, 0, 0}, []float32{0, 0, 0, 0}, []float32{0, 0, 0, 1})))
	// Output:
	// [0.25 0.19 0.06 0.00]
	// [0.19 0.16 0.09 0.06]
	// [0.06 0.09 0.16 0.19]
	// [0.00 0.06 0.19 0.25]
}

// colour is one pixel as an image.
func colour(r, g, b float32) *tensors.Tensor {
	return tensors.FromFlatDataAndDimensions([]float32{r, g, b}, 1, 1, 1, 3)
}

func ExampleAdjustBrightness() {
	show(MustExecOnce(pureGo(), view.AdjustBrightness, picture([]float32{0.2, 0.4, 0.6}), []float32{2}))
	// Output:
	// [0.40 0.80 1.00]
}

func ExampleAdjustContrast() {
	show(MustExecOnce(pureGo(), view.AdjustContrast, picture([]float32{0.2, 0.4, 0.6}), []float32{0.5}))
	// Output:
	// [0.30 0.40 0.50]
}

func ExampleAdjustSaturation() {
	red := colour(1, 0, 0)
	fmt.Println(MustExecOnce(pureGo(), view.AdjustSaturation, red, []float32{0.5}))
	// Output:
	// [1][1][1][3]float32{{{{0.6495, 0.1495, 0.1495}}}}
}

func ExampleAdjustHue() {
	orange := colour(1, 0.5, 0)
	fmt.Println(MustExecOnce(pureGo(), view.AdjustHue, orange, []float32{0.5}))
	// Output:
	// [1][1][1][3]float32{{{{0, 0.5, 1}}}}
}

func ExampleGrayscale() {
	green := colour(0, 1, 0)
	fmt.Println(MustExecOnce(pureGo(), view.Grayscale, green))
	// Output:
	// [1][1][1][3]float32{{{{0.587, 0.587, 0.587}}}}
}

func ExampleSolarize() {
	show(MustExecOnce(pureGo(), func(x *Node) *Node { return view.Solarize(x, 0.5) }, picture([]float32{0.2, 0.5, 0.9})))
	// Output:
	// [0.20 0.50 0.10]
}

func ExampleGaussianBlur() {
	dot := picture([]float32{0, 0, 0, 0, 0}, []float32{0, 0, 0, 0, 0}, []float32{0, 0, 1, 0, 0}, []float32{0, 0, 0, 0, 0}, []float32{0, 0, 0, 0, 0})
	show(MustExecOnce(pureGo(), func(x, sigma *Node) *Node { return view.GaussianBlur(x, 3, sigma) }, dot, []float32{1}))
	// Output:
	// [0.00 0.00 0.00 0.00 0.00]
	// [0.00 0.08 0.12 0.08 0.00]
	// [0.00 0.12 0.20 0.12 0.00]
	// [0.00 0.08 0.12 0.08 0.00]
	// [0.00 0.00 0.00 0.00 0.00]
}

func ExampleRandomResizedCrop() {
	ramp := picture([]float32{0, 0.25, 0.5, 0.75}, []float32{0, 0.25, 0.5, 0.75}, []float32{0, 0.25, 0.5, 0.75}, []float32{0, 0.25, 0.5, 0.75})
	show(drawn(view.RandomResizedCrop(2, 0.2, 0.6), ramp))
	// Output:
	// [0.00 0.25]
	// [0.00 0.25]
}

func ExampleRandomResizedCropBicubic() {
	edge := picture([]float32{0, 0, 1, 1}, []float32{0, 0, 1, 1}, []float32{0, 0, 1, 1}, []float32{0, 0, 1, 1})
	show(drawn(view.RandomResizedCropBicubic(2, 1, 1), edge))
	// Output:
	// [0.08 0.92]
	// [0.08 0.92]
}

func ExampleCropResizeBicubic() {
	half := MustExecOnce(pureGo(), func(x *Node) *Node {
		at := func(v float32) *Node { return Const(x.Graph(), []float32{v}) }
		return view.CropResizeBicubic(x, at(0), at(0), at(2), at(4), 2)
	}, picture([]float32{0, 0, 1, 1}, []float32{0, 0, 1, 1}))
	show(half)
	// Output:
	// [0.08 0.92]
	// [0.08 0.92]
}

func ExampleColorJitter() {
	pastel := colour(0.7, 0.6, 0.4)
	fmt.Println(drawn(view.ColorJitter(1, 0.4, 0.4, 0.4, 0.1), pastel))
	// Output:
	// [1][1][1][3]float32{{{{0.4739, 0.3668, 0.3367}}}}
}

func ExampleRandomGrayscale() {
	four := tensors.FromFlatDataAndDimensions([]float32{1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0}, 4, 1, 1, 3)
	fmt.Println(drawn(view.RandomGrayscale(0.5), four))
	// Output:
	// [4][1][1][3]float32{
	//  {{{0.2989, 0.2989, 0.2989}}}},
	//  {{{0.2989, 0.2989, 0.2989}}}},
	//  {{{1, 0, 0}}}},
	//  {{{0.2989, 0.2989, 0.2989}}}}
}

func ExampleRandomBlur() {
	dot := picture([]float32{0, 0, 0}, []float32{0, 1, 0}, []float32{0, 0, 0})
	show(drawn(view.RandomBlur(1, 3, 0.1, 2), dot))
	// Output:
	// [0.02 0.13 0.02]
	// [0.13 0.73 0.13]
	// [0.02 0.13 0.02]
}

func ExampleRandomSolarize() {
	four := tensors.FromFlatDataAndDimensions([]float32{0.2, 0.9, 0.2, 0.9, 0.2, 0.9, 0.2, 0.9}, 4, 1, 2, 1)
	show(drawn(view.RandomSolarize(0.5, 0.5), four))
	// Output:
	// [0.20 0.10]
	// [0.20 0.10]
	// [0.20 0.90]
	// [0.20 0.10]
}

// Two views of each image in one call: the first of each, then the second of each.
func ExampleRecipe_View() {
	recipe := view.SimCLR(1)
	twoViews := func(scope *model.Scope, x *Node) *Node { return recipe.View(scope, Concatenate([]*Node{x, x}, 0)) }
	images := tensors.FromFlatDataAndDimensions(make([]float32, 2*32*32*3), 2, 32, 32, 3)
	fmt.Println(drawn(twoViews, images).Shape())
	// Output:
	// (Float32)[4, 32, 32, 3]
}

func ExampleSimCLRCIFAR() {
	text, err := json.Marshal(view.SimCLRCIFAR())
	fmt.Println(string(text), err)
	// Output:
	// {"min_scale":0.08,"flip":true,"jitter":0.8,"brightness":0.4,"contrast":0.4,"saturation":0.4,"hue":0.1,"gray":0.2} <nil>
}

func ExampleRecipe_Only() {
	crop := view.SimCLR(1).Only("crop")
	fmt.Println(crop.MinScale, crop.Flip, crop.Jitter, crop.Blur)
	// Output: 0.08 true 0 0
}

func ExampleHoles() {
	image := picture(make([]float32, 5), make([]float32, 5), make([]float32, 5), make([]float32, 5))
	corner := [][]int32{{0, 2}} // of two squares
	show(MustExecOnce(pureGo(), func(in []*Node) *Node { return view.Holes(in[0], in[1], in[1], 2) }, image, corner))
	// Output:
	// [1.00 1.00 0.00 0.00 0.00]
	// [1.00 1.00 0.00 0.00 0.00]
	// [0.00 0.00 1.00 1.00 0.00]
	// [0.00 0.00 1.00 1.00 0.00]
}

func ExampleRandomHoles() {
	image := picture(make([]float32, 5), make([]float32, 5), make([]float32, 5))
	show(drawn(func(scope *model.Scope, x *Node) *Node { return view.RandomHoles(scope, x, 1, 2) }, image))
	// Output:
	// [0.00 0.00 0.00 1.00 1.00]
	// [0.00 0.00 0.00 1.00 1.00]
	// [0.00 0.00 0.00 0.00 0.00]
}
