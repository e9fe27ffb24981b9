package study

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// Environment of the processes that TestKills starts, beside roleEnv.
const (
	studyEnv  = "SSLKIT_TEST_STUDY"
	dirEnv    = "SSLKIT_TEST_DIR"
	configEnv = "SSLKIT_TEST_CONFIG"
)

// studies are those that are killed, at their smallest.
var studies = map[string]func(ctx context.Context, s *runs.Store, c sslkit.Config) (any, error){
	"compare": func(ctx context.Context, s *runs.Store, c sslkit.Config) (any, error) {
		return Compare(ctx, s, c, labtest.Quick(), 1, 2)
	},
	"ablate": func(ctx context.Context, s *runs.Store, c sslkit.Config) (any, error) {
		variants, err := Vary(c, "rate", 0.05, 0.1)
		if err != nil {
			return nil, err
		}
		return Ablate(ctx, s, variants, labtest.Quick(), 1)
	},
	"taskgap": func(ctx context.Context, s *runs.Store, c sslkit.Config) (any, error) {
		return TaskGap(ctx, s, c, labtest.Quick(), 1)
	},
	"finetune": func(ctx context.Context, s *runs.Store, c sslkit.Config) (any, error) {
		return FineTune(ctx, s, c, eval.FineTune{From: 1, Epochs: 4, Batch: 16, Rate: 1e-3}, eval.Labels{PerClass: 10})
	},
}

// TestKills kills processes that are at a study at random moments, again and again, until one comes to its end: the result is
// bit for bit that of an undisturbed one, and no run is damaged or was made twice.
func TestKills(t *testing.T) {
	n := min(labtest.Faults(t, 4), 100)
	rnd := rand.New(rand.NewPCG(8, 8))
	c := labtest.Tiny(t)
	names := slices.Sorted(maps.Keys(studies))
	want, took := make(map[string]string), make(map[string]time.Duration)
	work := func(name, dir string, limit time.Duration) (result string, done bool) {
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleEnv+"=study", studyEnv+"="+name, dirEnv+"="+dir, configEnv+"="+string(text))
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(limit, func() { cmd.Process.Kill() })
		err = cmd.Wait()
		if timer.Stop() && err != nil {
			t.Fatalf("%s: %v: %s", name, err, &errs)
		}
		return out.String(), err == nil
	}
	killed := make(map[string]int)
	for round, kills := 0, 0; round < len(names) || kills < n && round < n; round++ {
		name := names[round%len(names)]
		if want[name] == "" {
			began := time.Now()
			want[name], _ = work(name, t.TempDir(), time.Hour)
			took[name] = time.Since(began)
		}
		dir, got, done, times := t.TempDir(), "", false, 0
		for ; times < 2 && !done; times++ {
			got, done = work(name, dir, time.Duration(rnd.Float64()*float64(took[name])))
		}
		if done {
			times--
		} else {
			got, _ = work(name, dir, time.Hour)
		}
		killed[name] += times
		kills += times
		if got != want[name] {
			t.Errorf("%s: after kills\n%s\nundisturbed\n%s", name, got, want[name])
		}
		records, err := (&runs.Store{Dir: dir}).List()
		if err != nil || slices.ContainsFunc(records, func(r *runs.Record) bool { return !r.Done }) {
			t.Errorf("%s: left are %v, %v", name, records, err)
		}
		// Asked again it takes no step.
		s := &runs.Store{Dir: dir, Report: func(p runs.Progress) {
			if p.Step.Steps > 0 {
				t.Errorf("%s: asked again it trains", name)
			}
		}}
		again, err := studies[name](t.Context(), s, c)
		if text, _ := json.Marshal(again); err != nil || string(text) != strings.TrimSpace(got) {
			t.Errorf("%s: asked again %s, %v", name, text, err)
		}
	}
	t.Logf("kills: %v", killed)
}

// childStudy prints the JSON of a study.
func childStudy() {
	c, err := sslkit.ReadConfig(strings.NewReader(os.Getenv(configEnv)))
	var result any
	if err == nil {
		result, err = studies[os.Getenv(studyEnv)](context.Background(), &runs.Store{Dir: os.Getenv(dirEnv)}, c)
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
