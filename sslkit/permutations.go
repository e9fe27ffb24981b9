package sslkit

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// nine is the number of tiles of a puzzle.
const nine = 9

// Permutations returns p different permutations of a puzzle's nine tiles: at place i lies tile
// Permutations(...)[k][i]. The first is drawn; each of the next is, of all 9! that are left, one that
// brings the mean Hamming distance of the set nearest to distance. With 9 the distances are as large as can
// be had, which is Algorithm 1 of Noroozi & Favaro 2016; with 0 as small, the paper's minimal case; and
// in between as wanted, where that can be had. What is drawn, which of several equals too, follows
// from seed. p is at most 9!.
func Permutations(p int, distance float64, seed int64) [][]int {
	rnd := rand.New(rand.NewPCG(uint64(seed), 0))
	s := search{chosen: make(map[[nine]int]bool)}
	s.add([nine]int(rnd.Perm(nine)))
	hits := 0 // of all pairs
	for n := 1; n < p; n++ {
		for place := range nine {
			s.order[place] = [nine]int(rnd.Perm(nine))
		}
		s.bound()
		s.target = int(math.Round((nine-distance)*float64(n*(n+1)/2))) - hits
		s.miss = math.MaxInt
		s.walk(0, 0, 0)
		hits += s.hits
		s.add(s.best)
	}
	return s.set
}

// HammingDistances returns the mean and the smallest number of places in which two permutations of
// the set differ, over all pairs.
func HammingDistances(set [][]int) (mean float64, least int) {
	least = nine
	sum, pairs := 0, 0
	for i, p := range set {
		for _, q := range set[:i] {
			d := 0
			for k := range p {
				if p[k] != q[k] {
					d++
				}
			}
			sum, pairs, least = sum+d, pairs+1, min(least, d)
		}
	}
	return float64(sum) / float64(pairs), least
}

// search finds the next permutation. Its distances to the n chosen add up to 9n less its hits, which
// are counted by place and tile: no distance needs to be computed, and few of the 9! to be visited.
type search struct {
	set    [][]int
	chosen map[[nine]int]bool
	count  [nine][nine]int // of those chosen, how many have tile t at place i
	// The fewest and the most hits at the places that are left, by the set of tiles that lie.
	fewest, most [1 << nine]int

	order      [nine][nine]int // in which tiles are tried, by place
	target     int             // hits wanted
	current    [nine]int
	best       [nine]int
	hits, miss int // of the best: how many, and how far from the target
}

func (s *search) add(p [nine]int) {
	s.set, s.chosen[p] = append(s.set, slices.Clone(p[:])), true
	for i, t := range p {
		s.count[i][t]++
	}
}

func (s *search) bound() {
	for lying := 1<<nine - 2; lying >= 0; lying-- {
		place := bits.OnesCount(uint(lying))
		s.fewest[lying], s.most[lying] = math.MaxInt, 0
		for t := range nine {
			if next := lying | 1<<t; next != lying {
				s.fewest[lying] = min(s.fewest[lying], s.count[place][t]+s.fewest[next])
				s.most[lying] = max(s.most[lying], s.count[place][t]+s.most[next])
			}
		}
	}
}

// walk tries the tiles that do not lie at the next place.
func (s *search) walk(place, lying, hits int) {
	miss := max(hits+s.fewest[lying]-s.target, s.target-hits-s.most[lying], 0) // at least
	if miss >= s.miss {
		return
	}
	if place == nine {
		if !s.chosen[s.current] {
			s.best, s.hits, s.miss = s.current, hits, miss
		}
		return
	}
	for _, t := range s.order[place] {
		if lying&(1<<t) == 0 {
			s.current[place] = t
			s.walk(place+1, lying|1<<t, hits+s.count[place][t])
		}
	}
}
