package cluster

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// ChooseApart draws k rows of x to start from, each with a probability in proportion to its squared distance to the nearest of those
// before (k-means++, Arthur & Vassilvitskii, SODA 2007): rare rows that are far from the rest get a centre of their own, where
// [Choose] spends nearly all on what is frequent. Where fewer than k rows differ, some come twice. They are not copied. It panics with
// an error if there are fewer than k.
func ChooseApart(x [][]float32, k int, seed uint64) [][]float32 {
	if k < 1 || k > len(x) {
		panic(fmt.Errorf("cluster: cannot choose %d centres among %d examples", k, len(x)))
	}
	rnd := rand.New(rand.NewPCG(seed, 0))
	centers := [][]float32{x[rnd.IntN(len(x))]}
	away := make([]float64, len(x)) // squared distance to the nearest centre
	for i := range away {
		away[i] = math.Inf(1)
	}
	for len(centers) < k {
		sum := 0.0
		for i, row := range x {
			away[i] = min(away[i], squared(row, centers[len(centers)-1]))
			sum += away[i]
		}
		left, pick := rnd.Float64()*sum, 0
		for i, d := range away {
			if left -= d; left < 0 {
				pick = i
				break
			}
		}
		centers = append(centers, x[pick])
	}
	return centers
}
