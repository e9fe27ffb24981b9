package main

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/runs"
)

// The method is one of the command's, as those of the laboratory are: it is listed, trained, found again and ablated, and a
// mistyped field of it is corrected. A program without the method names its records and leaves them alone.
func TestCommand(t *testing.T) {
	dir, store := t.TempDir(), t.TempDir()
	command := func(name, pkg string) func(args ...string) (string, error) {
		file := filepath.Join(dir, name)
		if out, err := exec.Command("go", "build", "-o", file, pkg).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return func(args ...string) (string, error) {
			cmd := exec.Command(file, append(args, "--runs", store)...)
			var out, said strings.Builder
			cmd.Stdout, cmd.Stderr = &out, &said
			err := cmd.Run()
			if err != nil {
				err = fmt.Errorf("%s %v: %w: %s", name, args, err, said.String())
			}
			return out.String(), err
		}
	}
	hypersphere, sslkit := command("hypersphere", "."), command("sslkit", "github.com/sslkit/lab/cmd/sslkit")
	tiny := []string{"--method", "hypersphere", "--preset", "smoke", "--train", "200", "--test", "100", "--batch", "50", "--epochs", "2", "--set", "warmup=0"}
	pretrain := func() runs.Record {
		out, err := hypersphere(append([]string{"pretrain", "--json"}, tiny...)...)
		if err != nil {
			t.Fatal(err)
		}
		var r runs.Record
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := pretrain()
	// Of 4 steps at the full rate the second pair is better than the first.
	if l := r.History.Loss; !r.Done || len(l) != 2 || !(l[1] < l[0]) || len(r.History.Reports["alignment"]) != 2 {
		t.Errorf("the record is %+v", r)
	}
	if again := pretrain(); again.Key != r.Key || !again.Finished.Equal(r.Finished) {
		t.Errorf("asked again it is another run, %s after %s", again.Key, r.Key)
	}
	for _, c := range []struct {
		run  func(args ...string) (string, error)
		args []string
		want string // of the output, or of the error
	}{
		{hypersphere, []string{"runs", "list"}, r.Key[:8] + "  hypersphere"},
		{hypersphere, []string{"runs", "show", r.Key}, "uniformity"},
		{hypersphere, append([]string{"ablate", "--vary", "uniformity=1", "--seeds", "1"}, tiny...), "uniformity 1"},
		{hypersphere, append([]string{"pretrain", "--set", "dimm=3"}, tiny...), `did you mean "method.hypersphere.dim"?`},
		{hypersphere, append([]string{"pretrain", "--set", "dim=0"}, tiny...), "choose at least 1"},
		{hypersphere, []string{"pretrain", "--method", "hypersphere", "--preset", "paper"}, "AlexNet"},
		{hypersphere, []string{"pretrain", "--method", "hyperspher"}, `did you mean "hypersphere"?`},
		{sslkit, []string{"pretrain", "--method", "hypersphere"}, `"hypersphere"`},
		{sslkit, []string{"runs", "list"}, "made with a method that this program does not have, and is left alone"},
		{sslkit, []string{"runs", "show", r.Key}, "made with a method that this program does not have, and is left alone"},
		{sslkit, []string{"runs", "repair", r.Key}, "made with a method that this program does not have, and is left alone"},
	} {
		out, err := c.run(c.args...)
		if err != nil {
			out += err.Error()
		}
		if !strings.Contains(out, c.want) {
			t.Errorf("%v says %q, want %q", c.args, out, c.want)
		}
	}
	if after := pretrain(); !after.Finished.Equal(r.Finished) {
		t.Error("a program without the method has touched its record")
	}
}
