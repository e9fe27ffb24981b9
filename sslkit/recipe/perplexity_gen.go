//go:build ignore

// Command perplexity_gen says how well gpt's run of a preset foretells the test texts, beside counts of single words and of pairs
// of the same training texts: perplexities of words and ends, the unknown left out. Pairs are smoothed by so many of the single
// words as suit a tenth of the training texts best. What is not trained yet is trained.
//
//	go run perplexity_gen.go PRESET SEED
package main

import (
	"context"
	"fmt"
	"log"
	"math"
	"os"
	"strconv"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/loss"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

const end = 3 // tokens from here on are told

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("perplexity_gen PRESET SEED")
	}
	seed, err := strconv.ParseInt(os.Args[2], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	if err := say(os.Args[1], seed); err != nil {
		log.Fatal(err)
	}
}

func say(preset string, seed int64) error {
	c, err := recipe.GPT(preset, "glosses")
	if err != nil {
		return err
	}
	c.Seed = seed
	store, err := runs.Open(os.Getenv("SSLKIT_RUNS"))
	if err != nil {
		return err
	}
	j, err := store.Trained(context.Background(), c)
	if err != nil {
		return err
	}
	train, test := texts(j.Train), texts(j.Test)
	v := c.Method.(*sslkit.GPT).Backbone.Words
	best, alpha := math.Inf(1), 0.
	for _, a := range []float64{1, 3, 10, 30, 100, 300, 1000, 3000} {
		if p := pairs(train[len(train)/10:], train[:len(train)/10], v, a); p < best {
			best, alpha = p, a
		}
	}
	exec, err := model.NewExec(j.Backend, j.Store, func(scope *model.Scope, text *Node) []*Node {
		logits, next, asked := c.Method.(*sslkit.GPT).Next(scope, text)
		l, _ := loss.MaskedCrossEntropy(logits, next, asked)
		count := ReduceAllSum(asked)
		return []*Node{Mul(l, count), count}
	})
	if err != nil {
		return err
	}
	defer exec.Finalize()
	var sum, count float64
	for from := 0; from+100 <= len(test); from += 100 {
		out, err := exec.Call(test[from : from+100])
		if err != nil {
			return err
		}
		sum, count = sum+float64(out[0].Value().(float32)), count+float64(out[1].Value().(float32))
	}
	fmt.Printf("%s, seed %d: perplexity of %d test texts: gpt %.1f, single words %.1f, pairs %.1f (smoothed by %g)\n",
		preset, seed, len(test)/100*100, math.Exp(sum/count), pairs(train, test, v, math.Inf(1)), pairs(train, test, v, alpha), alpha)
	return nil
}

func texts(s data.Source) (all [][]int32) {
	t := s.(*data.Tokenized)
	for i := range t.Len() {
		all = append(all, t.Tokens(i))
	}
	return all
}

// pairs is the perplexity of test by counts in train: of pairs, with alpha single words added to each word's followers.
func pairs(train, test [][]int32, v int, alpha float64) float64 {
	one, all := make([]float64, v), 0.
	two, after := make(map[[2]int32]float64), make([]float64, v)
	for _, t := range train {
		for i := 1; i < len(t); i++ {
			if t[i] >= end {
				one[t[i]]++
				all++
				two[[2]int32{t[i-1], t[i]}]++
				after[t[i-1]]++
			}
		}
	}
	var sum, count float64
	for _, t := range test {
		for i := 1; i < len(t); i++ {
			if t[i] < end {
				continue
			}
			p := (one[t[i]] + 1) / (all + float64(v-end))
			if !math.IsInf(alpha, 1) {
				p = (two[[2]int32{t[i-1], t[i]}] + alpha*p) / (after[t[i-1]] + alpha)
			}
			sum, count = sum-math.Log(p), count+1
		}
	}
	return math.Exp(sum / count)
}
