package main

import (
	"bufio"
	"encoding/json"
	"io"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute"
)

// The pure-Go backend has not to compile.
func TestMain(m *testing.M) {
	if os.Getenv(compute.ConfigEnvVar) == "" {
		os.Setenv(compute.ConfigEnvVar, "go")
	}
	os.Exit(m.Run())
}

// Each step, tiny, is taken by this library's worker as in a comparison.
func TestWorker(t *testing.T) {
	for name, r := range rows() {
		s := r.steps[len(r.steps)-1]
		if r.grows != "" {
			continue // steps that are there already
		}
		t.Run(name, func(t *testing.T) {
			s = s.tiny()
			remove, err := s.prepare()
			if err != nil {
				t.Fatal(err)
			}
			defer remove()
			config, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			answers, out := io.Pipe()
			go func() { out.CloseWithError(work(string(config), strings.NewReader("1\n2\n"), out)) }()
			lines := bufio.NewScanner(answers)
			var warm facts
			read(t, lines, &warm)
			if isStep := s.Evaluation == nil && s.Method != "epoch" && s.Method != "matmul"; isStep != (warm.Parameters >= 1000) || warm.Peak < 1e6 || math.IsNaN(warm.Loss) {
				t.Errorf("%+v", warm)
			}
			for range 2 {
				var got sample
				read(t, lines, &got)
				if !(got.Wall > 0 && got.CPU > 0 && got.Peak > 1e6) || (got.Loss == warm.Loss) != (s.Evaluation != nil || s.Method == "matmul") {
					t.Errorf("%+v after %+v", got, warm)
				}
			}
			if lines.Scan() || lines.Err() != nil {
				t.Errorf("at the end of its input the worker said %q, %v", lines.Text(), lines.Err())
			}
		})
	}
}

func read(t *testing.T, lines *bufio.Scanner, line any) {
	t.Helper()
	if !lines.Scan() {
		t.Fatalf("the worker stopped: %v", lines.Err())
	}
	if err := json.Unmarshal(lines.Bytes(), line); err != nil {
		t.Fatal(err)
	}
}

func TestReport(t *testing.T) {
	var out strings.Builder
	stepped := func(name string, walls ...float64) *worker {
		w := &worker{name: name, facts: facts{Peak: 9e6}}
		for _, s := range walls {
			w.samples = append(w.samples, sample{Wall: s, CPU: 2 * s, Peak: 4e6 * walls[0]})
		}
		return w
	}
	// Ratios are of rounds: 1/2, 3/4 and 8/4.
	report(&out, []*worker{stepped("go", 1, 3, 8), stepped("jax", 2, 4, 4)}, 1)
	for _, want := range []string{"go / jax", "wall 0.75 (0.50 to 2.00)", "CPU 0.75 (0.50 to 2.00)", "peak 0.50"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
}
