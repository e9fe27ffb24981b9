package plane

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// UMAP places rows so that neighbours attract and drawn others repel: it minimises the cross-entropy of a fuzzy graph of nearest
// neighbours and the one that the places make (McInnes, Healy & Melville, arXiv:1802.03426), by stochastic gradient descent as
// in the authors' code, umap-learn. It begins at the layout of PCA and not at the graph's eigenvectors, as that code can be asked to.
type UMAP struct {
	Neighbours int   // of each row, itself not among them
	Epochs     int   // in which the heaviest edges of the graph are drawn once
	Seed       int64 // of the noise in the first layout and of what repels
}

// The places' memberships are 1 / (1 + a d^2b), the least-squares fit to 1 up to a distance of 0.1, the authors' min_dist, and
// exp(-(d - 0.1)) beyond.
const (
	curveA, curveB = 1.577, 0.8951

	negatives = 5 // rows that repel for each neighbour that attracts
	extent    = 10
)

// DefaultUMAP is for n rows: 15 neighbours, or less where there are few.
func DefaultUMAP(n int) UMAP { return UMAP{Neighbours: min(15, n-1), Epochs: 500, Seed: 1} }

// Map returns a place for each row of x. A cancelled context ends it with the context's error.
func (u UMAP) Map(ctx context.Context, x [][]float32) ([][2]float64, error) {
	m, err := matrix("UMAP", x, 4)
	if err != nil {
		return nil, err
	}
	n := len(x)
	switch {
	case u.Neighbours < 2 || u.Neighbours > n-1:
		return nil, fmt.Errorf("plane: UMAP: %d neighbours: choose at least 2, and at most all %d other rows", u.Neighbours, n-1)
	case u.Epochs < 1:
		return nil, fmt.Errorf("plane: UMAP: %d epochs: choose at least 1", u.Epochs)
	}
	first, _, err := pca(m)
	if err != nil {
		return nil, err
	}
	rnd := rand.New(rand.NewPCG(uint64(u.Seed), 0))
	most := 0.0
	for _, p := range first {
		most = max(most, math.Abs(p[0]), math.Abs(p[1]))
	}
	y := make([][2]float64, n)
	for i, p := range first {
		for c := range p {
			y[i][c] = 1e-4 * rnd.NormFloat64()
			if most > 0 {
				y[i][c] += extent * p[c] / most
			}
		}
	}
	graph := fuzzy(nearest(m, u.Neighbours))
	heaviest := 0.0
	for _, e := range graph {
		heaviest = max(heaviest, e.weight)
	}
	due := make([]float64, len(graph)) // the epoch in which an edge is drawn next
	for i, e := range graph {
		due[i] = heaviest / e.weight
	}
	for epoch := 1; epoch <= u.Epochs; epoch++ {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("plane: UMAP: %w", err)
		}
		rate := 1 - float64(epoch-1)/float64(u.Epochs)
		for i, e := range graph {
			if due[i] > float64(epoch) {
				continue
			}
			due[i] += heaviest / e.weight
			step := attraction(y[e.from], y[e.to])
			for c := range step {
				y[e.from][c] -= rate * clip(step[c])
				y[e.to][c] += rate * clip(step[c])
			}
			for range negatives {
				other := rnd.IntN(n)
				if other == e.from {
					continue
				}
				step := repulsion(y[e.from], y[other])
				for c := range step {
					y[e.from][c] -= rate * clip(step[c])
				}
			}
		}
	}
	return y, nil
}

// member is a directed edge of the fuzzy graph, which has both directions.
type member struct {
	from, to int
	weight   float64
}

// fuzzy is the union of the rows' fuzzy sets of neighbours, a + b - ab (Alg. 2), by rows.
func fuzzy(near [][]neighbour) []member {
	weight := make([]map[int]float64, len(near))
	for i, all := range near {
		weight[i] = make(map[int]float64)
		for k, w := range membership(all) {
			weight[i][all[k].row] = w
		}
	}
	var out []member
	for i := range near {
		for j, a := range weight[i] {
			b := weight[j][i]
			out = append(out, member{i, j, a + b - a*b})
			if b == 0 {
				out = append(out, member{j, i, a})
			}
		}
	}
	slices.SortFunc(out, func(a, b member) int { return cmp.Or(a.from-b.from, a.to-b.to) })
	return out
}

// membership is exp(-(d - rho) / sigma) of a row's neighbours, with rho the distance of the nearest that is not at its place and
// sigma such that the sum is log2 of their number (Alg. 3).
func membership(near []neighbour) []float64 {
	distance, rho := make([]float64, len(near)), 0.0
	mean := 0.0
	for k, a := range near {
		distance[k] = math.Sqrt(a.distance)
		mean += distance[k] / float64(len(near))
		if rho == 0 {
			rho = distance[k]
		}
	}
	out := make([]float64, len(near))
	target := math.Log2(float64(len(near)))
	lo, hi, sigma := 0.0, math.Inf(1), 1.0
	for range 64 {
		sum := 0.0
		for _, d := range distance {
			sum += math.Exp(-max(0, d-rho) / sigma)
		}
		switch {
		case math.Abs(sum-target) < 1e-7:
		case sum > target:
			hi = sigma
			sigma = (lo + hi) / 2
		default:
			lo = sigma
			if sigma = (lo + hi) / 2; math.IsInf(hi, 1) {
				sigma = 2 * lo
			}
		}
	}
	sigma = max(sigma, 1e-3*mean) // where several are equally near, the authors' code's floor
	for k, d := range distance {
		out[k] = 1
		if d > rho {
			out[k] = math.Exp(-(d - rho) / sigma)
		}
	}
	return out
}

// attraction is the gradient, by a, of -log of the membership of a and b.
func attraction(a, b [2]float64) [2]float64 {
	v := [2]float64{a[0] - b[0], a[1] - b[1]}
	d2 := v[0]*v[0] + v[1]*v[1]
	if d2 == 0 {
		return [2]float64{}
	}
	pow := math.Pow(d2, curveB)
	factor := 2 * curveA * curveB * pow / d2 / (1 + curveA*pow)
	return [2]float64{factor * v[0], factor * v[1]}
}

// repulsion is the gradient, by a, of -log of what is missing to a full membership of a and b; the authors' 0.001 keeps it finite
// where they meet.
func repulsion(a, b [2]float64) [2]float64 {
	v := [2]float64{a[0] - b[0], a[1] - b[1]}
	d2 := v[0]*v[0] + v[1]*v[1]
	factor := -2 * curveB / ((0.001 + d2) * (1 + curveA*math.Pow(d2, curveB)))
	return [2]float64{factor * v[0], factor * v[1]}
}

func clip(v float64) float64 { return min(max(v, -4), 4) }
