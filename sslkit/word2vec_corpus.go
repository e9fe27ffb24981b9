package sslkit

import (
	"errors"
	"math"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/sslkit/nn"
)

// noiseTable is how finely frequencies are rounded: the rarest of 4,000 words has some entries.
const noiseTable = 1 << 17

// Start counts the words of an epoch: by their frequency f a word is kept with probability sqrt(t/f) (Eq. 5), drawn anew each time it
// comes, and is noise by its power.
func (m *Word2Vec) Start(r *Run) error {
	count := make([]float64, m.Backbone.Words)
	words := 0.
	for batch, err := range r.Train.Epoch(0, 0) {
		if err != nil {
			return err
		}
		tokens, err := tensors.CopyFlatData[int32](batch.Inputs[0])
		if err != nil {
			return err
		}
		for _, t := range tokens {
			if t >= nn.FirstWord {
				count[t]++
				words++
			}
		}
		if err := batch.Finalize(); err != nil {
			return err
		}
	}
	if words == 0 {
		return errors.New("the texts have no words")
	}
	keep, total := make([]float32, len(count)), 0.
	for t, n := range count {
		keep[t] = float32(min(1, math.Sqrt(m.Subsample*words/max(n, 1))))
		if n > 0 {
			total += math.Pow(n, m.Power)
		}
	}
	table, up := make([]int32, 0, noiseTable), 0.
	for t, n := range count {
		if n > 0 {
			up += math.Pow(n, m.Power)
		}
		for end := int(math.Round(up / total * noiseTable)); len(table) < end; {
			table = append(table, int32(t))
		}
	}
	return errors.Join(set(r.Store, "/corpus/keep", keep, len(keep)), set(r.Store, "/corpus/noise", table, len(table)))
}
