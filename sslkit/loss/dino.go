package loss

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// DINO is the self-distillation of Caron et al. 2021, "Emerging Properties in Self-Supervised Vision Transformers", Sec. 3.1,
// Eq. 3 and Algorithm 1: each of the student's views is to say what the teacher says of another one. It is the mean over the
// teacher's views i, all student's views v other than i and the N examples of
//
//	-sum_k softmax((teacher[i] - center) / teacherTemperature)[k] * log softmax(student[v] / studentTemperature)[k]
//
// student and teacher are [N, K] each, float32 or float64, of the same N images in this order; the student's first
// len(teacher) views are the teacher's, as in main_dino.py. center is [K], the running mean of the teacher's outputs, and all are of
// one dtype, as the result is, a scalar. Neither teacher nor center gets a gradient.
// Panics with an error on other shapes, fewer than two views, none of the teacher's or more than the student's, and temperatures
// <= 0.
func DINO(student, teacher []*Node, center *Node, studentTemperature, teacherTemperature float64) *Node {
	if len(student) < 2 || len(teacher) < 1 || len(teacher) > len(student) {
		exceptions.Panicf("loss.DINO: the student has %d views and the teacher %d; it takes two views, and the teacher sees the first ones",
			len(student), len(teacher))
	}
	for _, t := range []float64{studentTemperature, teacherTemperature} {
		if !(t > 0) || math.IsInf(t, 1) {
			exceptions.Panicf("loss.DINO: temperatures are %g and %g; both must be finite and above 0, such as 0.1 and 0.04",
				studentTemperature, teacherTemperature)
		}
	}
	s := student[0].Shape()
	if s.Rank() != 2 || s.Size() == 0 || s.DType != dtypes.Float32 && s.DType != dtypes.Float64 {
		exceptions.Panicf("loss.DINO: outputs must be [N, K] float32 or float64, got %s", s)
	}
	if !center.Shape().Equal(shapes.Make(s.DType, s.Dim(1))) {
		exceptions.Panicf("loss.DINO: center must be [K] as the outputs %s, got %s", s, center.Shape())
	}
	told := make([]*Node, len(teacher)) // NxK
	for i, t := range teacher {
		if !t.Shape().Equal(s) {
			exceptions.Panicf("loss.DINO: the teacher's view %d is %s, the student's view 0 %s", i, t.Shape(), s)
		}
		told[i] = StopGradient(Softmax(DivScalar(Sub(t, InsertAxes(center, 0)), teacherTemperature)))
	}
	var sum *Node
	for v, out := range student {
		if !out.Shape().Equal(s) {
			exceptions.Panicf("loss.DINO: the student's view %d is %s, its view 0 %s", v, out.Shape(), s)
		}
		logp := LogSoftmax(DivScalar(out, studentTemperature)) // NxK
		for i, p := range told {
			if i == v {
				continue
			}
			term := ReduceAllSum(Mul(p, logp))
			if sum != nil {
				term = Add(sum, term)
			}
			sum = term
		}
	}
	return DivScalar(sum, -float64(s.Dim(0)*len(teacher)*(len(student)-1)))
}
