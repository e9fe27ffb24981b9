package eval

import (
	"fmt"
	"math"
	"runtime"
	"sync"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// KNN predicts the label of each test row by a weighted vote of its k nearest training rows (Wu, Xiong, Yu & Lin,
// "Unsupervised Feature Learning via Non-Parametric Instance Discrimination", CVPR 2018, Sec. 3.4): a neighbour at the
// cosine s votes for its label with weight exp(s/temperature). The cosine is computed here, so rows need not be
// normalised; a row of zeros has cosine 0 with all others.
//
// The literature has temperature 0.07, and k 200 for 50,000 images and more; 20 is better for a few thousand. A k beyond
// the training set is clamped to it. Ties go to the lower index, of neighbours as of classes, so that the result is
// deterministic. It panics with an error on an empty training set, lengths that don't match, labels outside
// [0, classes), k < 1, temperature <= 0 and values that are not finite.
func KNN(train [][]float32, trainLabel []int32, test [][]float32, k, classes int, temperature float64) []int32 {
	if err := checkKNN(train, trainLabel, test, k, classes, temperature); err != nil {
		panic(err)
	}
	k = min(k, len(train))
	bank := unitRows(train)
	out := make([]int32, len(test))

	const block = 64 // test rows a product; the scores of one block of 10,000 training rows fit the cache of a core
	blocks := make(chan int)
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			scores := make([]float32, block*len(train))
			near := make(neighbours, 0, k)
			votes := make([]float64, classes)
			for from := range blocks {
				rows := unitRows(test[from:min(from+block, len(test))])
				s := blas32.General{Rows: rows.Rows, Cols: len(train), Stride: len(train), Data: scores[:rows.Rows*len(train)]}
				blas32.Gemm(blas.NoTrans, blas.Trans, 1, rows, bank, 0, s)
				for i := range rows.Rows {
					near = near.nearest(s.Data[i*s.Stride:(i+1)*s.Stride], k)
					out[from+i] = near.vote(trainLabel, votes, temperature)
				}
			}
		})
	}
	for from := 0; from < len(test); from += block {
		blocks <- from
	}
	close(blocks)
	wait.Wait()
	return out
}

func checkKNN(train [][]float32, labels []int32, test [][]float32, k, classes int, temperature float64) error {
	if err := (Set{Features: train, Labels: labels}).validate("training", classes); err != nil {
		return err
	}
	if err := checkFeatures(test); err != nil {
		return fmt.Errorf("eval: test set: %w", err)
	}
	if len(test) > 0 && len(test[0]) != len(train[0]) {
		return fmt.Errorf("eval: training features have %d dimensions, test features %d", len(train[0]), len(test[0]))
	}
	return checkVote(k, temperature)
}

func checkVote(k int, temperature float64) error {
	if k < 1 {
		return fmt.Errorf("eval: k-NN with k %d, want at least 1 (20 is usual for small sets, 200 for large ones)", k)
	}
	if !(temperature > 0) || math.IsInf(temperature, 1) {
		return fmt.Errorf("eval: k-NN with temperature %g, want a finite one above 0 (0.07 is usual)", temperature)
	}
	return nil
}

// unitRows copies x with rows scaled to length 1, except rows of zeros.
func unitRows(x [][]float32) blas32.General {
	d := len(x[0])
	m := blas32.General{Rows: len(x), Cols: d, Stride: d, Data: make([]float32, len(x)*d)}
	for i, row := range x {
		norm := length(row)
		if norm == 0 {
			continue
		}
		to := m.Data[i*d:]
		for j, v := range row {
			to[j] = float32(float64(v) / norm)
		}
	}
	return m
}

// length is the Euclidean norm; a float32 squared cannot overflow a float64.
func length(row []float32) float64 {
	sum := 0.0
	for _, v := range row {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum)
}

// neighbours is a binary heap with the farthest one on top.
type neighbours []neighbour

type neighbour struct {
	score float32
	index int32
}

// farther orders neighbours; of two with one score the later one is farther.
func (a neighbour) farther(b neighbour) bool {
	return a.score < b.score || a.score == b.score && a.index > b.index
}

// nearest selects the k highest scores; h is reused.
func (h neighbours) nearest(scores []float32, k int) neighbours {
	h = h[:0]
	for i, s := range scores {
		n := neighbour{s, int32(i)}
		switch {
		case len(h) < k:
			h = append(h, n)
			for c := len(h) - 1; c > 0 && h[c].farther(h[(c-1)/2]); c = (c - 1) / 2 {
				h[c], h[(c-1)/2] = h[(c-1)/2], h[c]
			}
		case s > h[0].score:
			h[0] = n
			h.sink()
		}
	}
	return h
}

func (h neighbours) sink() {
	for p := 0; ; {
		c := 2*p + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && h[c+1].farther(h[c]) {
			c++
		}
		if !h[c].farther(h[p]) {
			return
		}
		h[p], h[c] = h[c], h[p]
		p = c
	}
}

func (h neighbours) vote(labels []int32, votes []float64, temperature float64) int32 {
	clear(votes)
	top := h[0].score
	for _, n := range h {
		top = max(top, n.score)
	}
	for _, n := range h {
		// Relative to the nearest: a factor common to all votes, without which a low temperature overflows.
		votes[labels[n.index]] += math.Exp(float64(n.score-top) / temperature)
	}
	best := 0
	for c, v := range votes {
		if v > votes[best] {
			best = c
		}
	}
	return int32(best)
}
