package training

import (
	"math"
	"math/rand/v2"
)

// network is an encoder, one layer of tanh, and a linear head upon it. Features are what the encoder gives.
type network struct{ encoder, head *layer }

func newNetwork(rnd *rand.Rand, in, features, out int) *network {
	return &network{newLayer(rnd, in, features), newLayer(rnd, features, out)}
}

func (n *network) encode(x [][]float64) [][]float64 {
	h := n.encoder.forward(x)
	for _, row := range h {
		for j, v := range row {
			row[j] = math.Tanh(v)
		}
	}
	return h
}

// learn moves the network by the gradient of a loss by the head's output, which gradient computes of it.
func (n *network) learn(x [][]float64, gradient func(out [][]float64) [][]float64) {
	h := n.encode(x)
	dh := n.head.learn(h, gradient(n.head.forward(h)))
	for i, row := range dh {
		for j := range row {
			row[j] *= 1 - h[i][j]*h[i][j]
		}
	}
	n.encoder.learn(x, dh)
}

// layer is linear with a bias, trained by Adam.
type layer struct {
	in, out      int
	w, mean, pow []float64 // out rows of in numbers and the bias; moments of the gradient
	steps        float64
}

func newLayer(rnd *rand.Rand, in, out int) *layer {
	l := &layer{in: in, out: out, w: make([]float64, out*(in+1)), mean: make([]float64, out*(in+1)), pow: make([]float64, out*(in+1))}
	for i := range l.w {
		if (i+1)%(in+1) != 0 {
			l.w[i] = rnd.NormFloat64() / math.Sqrt(float64(in))
		}
	}
	return l
}

func (l *layer) forward(x [][]float64) [][]float64 {
	y := make([][]float64, len(x))
	for i, row := range x {
		y[i] = make([]float64, l.out)
		for o := range y[i] {
			w := l.w[o*(l.in+1):][:l.in+1]
			sum := w[l.in]
			for j, v := range row {
				sum += w[j] * v
			}
			y[i][o] = sum
		}
	}
	return y
}

// learn takes a step against the gradient dy by the output and returns the gradient by x.
func (l *layer) learn(x, dy [][]float64) [][]float64 {
	dx, dw := make([][]float64, len(x)), make([]float64, len(l.w))
	for i, row := range x {
		dx[i] = make([]float64, l.in)
		for o, d := range dy[i] {
			w, g := l.w[o*(l.in+1):], dw[o*(l.in+1):]
			for j, v := range row {
				g[j] += d * v
				dx[i][j] += d * w[j]
			}
			g[l.in] += d
		}
	}
	const rate, beta1, beta2 = 0.003, 0.9, 0.999
	l.steps++
	c1, c2 := 1-math.Pow(beta1, l.steps), 1-math.Pow(beta2, l.steps)
	for i, g := range dw {
		l.mean[i] = beta1*l.mean[i] + (1-beta1)*g
		l.pow[i] = beta2*l.pow[i] + (1-beta2)*g*g
		l.w[i] -= rate * l.mean[i] / c1 / (math.Sqrt(l.pow[i]/c2) + 1e-8)
	}
	return dx
}
