package conv_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/pjrt/conv"
)

// op is a convolution as go-xla writes it; each edit is a pair of what is there and what takes its place.
func op(edits ...string) string {
	return strings.NewReplacer(edits...).Replace(`    %4 = "stablehlo.convolution"(%1, %3) {
      batch_group_count = 1 : i64,
      dimension_numbers = #stablehlo.conv<[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]>,
      feature_group_count = 1 : i64,
      lhs_dilation = array<i64: 1, 1>,
      padding = dense<[[1, 2], [0, 1]]> : tensor<2x2xi64>,
      precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>],
      rhs_dilation = array<i64: 1, 1>,
      window_reversal = array<i1: false, false>,
      window_strides = array<i64: 1, 1>
    } : (tensor<4x9x8x24xf32>, tensor<3x3x24x16xf32>) -> tensor<4x10x7x16xf32>
`)
}

func program(attributes string, ops ...string) string {
	return "module @main" + attributes + " {\n  func.func @main(...) {\n    %1 = \"stablehlo.reshape\"(%0) : (tensor<864xf32>) -> tensor<4x9x8x3xf32>\n" +
		strings.Join(ops, "") + "    \"stablehlo.return\"(%4) : (tensor<4x10x7x16xf32>) -> ()\n  }\n}\n"
}

const (
	data     = "#stablehlo.conv<[b, 0, 1, f]x[0, 1, o, i]->[b, 0, 1, f]>"
	weights  = "#stablehlo.conv<[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]>"
	forward  = "#stablehlo.conv<[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]>"
	lhs, rhs = "lhs_dilation = array<i64: 1, 1>", "rhs_dilation = array<i64: 1, 1>"
	types    = "(tensor<4x9x8x24xf32>, tensor<3x3x24x16xf32>) -> tensor<4x10x7x16xf32>"
)

func TestRewrite(t *testing.T) {
	call := func(target, config, types string) string {
		return fmt.Sprintf(`    %%4 = "stablehlo.custom_call"(%%1, %%3) {
      api_version = 4 : i32,
      backend_config = {%s},
      call_target_name = %q,
      operand_layouts = [dense<[3, 2, 1, 0]> : tensor<4xindex>, dense<[3, 2, 1, 0]> : tensor<4xindex>],
      result_layouts = [dense<[3, 2, 1, 0]> : tensor<4xindex>]
    } : %s
`, config, target, types)
	}
	const dataTypes = "(tensor<4x5x4x16xf32>, tensor<3x3x24x16xf32>) -> tensor<4x9x8x24xf32>"
	const weightsTypes = "(tensor<4x9x8x3xf32>, tensor<4x5x4x16xf32>) -> tensor<3x3x3x16xf32>"
	for _, test := range []struct{ name, op, want string }{
		{"forward", op(), call("sslkit_conv", "dilation = 1 : i64, exchanged = 0 : i64, left = 0 : i64, stride = 1 : i64, top = 1 : i64", types)},
		{"forward, strided", op("window_strides = array<i64: 1, 1>", "window_strides = array<i64: 2, 2>"),
			call("sslkit_conv", "dilation = 1 : i64, exchanged = 0 : i64, left = 0 : i64, stride = 2 : i64, top = 1 : i64", types)},
		{"to the data, strided", op(forward, data, lhs, "lhs_dilation = array<i64: 2, 2>", types, dataTypes),
			call("sslkit_conv", "dilation = 2 : i64, exchanged = 1 : i64, left = 0 : i64, stride = 1 : i64, top = 1 : i64", dataTypes)},
		{"to the weights, strided", op(forward, weights, rhs, "rhs_dilation = array<i64: 2, 2>", types, weightsTypes),
			call("sslkit_conv_gradient", "dilation = 1 : i64, exchanged = 0 : i64, left = 0 : i64, stride = 2 : i64, top = 1 : i64", weightsTypes)},
	} {
		got, calls := conv.Rewrite(program("", test.op))
		if want := program("", test.want); calls != 1 || got != want {
			t.Errorf("%s: %d calls\n%s\nwant\n%s", test.name, calls, got, want)
		}
	}
	if got, calls := conv.Rewrite(program("", op(), op(types, strings.ReplaceAll(types, "f32", "f64")), op())); calls != 2 || strings.Count(got, "stablehlo.convolution") != 1 {
		t.Errorf("of three convolutions, one in float64: %d calls\n%s", calls, got)
	}
}

