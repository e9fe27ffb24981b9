package cluster

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// naiveNMI is "I(A; B) / sqrt(H(A)H(B))" from the table of joint frequencies.
// Reference: Caron et al. 2018, Sec. 4.1.
func naiveNMI(a, b []int32) float64 {
	p := func(keep func(i int) bool) float64 {
		n := 0.0
		for i := range a {
			if keep(i) {
				n++
			}
		}
		return n / float64(len(a))
	}
	var mutual, ha, hb float64
	for k := range int32(10) {
		pa := p(func(i int) bool { return a[i] == k })
		if pa > 0 {
			ha -= pa * math.Log(pa)
		}
		pk := p(func(i int) bool { return b[i] == k })
		if pk > 0 {
			hb -= pk * math.Log(pk)
		}
		for l := range int32(10) {
			pb := p(func(i int) bool { return b[i] == l })
			if both := p(func(i int) bool { return a[i] == k && b[i] == l }); both > 0 {
				mutual += both * math.Log(both/(pa*pb))
			}
		}
	}
	return mutual / math.Sqrt(ha*hb)
}

func TestNMI(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, k := range []int32{2, 3, 10} {
		a, b := make([]int32, 60), make([]int32, 60)
		for i := range a {
			a[i] = rnd.Int32N(10)
			b[i] = a[i] % k // coarser: the geometric and the arithmetic mean of the entropies differ
			if rnd.IntN(4) == 0 {
				b[i] = rnd.Int32N(k)
			}
		}
		got, want := NMI(a, b), naiveNMI(a, b)
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%d labels: %v, want %v", k, got, want)
		}
		if back := NMI(b, a); math.Abs(back-got) > 1e-12 {
			t.Errorf("%d labels: %v, the other way round %v", k, got, back)
		}
	}
	for _, c := range []struct {
		a, b []int32
		want float64
	}{
		{[]int32{0, 0, 1, 2}, []int32{5, 5, 3, 0}, 1},         // other names
		{[]int32{0, 0, 1, 1}, []int32{0, 1, 0, 1}, 0},         // independent
		{[]int32{0, 0, 1, 1}, []int32{7, 7, 7, 7}, 0},         // constant
		{[]int32{3, 3}, []int32{7, 7}, 1},                     // both
		{nil, nil, 1},                                         // as nothing
		{[]int32{0, 0, 1, 1, -1}, []int32{1, 1, 0, -1, 0}, 1}, // the last two are not labelled in both
		{[]int32{0, 0, 1, 1}, []int32{0, 1, 2, 3}, math.Sqrt(.5)},
	} {
		if got := NMI(c.a, c.b); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("NMI(%v, %v) = %v, want %v", c.a, c.b, got, c.want)
		}
	}
	rejects(t, "1 and 2 labels", func() { NMI([]int32{1}, []int32{1, 2}) })
}

// Within a run's records the last bit counts.
func TestNMIIsExactlyReproducible(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	a, b := make([]int32, 5000), make([]int32, 5000)
	for i := range a {
		a[i], b[i] = rnd.Int32N(300), rnd.Int32N(300)
	}
	first := NMI(a, b)
	for range 5 {
		if again := NMI(a, b); again != first {
			t.Fatalf("%v, then %v", first, again)
		}
	}
}

func ExampleNMI() {
	clusters := []int32{2, 2, 0, 0, 1, 1}
	classes := []int32{0, 0, 1, 1, 1, 1}
	fmt.Printf("%.3f\n", NMI(clusters, classes))
	// Output: 0.761
}
