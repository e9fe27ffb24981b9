package plane

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/spatial/barneshut"
	"gonum.org/v1/gonum/spatial/r2"
)

// TSNE places rows so that near ones stay near: it minimises the Kullback-Leibler divergence of the similarities in the plane,
// Student-t, from those of the rows, Gaussian with a width of its own for each row (van der Maaten & Hinton, JMLR 2008), by the
// Barnes-Hut approximation (van der Maaten, JMLR 2014). Clusters and neighbours can be read from it; their sizes and the
// distances between clusters say little.
type TSNE struct {
	Perplexity float64 // about how many neighbours a row has; three times as many are looked at
	Theta      float64 // a cell of points so many times smaller than it is far counts as one point; 0: none does
	Iterations int     // of gradient descent; the first Exaggerated have P twelve times larger
	Seed       int64   // of the noise in the first layout
}

const (
	exaggeration = 12 // Belkina et al., Nature Communications 2019, and 2014's Sec. 3.4
	exaggerated  = 250
)

// DefaultTSNE is for n rows: a perplexity of 30, or less where there are few.
func DefaultTSNE(n int) TSNE {
	return TSNE{Perplexity: max(1, math.Min(30, float64(n-1)/3)), Theta: 0.5, Iterations: 750, Seed: 1}
}

// Map returns a place for each row of x. The first layout is that of PCA, very small (Kobak & Berens, Nature Communications 2019).
// A cancelled context ends it with the context's error.
func (t TSNE) Map(ctx context.Context, x [][]float32) ([][2]float64, error) {
	m, err := matrix("t-SNE", x, 4)
	if err != nil {
		return nil, err
	}
	n := len(x)
	k := int(math.Ceil(3 * t.Perplexity))
	switch {
	case !(t.Perplexity >= 1) || k > n-1:
		return nil, fmt.Errorf("plane: t-SNE: perplexity %g: choose at least 1, and at most a third of the other rows, %g", t.Perplexity, float64(n-1)/3)
	case !(t.Theta >= 0 && t.Theta <= 1):
		return nil, fmt.Errorf("plane: t-SNE: theta %g is not in [0, 1]", t.Theta)
	case t.Iterations < 1:
		return nil, fmt.Errorf("plane: t-SNE: %d iterations: choose at least 1", t.Iterations)
	}
	first, _, err := pca(m)
	if err != nil {
		return nil, err
	}
	y := scaled(first, 1e-4, 1e-6, rand.New(rand.NewPCG(uint64(t.Seed), 0)))
	p := similarities(nearest(m, k), t.Perplexity)
	rate := max(float64(n)/exaggeration/4, 50) // Belkina et al.; the gradient has a factor of 4
	velocity, gain := make([]r2.Vec, n), make([]r2.Vec, n)
	for i := range gain {
		gain[i] = r2.Vec{X: 1, Y: 1}
	}
	for step := range t.Iterations {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("plane: t-SNE: %w", err)
		}
		scale, momentum := 1.0, 0.8
		if step < exaggerated {
			scale, momentum = exaggeration, 0.5
		}
		g, err := gradient(p, y, scale, t.Theta)
		if err != nil {
			return nil, err
		}
		for i := range y {
			gain[i].X, velocity[i].X = delta(gain[i].X, velocity[i].X, g[i].X, momentum, rate)
			gain[i].Y, velocity[i].Y = delta(gain[i].Y, velocity[i].Y, g[i].Y, momentum, rate)
			y[i] = point(r2.Add(r2.Vec(y[i]), velocity[i]))
		}
	}
	out := make([][2]float64, n)
	for i, v := range y {
		out[i] = [2]float64{v.X, v.Y}
	}
	return out, nil
}

// delta is one coordinate's step, with a gain that grows while its sign stays (Jacobs 1988).
func delta(gain, velocity, g, momentum, rate float64) (float64, float64) {
	if (g > 0) == (velocity > 0) {
		gain = max(0.8*gain, 0.01)
	} else {
		gain += 0.2
	}
	return gain, momentum*velocity - rate*gain*g
}

