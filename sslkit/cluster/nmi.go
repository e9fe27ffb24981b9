package cluster

import (
	"fmt"
	"math"
	"slices"
)

// NMI is the mutual information of two labellings of the same examples over the geometric mean of their entropies, in
// [0, 1]: 0 where one tells nothing of the other, 1 where they are the same up to names (Caron et al. 2018, Sec. 4.1).
// Examples whose label is negative in either are left out.
//
// Two labellings with one label each are the same: 1. If only one of them is constant it is 0. It panics with an error
// on different lengths.
func NMI(a, b []int32) float64 {
	if len(a) != len(b) {
		panic(fmt.Errorf("cluster.NMI: %d and %d labels, want as many", len(a), len(b)))
	}
	var first, second, both []int64
	for i, l := range a {
		if l >= 0 && b[i] >= 0 {
			first, second = append(first, int64(l)), append(second, int64(b[i]))
			both = append(both, int64(l)<<32|int64(b[i]))
		}
	}
	ha, hb, joint := entropy(first), entropy(second), entropy(both)
	if ha == 0 || hb == 0 {
		if ha == hb {
			return 1
		}
		return 0
	}
	return min(max((ha+hb-joint)/math.Sqrt(ha*hb), 0), 1)
}

// entropy of the labels, in nats. It sorts them: a sum in the order of a map would differ in its last bits from run to run.
func entropy(labels []int64) float64 {
	slices.Sort(labels)
	sum, n := 0.0, float64(len(labels))
	for from := 0; from < len(labels); {
		to := from + 1
		for to < len(labels) && labels[to] == labels[from] {
			to++
		}
		p := float64(to-from) / n
		sum -= p * math.Log(p)
		from = to
	}
	return sum
}
