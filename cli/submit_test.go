package cli

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"github.com/sslkit/lab/sslkit/study"
)

// The script has the keys of what is not done, and what a task needs; the command says what is done.
func TestSubmit(t *testing.T) {
	if testing.Short() {
		t.Skip("measures a network")
	}
	dir := filepath.Join(t.TempDir(), "my runs")
	t.Setenv("SSLKIT_RUNS", dir)
	plan := filepath.Join(t.TempDir(), "plan.jsonl")
	must(t, "plan ablate --vary rate=0.1 --seeds 4 --l2 0.01 --out "+plan, tiny...) // one, random, fitted, supervised
	out, _ := must(t, "status "+plan+" --json")
	var at []study.Standing
	decode(t, out, &at)
	if len(at) != 4 || at[1].State != study.Waiting {
		t.Fatalf("tasks are %+v", at)
	}
	must(t, "work "+plan+" --key "+at[1].Key)
	out, _ = must(t, "status "+plan)
	wantAll(t, "status", out, "random init, seed 4", "\n1 done, 0 running, 3 waiting, 0 failed\n")

	script := filepath.Join(t.TempDir(), "job.sh")
	must(t, "submit --slurm "+plan+" --at-once 2 --records s3://lab/runs --script "+script, "--sbatch=--mem=8G")
	text := read(t, script)
	wantAll(t, "the script", text, "#!/bin/bash\n", "#SBATCH --array=0-2%2\n", "#SBATCH --requeue\n", "#SBATCH --mem=8G\n", "plan-logs/slurm-%A.log",
		"\t"+at[0].Key+"\n\t"+at[2].Key+"\n\t"+at[3].Key+"\n)", " work "+plan+" --runs '"+dir+"' --records s3://lab/runs --key \"$key\"", "export GOMLX_BACKEND=go\n")
	if strings.Contains(text, at[1].Key) {
		t.Error("what is done is submitted again")
	}
	if out, err := exec.Command("bash", "-n", script).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	out, _ = must(t, "submit --slurm "+plan+" --dry-run")
	wantAll(t, "the script", out, "#SBATCH --array=0-2\n")

	keyless := filepath.Join(t.TempDir(), "keyless.jsonl")
	if err := os.WriteFile(keyless, []byte(strings.ReplaceAll(read(t, plan), at[0].Key, "")), 0o644); err != nil {
		t.Fatal(err)
	}
	wantMistakes(t, []mistake{
		{"submit " + plan, 2, "name the scheduler: --slurm"},
		{"submit --slurm", 2, "takes a plan"},
		{"submit --slurm " + keyless, 2, "line 1 of " + keyless + " has no key"},
		{"submit --slurm " + plan + " --sbatch=mem", 2, "begins with -"},
		{"submit --slurm " + plan + " --dry-run --script x", 2, "give one of them"},
		{"submit --slurm " + plan + " --records lab", 2, "no s3://BUCKET/PREFIX"},
		{"work " + plan + " --key 0123456789abcdef", 2, "no task of " + plan + " has this key"},
		{"work " + plan + " --key " + at[0].Key + " --task 1", 2, "give one of them"},
		{"status", 2, "takes a plan"},
		{"runs push 12", 2, "--to is missing"},
		{"runs pull", 2, "--from is missing"},
	})
}

// A machine that shares nothing but a bucket with another takes what is there, and brings what is not.
func TestWorkRecords(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network")
	}
	at := s3mem.New()
	if err := at.CreateBucket("lab"); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(gofakes3.New(at).Server())
	defer server.Close()
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_S3": server.URL, "AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"} {
		t.Setenv(name, value)
	}
	plan := filepath.Join(t.TempDir(), "plan.jsonl")
	fresh := func() { t.Setenv("SSLKIT_RUNS", t.TempDir()) }
	worked := func(line string) bool {
		t.Helper()
		_, stderr := must(t, line)
		return strings.Contains(stderr, "step ") || strings.Contains(stderr, "probing")
	}
	fresh()
	must(t, "plan ablate --vary rate=0.1 --seeds 4 --l2 0.01 --out "+plan, tiny...)
	if !worked("work " + plan + " --task 1 --records s3://lab/runs") {
		t.Error("nothing was trained")
	}
	fresh()
	if worked("work " + plan + " --task 1 --records s3://lab/runs") {
		t.Error("what is in the bucket was trained again")
	}
	out, _ := must(t, "work "+plan+" --task 2 --json") // and then brought by hand
	var done []struct{ Key string }
	decode(t, out, &done)
	must(t, "runs push "+done[0].Key+" --to s3://lab/runs")
	fresh()
	must(t, "runs pull --from s3://lab/runs")
	out, _ = must(t, "status "+plan)
	wantAll(t, "after all was pulled", out, "2 done, 0 running, 2 waiting")
	wantMistakes(t, []mistake{{"runs pull 0123 --from s3://lab/runs", 1, `begins with "0123"`}})
}

