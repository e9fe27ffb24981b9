// Package conv makes XLA's CPU compiler convolve with kernels of its own: a forward pass and both gradients, in float32,
// channels last, two to six times as fast as what the plugin brings; and multiply batches of small matrices, as attention
// does, on all threads, where the plugin uses one.
//
// It stands between go-xla and the plugin: of the plugin's table of functions, go-xla gets a copy (which it takes for a
// plugin that is linked into the program) in which compiling begins with [Rewrite]. That one replaces, in the program's
// text, the convolutions that the kernels know by calls of them; the plugin's extension for foreign functions is what they
// are registered with, and its threads are what they run on. So automatic differentiation and whoever builds the graph know
// nothing of all this, and what the kernels do not know, XLA does as before.
//
// The kernels need Linux on x86-64, with AVX2 or AVX-512, and cgo. What they compute depends on no number of threads and on
// no width of vectors, bit for bit.
package conv

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Version names the arithmetic of the kernels. What is computed with one version differs in the last bits from what is
// computed with another, or with XLA's own convolutions.
const Version = "direct-2"

const (
	target         = "sslkit_conv"
	gradientTarget = "sslkit_conv_gradient"
	multiplyTarget = "sslkit_multiply"

	// mostWeights is the largest size of a kernel for which these were faster than XLA's convolution, on every image measured
	// (BenchmarkTable): 3x3 with 256 channels on both sides.
	mostWeights = 3 * 3 * 256 * 256

	// A batch of products is computed here if there are so many that threads have something to share, and the second matrix of each
	// stays in the first-level cache or near it.
	leastProducts = 8
	mostMatrix    = 128 * 128
)

// Rewrite replaces, in a StableHLO program as go-xla writes it, convolutions and products that the kernels know by calls of
// them. It returns the number of calls; where that is 0, the program is as it was.
func Rewrite(program string) (string, int) {
	if divided.MatchString(program) {
		return program, 0
	}
	calls, out := 0, program
	for _, kind := range []struct {
		name  string
		is    *regexp.Regexp
		write func(match []string) (string, bool)
	}{{"stablehlo.convolution", convolution, convolve}, {"stablehlo.dot_general", product, multiply}} {
		if !strings.Contains(program, kind.name) {
			continue
		}
		out = kind.is.ReplaceAllStringFunc(out, func(op string) string {
			call, ok := kind.write(kind.is.FindStringSubmatch(op))
			if !ok {
				return op
			}
			calls++
			return call
		})
	}
	return out, calls
}

var (
	convolution = regexp.MustCompile(`"stablehlo\.convolution"\((%[\w#]+, %[\w#]+)\) \{([^{}]*)\} : \(tensor<([^<>]*)>, tensor<([^<>]*)>\) -> tensor<([^<>]*)>`)
	product     = regexp.MustCompile(`"stablehlo\.dot_general"\((%[\w#]+, %[\w#]+)\) \{\s*dot_dimension_numbers = #stablehlo\.dot<\s*` +
		`lhs_batching_dimensions = \[([\d, ]*)\],\s*rhs_batching_dimensions = \[([\d, ]*)\],\s*` +
		`lhs_contracting_dimensions = \[(\d+)\],\s*rhs_contracting_dimensions = \[(\d+)\]\s*>,\s*` +
		`precision_config = \[#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>\]\s*` +
		`\} : \(tensor<([\dx]+)xf32>, tensor<([\dx]+)xf32>\) -> tensor<([\dx]+)xf32>`)
	attribute = regexp.MustCompile(`(?m)^\s*([\w.]+) = (.*?),?\s*$`)
	// XLA divides a program among devices, but no call that it knows nothing about.
	divided = regexp.MustCompile(`num_(?:replicas|partitions) = (?:[2-9]|\d\d)|sdy\.`)
)