// scaled is a layout whose first axis has this standard deviation, with noise, which parts rows that are equal.
func scaled(y [][2]float64, std, noise float64, rnd *rand.Rand) []point {
	sum := 0.0
	for _, p := range y {
		sum += p[0] * p[0]
	}
	factor := 0.0
	if sum > 0 {
		factor = std / math.Sqrt(sum/float64(len(y)))
	}
	out := make([]point, len(y))
	for i, p := range y {
		out[i] = point{factor*p[0] + noise*rnd.NormFloat64(), factor*p[1] + noise*rnd.NormFloat64()}
	}
	return out
}

// edge is p_ij of one pair.
type edge struct {
	to int
	p  float64
}

// similarities are p_ij, symmetric and summing to 1, of each row's neighbours and of whose neighbour it is (2014, Eq. 6 and 7).
func similarities(near [][]neighbour, perplexity float64) [][]edge {
	n := len(near)
	out := make([][]edge, n)
	add := func(i, j int, p float64) {
		if at := slices.IndexFunc(out[i], func(e edge) bool { return e.to == j }); at >= 0 {
			out[i][at].p += p
			return
		}
		out[i] = append(out[i], edge{j, p})
	}
	for i, all := range near {
		for k, p := range conditional(all, perplexity) {
			add(i, all[k].row, p/float64(2*n))
			add(all[k].row, i, p/float64(2*n))
		}
	}
	return out
}

// conditional is p_j|i of a row's neighbours: Gaussian, as wide as makes its perplexity, 2 to the entropy in bits, the given one.
func conditional(near []neighbour, perplexity float64) []float64 {
	p := make([]float64, len(near))
	beta, lo, hi := 1.0, 0.0, math.Inf(1) // 1 / (2 sigma^2)
	if mean := meanDistance(near); mean > 0 {
		beta = 1 / mean
	}
	for range 200 {
		sum, weighted := 0.0, 0.0
		for k, a := range near {
			off := a.distance - near[0].distance // cancels, and keeps the largest at 1
			p[k] = math.Exp(-beta * off)
			sum, weighted = sum+p[k], weighted+p[k]*off
		}
		entropy := math.Log(sum) + beta*weighted/sum // nats
		for k := range p {
			p[k] /= sum
		}
		switch off := entropy - math.Log(perplexity); {
		case math.Abs(off) < 1e-7:
			return p
		case off > 0:
			lo = beta
		default:
			hi = beta
		}
		if math.IsInf(hi, 1) {
			beta *= 2
		} else {
			beta = (lo + hi) / 2
		}
		if math.IsInf(beta, 1) || beta == 0 { // neighbours at one distance: no width changes anything
			return p
		}
	}
	return p
}

func meanDistance(near []neighbour) float64 {
	sum := 0.0
	for _, a := range near {
		sum += a.distance
	}
	return sum / float64(len(near))
}

// point is a particle of mass 1.
type point r2.Vec

func (p point) Coord2() r2.Vec { return r2.Vec(p) }
func (p point) Mass() float64  { return 1 }

// gradient is that of the divergence by each place, with p times scale (2014, Eq. 8): 4 (scale F_attr - F_rep).
func gradient(p [][]edge, y []point, scale, theta float64) ([]r2.Vec, error) {
	particles := make([]barneshut.Particle2, len(y))
	for i := range y {
		particles[i] = y[i]
	}
	plane, err := barneshut.NewPlane(particles)
	if err != nil {
		return nil, fmt.Errorf("plane: t-SNE: %w", err)
	}
	z := 0.0 // sum of (1 + |v|^2)^-1 over pairs
	repulsion := func(_, _ barneshut.Particle2, _, mass float64, v r2.Vec) r2.Vec {
		q := 1 / (1 + r2.Norm2(v))
		z += mass * q
		return r2.Scale(-mass*q*q, v)
	}
	out := make([]r2.Vec, len(y))
	for i := range y {
		out[i] = plane.ForceOn(y[i], theta, repulsion)
	}
	z -= float64(len(y)) // of each with itself, which is at no distance and has no force
	for i := range out {
		var attraction r2.Vec
		for _, e := range p[i] {
			v := r2.Sub(r2.Vec(y[e.to]), r2.Vec(y[i]))
			attraction = r2.Add(attraction, r2.Scale(e.p/(1+r2.Norm2(v)), v))
		}
		out[i] = r2.Scale(-4, r2.Add(r2.Scale(scale, attraction), r2.Scale(1/z, out[i])))
	}
	return out, nil
}
