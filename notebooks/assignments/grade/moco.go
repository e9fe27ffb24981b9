package grade

import "math"

// Linear is the smallest encoder there is: a matrix, whose results are brought to length 1.
type Linear struct {
	In, Out int
	Weights []float64 // Out rows of In
}

// NewLinear draws the weights.
func NewLinear(seed uint64, in, out int) *Linear {
	l := &Linear{In: in, Out: out}
	for _, row := range Rows(seed, out, in) {
		l.Weights = append(l.Weights, row...)
	}
	return l
}

// Encode returns a row of length 1 for each row of x.
func (l *Linear) Encode(x [][]float64) [][]float64 {
	z, _ := l.encode(x)
	return z
}

func (l *Linear) encode(x [][]float64) (z [][]float64, length []float64) {
	for _, row := range x {
		out := make([]float64, l.Out)
		var sum float64
		for o := range out {
			for i, v := range row {
				out[o] += l.Weights[o*l.In+i] * v
			}
			sum += out[o] * out[o]
		}
		norm := math.Sqrt(sum)
		for o := range out {
			out[o] /= norm
		}
		z, length = append(z, out), append(length, norm)
	}
	return z, length
}

// Descend moves the weights against the gradient, which is that of a loss by the rows of Encode(x).
func (l *Linear) Descend(x, gradient [][]float64, rate float64) {
	z, length := l.encode(x)
	step := make([]float64, len(l.Weights))
	for n, row := range x {
		var along float64 // the part of the gradient that would change the length
		for o, g := range gradient[n] {
			along += g * z[n][o]
		}
		for o, g := range gradient[n] {
			for i, v := range row {
				step[o*l.In+i] += (g - along*z[n][o]) / length[n] * v
			}
		}
	}
	for i := range step {
		l.Weights[i] -= rate * step[i]
	}
}

// MoCo is the state of momentum contrast.
type MoCo struct {
	Query, Key  *Linear     // the encoder that learns, and the one that follows it
	Queue       [][]float64 // keys of earlier batches, the oldest first
	Size        int         // of the queue
	Temperature float64
	Momentum    float64
	Rate        float64 // of learning
}

// NewMoCo draws a state whose two encoders differ, as after some steps.
func NewMoCo() *MoCo {
	return &MoCo{Query: NewLinear(1, 6, 4), Key: NewLinear(2, 6, 4), Queue: UnitRows(3, 8, 4), Size: 8, Temperature: 0.2, Momentum: 0.9, Rate: 0.5}
}

// CheckStep takes one step and compares it with its parts, which have tests of their own: whoever has a mistake in a part loses
// points there, and not here.
func CheckStep(step func(m *MoCo, x1, x2 [][]float64) float64, infoNCE func(q, k, queue [][]float64, temperature float64) (float64, [][]float64),
	ema func(key, query []float64, momentum float64), enqueue func(queue, keys [][]float64, size int) [][]float64) {
	m, was := NewMoCo(), NewMoCo()
	x1, x2 := Rows(4, 3, 6), Rows(5, 3, 6)
	loss := step(m, x1, x2)

	q, k := was.Query.Encode(x1), was.Key.Encode(x2)
	queue := Clone(was.Queue)
	want, gradient := infoNCE(q, k, was.Queue, was.Temperature)
	Near("the loss, of the queue as it was before the step,", loss, want, 1e-12)

	was.Query.Descend(x1, gradient, was.Rate)
	NearRow("the query encoder's weights", m.Query.Weights, was.Query.Weights, 1e-12)
	ema(was.Key.Weights, was.Query.Weights, was.Momentum)
	NearRow("the key encoder's weights, which only follow those of the moved query encoder,", m.Key.Weights, was.Key.Weights, 1e-12)
	NearRows("the queue, with the keys of this step,", m.Queue, enqueue(queue, k, was.Size), 1e-12)
}