// What the kernels do not know stays as it is.
func TestRewriteLeaves(t *testing.T) {
	for name, text := range map[string]string{
		"no convolution":           program(""),
		"float64":                  program("", op(types, strings.ReplaceAll(types, "f32", "f64"))),
		"bfloat16":                 program("", op(types, strings.ReplaceAll(types, "f32", "bf16"))),
		"12 channels":              program("", op("x16xf32>", "x12xf32>")),
		"three spatial axes":       program("", op("4x9x8x24", "4x9x8x5x24", "3x3x24x16", "3x3x3x24x16", "4x10x7x16", "4x10x7x5x16")),
		"two strides":              program("", op("window_strides = array<i64: 1, 1>", "window_strides = array<i64: 1, 2>")),
		"dilated kernel":           program("", op(rhs, "rhs_dilation = array<i64: 2, 2>")),
		"stride and dilated data":  program("", op("window_strides = array<i64: 1, 1>", "window_strides = array<i64: 2, 2>", lhs, "lhs_dilation = array<i64: 2, 2>")),
		"dilated data, to weights": program("", op(forward, weights, lhs, "lhs_dilation = array<i64: 2, 2>")),
		"groups":                   program("", op("feature_group_count = 1", "feature_group_count = 2")),
		"groups of the batch":      program("", op("batch_group_count = 1", "batch_group_count = 2")),
		"reversed":                 program("", op("array<i1: false, false>", "array<i1: true, false>")),
		"higher precision":         program("", op("[#stablehlo<precision DEFAULT>", "[#stablehlo<precision HIGHEST>")),
		"cut off":                  program("", op("[[1, 2], [0, 1]]", "[[-1, 2], [0, 1]]")),
		"channels first":           program("", op(forward, "#stablehlo.conv<[b, f, 0, 1]x[o, i, 0, 1]->[b, f, 0, 1]>")),
		"an attribute more":        program("", op("window_reversal", "mhlo.more = 1 : i64,\n      window_reversal")),
		"large kernel":             program("", op("3x3x24x16", "3x3x512x512")),
		"many devices":             program(" attributes {stablehlo.num_replicas = 1,  stablehlo.num_partitions = 2}", op()),
		"sixteen replicas":         program(" attributes {stablehlo.num_replicas = 16}", op()),
	} {
		if got, calls := conv.Rewrite(text); calls != 0 || got != text {
			t.Errorf("%s: %d calls\n%s", name, calls, got)
		}
	}
	if _, calls := conv.Rewrite(program(" attributes {stablehlo.num_replicas = 1,  stablehlo.num_partitions = 1}", op())); calls != 1 {
		t.Errorf("one device: %d calls, want 1", calls)
	}
}

// dot is a product as go-xla writes it.
func dot(edits ...string) string {
	return strings.NewReplacer(edits...).Replace(`    %4 = "stablehlo.dot_general"(%1, %3) {
      dot_dimension_numbers = #stablehlo.dot<
  lhs_batching_dimensions = [0, 1],
  rhs_batching_dimensions = [0, 1],
  lhs_contracting_dimensions = [3],
  rhs_contracting_dimensions = [3]
>,
      precision_config = [#stablehlo<precision DEFAULT>, #stablehlo<precision DEFAULT>]
    } : (tensor<4x2x16x32xf32>, tensor<4x2x24x32xf32>) -> tensor<4x2x16x24xf32>
`)
}

func TestRewriteProducts(t *testing.T) {
	const want = `    %4 = "stablehlo.custom_call"(%1, %3) {
      api_version = 4 : i32,
      backend_config = {turned_a = 0 : i64, turned_b = 1 : i64},
      call_target_name = "sslkit_multiply",
      operand_layouts = [dense<[3, 2, 1, 0]> : tensor<4xindex>, dense<[3, 2, 1, 0]> : tensor<4xindex>],
      result_layouts = [dense<[3, 2, 1, 0]> : tensor<4xindex>]
    } : (tensor<4x2x16x32xf32>, tensor<4x2x24x32xf32>) -> tensor<4x2x16x24xf32>
`
	if got, calls := conv.Rewrite(program("", dot())); calls != 1 || got != program("", want) {
		t.Errorf("%d calls\n%s\nwant\n%s", calls, got, program("", want))
	}
	if _, calls := conv.Rewrite(program("", dot(), op())); calls != 2 {
		t.Errorf("a product and a convolution: %d calls", calls)
	}
	for name, text := range map[string]string{
		"float64":              dot("f32", "f64"),
		"few":                  dot("4x2x", "3x2x"),
		"20 columns":           dot("24", "20"),
		"large":                dot("24x32", "520x32", "16x24", "16x520"),
		"higher precision":     dot("[#stablehlo<precision DEFAULT>", "[#stablehlo<precision HIGHEST>"),
		"two axes summed over": dot("lhs_contracting_dimensions = [3]", "lhs_contracting_dimensions = [2, 3]"),
		"batches elsewhere":    dot("lhs_batching_dimensions = [0, 1]", "lhs_batching_dimensions = [1, 0]"),
		"no batch":             dot("[0, 1]", "[]", "4x2x", "", "[3]", "[1]"),
		"an axis more":         dot("16x32", "16x5x32", "16x24", "16x5x24"),
		"an algorithm":         dot("precision DEFAULT>]\n", "precision DEFAULT>],\n      algorithm = #stablehlo.dot_algorithm<>\n"),
	} {
		if got, calls := conv.Rewrite(program("", text)); calls != 0 || got != program("", text) {
			t.Errorf("%s: %d calls\n%s", name, calls, got)
		}
	}
}
