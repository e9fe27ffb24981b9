// Package training shows what an assignment's functions are good for: with them it trains a network of a few features on small
// pictures of clothes, in plain Go and within a second, and tells how well the features know the clothes before and after.
package training

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/janpfeifer/must"

	"github.com/sslkit/lab/data"
)

const (
	side   = 14 // of a picture: 2 by 2 pixels of Fashion-MNIST are one
	pixels = side * side
	batch  = 50
	grain  = 0.5
	epochs = 10
)

// Outcome is the accuracy of the five nearest neighbours on test pictures: with the features of the network as it was drawn, and
// with those of the trained one.
type Outcome struct{ Random, Trained float64 }

func (o Outcome) String() string {
	return fmt.Sprintf("right of the nearest neighbours by random features %.1f %%, by trained features %.1f %%", 100*o.Random, 100*o.Trained)
}

// pictures are rows of side*side numbers from 0 to 1.
type pictures struct {
	x     [][]float64
	label []int
}

// clothes are the first pictures of the embedded set: there is nothing to download.
func clothes() (train, test pictures) {
	first, second := must.M2(data.Open("fashion-mnist-10k", data.OpenOptions{}))
	rnd := rand.New(rand.NewPCG(0, 0)) // the grain is that of the pictures, not of a training
	return read(first, 2000, rnd), read(second, 1000, rnd)
}

func read(source data.Source, n int, rnd *rand.Rand) (p pictures) {
	full := make([]uint8, 4*pixels)
	for k := range n {
		must.M(source.Read(k, full))
		x := make([]float64, pixels)
		for j, v := range full {
			x[j/(4*side)*side+j%(2*side)/2] += float64(v) / (4 * 255)
		}
		p.x, p.label = append(p.x, grainy(rnd, x)), append(p.label, int(source.Label(k)))
	}
	return p
}

func grainy(rnd *rand.Rand, x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v + grain*rnd.NormFloat64()
	}
	return out
}

// batches calls step with rows of x in a drawn order, an epoch after the other.
func batches(x [][]float64, epochs int, rnd *rand.Rand, step func(x [][]float64)) {
	for range epochs {
		order := rnd.Perm(len(x))
		for ; len(order) >= batch; order = order[batch:] {
			rows := make([][]float64, batch)
			for i, k := range order[:batch] {
				rows[i] = x[k]
			}
			step(rows)
		}
	}
}

// judge is the accuracy of the five nearest neighbours of the test pictures among the training pictures.
func judge(encode func(x [][]float64) [][]float64, train, test pictures) float64 {
	known, asked := encode(train.x), encode(test.x)
	right := 0
	for i, f := range asked {
		if vote(known, train.label, f) == test.label[i] {
			right++
		}
	}
	return float64(right) / float64(len(asked))
}

func vote(known [][]float64, label []int, f []float64) int {
	const k = 5
	var best [k]struct {
		distance float64
		label    int
	}
	n := 0
	for i, g := range known {
		var d float64
		for j, v := range f {
			d += (v - g[j]) * (v - g[j])
		}
		at := n
		for at > 0 && best[at-1].distance > d {
			at--
		}
		if at == k {
			continue
		}
		n = min(n+1, k)
		copy(best[at+1:n], best[at:])
		best[at].distance, best[at].label = d, label[i]
	}
	votes := make([]int, slices.Max(label)+1)
	for _, b := range best {
		votes[b.label]++
	}
	winner := best[0].label // a tie goes to the nearest
	for l, v := range votes {
		if v > votes[winner] {
			winner = l
		}
	}
	return winner
}
