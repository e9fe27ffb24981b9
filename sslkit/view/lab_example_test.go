package view_test

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/sslkit/view"
)

// pixel is an image of one pixel of three channels.
func pixel(v ...float64) *tensors.Tensor { return tensors.FromFlatDataAndDimensions(v, 1, 1, 1, 3) }

func ExampleRGBToLab() {
	for _, rgb := range []*tensors.Tensor{pixel(1, 0, 0), pixel(0, 0, 1), pixel(0.5, 0.5, 0.5)} {
		fmt.Printf("%.1f\n", tensors.MustCopyFlatData[float64](MustExecOnce(pureGo(), view.RGBToLab, rgb)))
	}
	// Output:
	// [53.2 80.1 67.2]
	// [32.3 79.2 -107.9]
	// [53.4 0.0 0.0]
}

func ExampleLabToRGB() {
	for _, lab := range []*tensors.Tensor{pixel(53.24, 80.09, 67.2), pixel(60, -100, -50)} { // red; no colour of sRGB
		fmt.Printf("%.2f\n", tensors.MustCopyFlatData[float64](MustExecOnce(pureGo(), view.LabToRGB, lab)))
	}
	// Output:
	// [1.00 0.00 0.00]
	// [0.00 0.72 0.91]
}

func ExampleLightness() {
	grey := tensors.FromFlatDataAndDimensions([]float64{0.1, 0.2, 0.5, 1}, 1, 1, 4, 1)
	fmt.Printf("%.2f\n", tensors.MustCopyFlatData[float64](MustExecOnce(pureGo(), view.Lightness, grey)))
	fmt.Printf("%.2f\n", tensors.MustCopyFlatData[float64](MustExecOnce(pureGo(), view.Lightness, pixel(0, 1, 0))))
	// Output:
	// [0.09 0.21 0.53 1.00]
	// [0.88]
}

func ExampleBinCenters() {
	centers := view.BinCenters()
	fmt.Println(len(centers), centers[0], centers[1], centers[312])
	// Output:
	// 313 [-90 50] [-90 60] [100 0]
}

func ExampleSoftBins() {
	ab := [][]float64{{2, -1}}
	for q, z := range MustExecOnce(pureGo(), func(x *Node) *Node { return view.SoftBins(x, 5, 5) }, ab).Value().([][]float64)[0] {
		if z > 0 {
			fmt.Printf("%v %.3f\n", view.BinCenters()[q], z)
		}
	}
	// Output:
	// [-10 0] 0.037
	// [0 -10] 0.122
	// [0 0] 0.604
	// [0 10] 0.055
	// [10 0] 0.182
}

func ExampleNearestBin() {
	bins := MustExecOnce(pureGo(), view.NearestBin, [][]float64{{2, -1}, {97, -60}}).Value().([]int32)
	fmt.Println(view.BinCenters()[bins[0]], view.BinCenters()[bins[1]])
	// Output:
	// [0 0] [100 -60]
}

func ExampleAnnealedMean() {
	logits := [][]float64{make([]float64, view.Bins)}
	for q := range logits[0] {
		logits[0][q] = -100
	}
	logits[0][30], logits[0][290] = 0, 1 // one of two colours
	for _, t := range []float64{1, 0.38, 0} {
		fmt.Printf("%.1f\n", MustExecOnce(pureGo(), func(x *Node) *Node { return view.AnnealedMean(x, t) }, logits).Value())
	}
	// Output:
	// [[49.7 -23.1]]
	// [[79.9 -43.3]]
	// [[90.0 -50.0]]
}
