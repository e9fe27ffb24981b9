//go:build cgo && !noxla

package conv_test

import (
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/sslkit/lab/sslkit/pjrt/conv"
)

// BenchmarkTable prints what each convolution of ResNet(14, 16) takes, with its gradients, with the kernels and with XLA's
// own: medians of interleaved repetitions.
//
//	env/lab taskset -c 0 go test ./sslkit/pjrt/conv -run '^$' -bench Table -benchtime 15x
//
// is on one thread.
func BenchmarkTable(b *testing.B) {
	backend := open(b)
	shapes := []shape{
		{128, 32, 32, 3, 16, 3, 1, nil}, {128, 32, 32, 16, 16, 3, 1, nil}, {128, 32, 32, 16, 32, 3, 2, nil}, {128, 16, 16, 32, 32, 3, 1, nil},
		{128, 16, 16, 32, 64, 3, 2, nil}, {128, 8, 8, 64, 64, 3, 1, nil},
		{256, 32, 32, 16, 16, 3, 1, nil}, {256, 16, 16, 32, 32, 3, 1, nil}, {256, 8, 8, 64, 64, 3, 1, nil},
		{128, 32, 32, 64, 64, 3, 1, nil}, {128, 8, 8, 256, 256, 3, 1, nil}, {32, 4, 4, 512, 512, 3, 1, nil}, // ResNet-18
	}
	counts := []float64{1, 4, 1, 3, 1, 3} // of the first in ResNet(14, 16)
	kinds := []string{"forward", "data", "weights"}
	var total [3][2]float64
	fmt.Printf("\nms by the clock (and of processor time), XLA's own and the kernels'\n%-44s", "")
	for _, kind := range kinds {
		fmt.Printf(" %-38s", kind)
	}
	for i, s := range shapes {
		fmt.Printf("\n%-44v", s)
		for k := range kinds {
			if k == 1 && s.c%8 != 0 {
				fmt.Printf(" %-38s", "-")
				continue
			}
			wall, cpu := compare(b, backend, s, k)
			fmt.Printf(" %-38s", fmt.Sprintf("%6.2f (%6.2f) %6.2f (%6.2f)  %.2f", wall[0], cpu[0], wall[1], cpu[1], wall[1]/wall[0]))
			if i < len(counts) {
				for j := range wall {
					total[k][j] += counts[i] * wall[j]
				}
			}
		}
	}
	fmt.Printf("\n%-44s", "ResNet(14, 16), batch 128")
	for _, t := range total {
		fmt.Printf(" %-38s", fmt.Sprintf("%6.1f          %6.1f           %.2f", t[0], t[1], t[1]/t[0]))
	}
	fmt.Println()
	b.ReportMetric(0, "ns/op")
}

// compare returns medians of b.N interleaved repetitions, in ms, of XLA's own and of the kernels.
func compare(b *testing.B, backend compute.Backend, s shape, kind int) (wall, cpu [2]float64) {
	x, w := s.image(), s.weights()
	v := random(3, s.n, (s.h+s.stride-1)/s.stride, (s.w+s.stride-1)/s.stride, s.o)
	var execs [2]*Exec
	var times [2][2][]float64
	for i, f := range []func(string) (string, int){xlas, conv.Rewrite} {
		execs[i] = MustNewExec(backend, func(x, w, v *Node) *Node {
			y := s.convolve(x, w)
			if kind == 0 {
				return y
			}
			return Gradient(ReduceAllSum(Mul(y, v)), []*Node{nil, x, w}[kind])[0] // XLA drops what it does not need
		})
		compileWith(f, func() { run(b, execs[i], x, w, v) })
	}
	for range max(b.N, 5) {
		for i, exec := range execs {
			c, t := processor(), time.Now()
			run(b, exec, x, w, v)
			times[i][0] = append(times[i][0], time.Since(t).Seconds()*1e3)
			times[i][1] = append(times[i][1], (processor()-c).Seconds()*1e3)
		}
	}
	for i, exec := range execs {
		exec.Finalize()
		for _, t := range times[i] {
			slices.Sort(t)
		}
		wall[i], cpu[i] = times[i][0][len(times[i][0])/2], times[i][1][len(times[i][1])/2]
	}
	return wall, cpu
}

func run(b *testing.B, exec *Exec, in ...any) {
	out, err := exec.Call(in...)
	if err != nil {
		b.Fatal(err)
	}
	for _, o := range out {
		o.MustFinalizeAll()
	}
}

// processor is the processor time that this process has taken.
func processor() time.Duration {
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // fails for no arguments that are these
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