// convolve returns the call for a match of convolution.
func convolve(match []string) (string, bool) {
	a := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(match[2], -1) {
		a[m[1]] = m[2]
	}
	if len(a) != 9 || a["feature_group_count"] != "1 : i64" || a["batch_group_count"] != "1 : i64" ||
		a["window_reversal"] != "array<i1: false, false>" || strings.Count(a["precision_config"], "DEFAULT") != 2 {
		return "", false
	}
	stride, ok1 := square(a["window_strides"])
	dilation, ok2 := square(a["lhs_dilation"])
	apart, ok3 := square(a["rhs_dilation"])
	var top, bottom, left, right int
	_, err := fmt.Sscanf(a["padding"], "dense<[[%d, %d], [%d, %d]]> : tensor<2x2xi64>", &top, &bottom, &left, &right)
	if !ok1 || !ok2 || !ok3 || err != nil || top < 0 || left < 0 {
		return "", false
	}
	name, exchanged := target, 0
	switch a["dimension_numbers"] {
	case "#stablehlo.conv<[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]>":
	case "#stablehlo.conv<[b, 0, 1, f]x[0, 1, o, i]->[b, 0, 1, f]>": // what gradients to the data are
		exchanged = 1
	case "#stablehlo.conv<[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]>": // gradients to the weights: y, spread by the stride, is the kernel
		name, stride, apart = gradientTarget, apart, stride
	default:
		return "", false
	}
	if apart != 1 || dilation > 1 && (stride > 1 || name == gradientTarget) {
		return "", false
	}
	_, err1 := axes(match[3])
	second, err2 := axes(match[4])
	out, err3 := axes(match[5])
	if err1 != nil || err2 != nil || err3 != nil {
		return "", false
	}
	kernel := second
	if name == gradientTarget {
		kernel = out
	}
	if out[3]%8 != 0 || kernel[0]*kernel[1]*kernel[2]*kernel[3] > mostWeights {
		return "", false
	}
	config := fmt.Sprintf("dilation = %d : i64, exchanged = %d : i64, left = %d : i64, stride = %d : i64, top = %d : i64", dilation, exchanged, left, stride, top)
	return call(match[1], name, config, 4, match[3], match[4], match[5]), true
}

// multiply returns the call for a match of product: a batch of products of matrices, which are the last two axes.
func multiply(match []string) (string, bool) {
	var sizes [3][]int
	for i := range sizes {
		for _, d := range strings.Split(match[6+i], "x") {
			n, err := strconv.Atoi(d)
			if err != nil || n < 1 {
				return "", false
			}
			sizes[i] = append(sizes[i], n)
		}
	}
	rank := len(sizes[0])
	if rank < 3 || len(sizes[1]) != rank || len(sizes[2]) != rank {
		return "", false
	}
	batch, axes := 1, make([]string, rank-2)
	for i := range axes {
		axes[i] = strconv.Itoa(i)
		batch *= sizes[2][i]
	}
	first := strings.Join(axes, ", ")
	a, errA := strconv.Atoi(match[4])
	b, errB := strconv.Atoi(match[5])
	if match[2] != first || match[3] != first || errA != nil || errB != nil || min(a, b) < rank-2 || max(a, b) >= rank {
		return "", false
	}
	k, n := sizes[0][a], sizes[2][rank-1]
	if batch < leastProducts || n%8 != 0 || k*n > mostMatrix {
		return "", false
	}
	turned := func(yes bool) int {
		if yes {
			return 1
		}
		return 0
	}
	config := fmt.Sprintf("turned_a = %d : i64, turned_b = %d : i64", turned(a == rank-2), turned(b == rank-1))
	return call(match[1], multiplyTarget, config, rank, match[6]+"xf32", match[7]+"xf32", match[8]+"xf32"), true
}

// call calls a kernel with two arguments, which have so many axes.
func call(arguments, name, config string, rank int, first, second, out string) string {
	axes := make([]string, rank)
	for i := range axes {
		axes[i] = strconv.Itoa(rank - 1 - i)
	}
	layout := fmt.Sprintf("dense<[%s]> : tensor<%dxindex>", strings.Join(axes, ", "), rank)
	return fmt.Sprintf(`"stablehlo.custom_call"(%s) {
      api_version = 4 : i32,
      backend_config = {%s},
      call_target_name = %q,
      operand_layouts = [%s, %[4]s],
      result_layouts = [%[4]s]
    } : (tensor<%[5]s>, tensor<%[6]s>) -> tensor<%[7]s>`, arguments, config, name, layout, first, second, out)
}

// square parses "array<i64: 2, 2>", of two equal numbers.
func square(array string) (int, bool) {
	var a, b int
	_, err := fmt.Sscanf(array, "array<i64: %d, %d>", &a, &b)
	return a, err == nil && a == b && a >= 1
}

// axes parses "128x32x32x16xf32", of four axes none of which is empty. The last of a result is the output channels, in y and
// in the weights' gradient alike.
func axes(t string) (d [4]int, err error) {
	n, err := fmt.Sscanf(t, "%dx%dx%dx%dxf32", &d[0], &d[1], &d[2], &d[3])
	if err == nil && (n != 4 || min(d[0], d[1], d[2], d[3]) < 1 || !strings.HasSuffix(t, "xf32")) {
		err = fmt.Errorf("tensor of %s", t)
	}
	return d, err
}