// What becomes of a task by how it ends. Slurm itself is in env/slurm.py.
func TestSlurmScript(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip(err)
	}
	for name, c := range map[string]struct {
		work     string // what is in place of sslkit
		signal   os.Signal
		restarts string
		again    bool
		code     int
	}{
		"done":               {work: "exit 0"},
		"failed":             {work: "exit 1", code: 1},
		"a wrong line":       {work: "exit 2", code: 2},
		"killed":             {work: "kill -9 $$", again: true, code: 137},
		"killed for ever":    {work: "kill -9 $$", restarts: "5", code: 137},
		"its time ends":      {work: "trap 'sleep 0.2; exit 130' TERM; touch began; while :; do sleep 0.05; done", signal: syscall.SIGUSR1, again: true, code: 130},
		"at the end of it":   {work: "trap 'exit 0' TERM; touch began; while :; do sleep 0.05; done", signal: syscall.SIGUSR1},
		"fails at the end":   {work: "trap 'exit 1' TERM; touch began; while :; do sleep 0.05; done", signal: syscall.SIGUSR1, code: 1},
		"cancelled":          {work: "touch began; sleep 0.5; exit 130", signal: syscall.SIGTERM, code: 130},
		"stopped from afar":  {work: "exit 130", again: true, code: 130},
		"its time, at last":  {work: "trap 'exit 130' TERM; touch began; while :; do sleep 0.05; done", signal: syscall.SIGUSR1, restarts: "90", again: true, code: 130},
		"two of its signals": {work: "trap 'trap - TERM; sleep 0.5; exit 130' TERM; touch began; while :; do sleep 0.05; done", signal: syscall.SIGUSR1, again: true, code: 130},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write := func(file, text string) string {
				path := filepath.Join(dir, file)
				if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
				return path
			}
			write("scontrol", "#!/bin/sh\necho \"$@\" >>"+dir+"/requeued\n")
			var text bytes.Buffer
			if err := slurmScript.Execute(&text, map[string]any{"Last": 1, "AtOnce": "", "Slurm": "x", "Comment": "x", "Flags": nil, "Environment": nil,
				"Logs": dir, "Keys": []string{"aaaa", "bbbb"}, "Work": "bash " + write("work", "cd "+dir+"\n"+c.work+"\n")}); err != nil {
				t.Fatal(err)
			}
			script := exec.Command(bash, write("job", text.String()))
			script.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "SLURM_ARRAY_JOB_ID=7", "SLURM_ARRAY_TASK_ID=1", "SLURM_RESTART_COUNT="+c.restarts)
			if err := script.Start(); err != nil {
				t.Fatal(err)
			}
			for end := time.Now().Add(30 * time.Second); c.signal != nil; time.Sleep(10 * time.Millisecond) {
				if _, err := os.Stat(filepath.Join(dir, "began")); err == nil {
					break
				} else if time.Now().After(end) {
					t.Fatal("it does not begin")
				}
			}
			if c.signal != nil {
				if err := script.Process.Signal(c.signal); err != nil {
					t.Fatal(err)
				}
				if name == "two of its signals" {
					time.Sleep(200 * time.Millisecond)
					if err := script.Process.Signal(c.signal); err != nil {
						t.Fatal(err)
					}
				}
			}
			err := script.Wait()
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			requeued, _ := os.ReadFile(filepath.Join(dir, "requeued"))
			if code := script.ProcessState.ExitCode(); code != c.code || (string(requeued) == "requeue 7_1\n") != c.again || !c.again && len(requeued) > 0 {
				t.Errorf("exit code %d, want %d; requeued by %q, want %t\n%s", code, c.code, requeued, c.again, read(t, filepath.Join(dir, "bbbb.log")))
			}
		})
	}
}
