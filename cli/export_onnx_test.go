package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/onnx"
	"github.com/sslkit/lab/sslkit/runs"
)

func TestExportONNX(t *testing.T) {
	if _, err := onnx.Runtime(); err != nil {
		found, _ := filepath.Glob("../.lab/doors-venv/lib/python3*/site-packages/onnxruntime/capi/libonnxruntime.so.*")
		if len(found) == 0 {
			t.Skipf("%v; make doors brings one", err)
		}
		t.Setenv(onnx.LibraryEnv, found[0])
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	dir := filepath.Join(t.TempDir(), "encoder")
	out, _ := must(t, "pretrain --json", tiny...)
	var r runs.Record
	decode(t, out, &r)
	out, _ = must(t, "export "+r.Key+" --format onnx --batch 3 --json --out "+dir)
	var result struct {
		Key        string
		Outputs    []onnx.Port
		Difference float64
	}
	decode(t, out, &result)
	if result.Key != r.Key || !(result.Difference > 0 && result.Difference < 1e-5) || result.Outputs[0].Name != "features" {
		t.Errorf("the result is %s", out)
	}
	var config onnx.Config
	decode(t, read(t, filepath.Join(dir, "config.json")), &config)
	if in := config.Input.Shape; len(in) != 4 || in[0] != 3 || in[1] != 1 || in[2] != 28 || config.SSLKit.Key != r.Key || config.SSLKit.Backbone.Arch != "nin" {
		t.Errorf("config.json says %+v", config)
	}
	if info, err := os.Stat(filepath.Join(dir, "model.onnx")); err != nil || info.Size() < 1000 {
		t.Errorf("the model: %v, %v", info, err)
	}

	for line, want := range map[string]string{
		"export " + r.Key + " --format onnx --out " + dir: "something of this name",
		"export " + r.Key + " --out " + dir + "2":         "a nin has no counterpart",
	} {
		if code, _, stderr := call(line); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %s", line, code, stderr)
		}
	}
	t.Setenv(onnx.LibraryEnv, filepath.Join(dir, "none.so"))
	if code, _, stderr := call("export " + r.Key + " --format onnx --out " + dir + "3"); code != 1 || !strings.Contains(stderr, "none.so") {
		t.Errorf("without a library: %d, %s", code, stderr)
	}
}
