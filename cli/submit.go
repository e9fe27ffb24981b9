package cli

import (
	"bytes"
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/template"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/sslkit/lab/sslkit/study"
)

//go:embed slurm.sh
var slurmText string

var slurmScript = template.Must(template.New("slurm.sh").Parse(slurmText))

func (c *cli) submit() *cobra.Command {
	var slurm, dry bool
	var script, logs string
	var atOnce int
	var flags []string
	cmd := &cobra.Command{
		Use:   "submit PLAN",
		Short: "Hand the runs of a plan to a cluster's scheduler",
		Long: `submit --slurm hands the tasks of a plan that are not done yet to Slurm, as an array of jobs: by sbatch, or with --script or
--dry-run as a script for it. No task waits for another: a study's baselines are tasks of their own, and what is measured of a run
needs no other run. The machines share the folder of runs and that of the plan.

A task that is killed, or loses its node, is queued again and goes on from its checkpoint, and so does one whose time ends. One that
fails stays failed: 'sslkit status' says why, and submitting the plan again submits what is left.`,
		Example: `  sslkit submit --slurm plan.jsonl --sbatch=--partition=gpu --sbatch=--gres=gpu:1 --sbatch=--time=4:00:00
  sslkit submit --slurm plan.jsonl --at-once 8
  sslkit submit --slurm plan.jsonl --script job.sh && sbatch job.sh
  sslkit status plan.jsonl`,
		Args: count(1, 1, "a plan, as 'sslkit plan' writes it"),
		RunE: func(_ *cobra.Command, args []string) error {
			switch {
			case !slurm:
				return usagef("name the scheduler: --slurm")
			case atOnce < 0:
				return usagef("--at-once %d: choose at least 1", atOnce)
			case dry && script != "":
				return usagef("--dry-run prints the script, and --script writes it: give one of them")
			}
			if err := writable(script); err != nil {
				return err
			}
			tasks, err := readPlan(args[0])
			if err != nil {
				return err
			}
			standings, err := c.standings(tasks)
			if err != nil {
				return err
			}
			var keys []string
			for _, at := range standings {
				if at.Key == "" {
					return usagef("line %d of %s has no key: write the plan again by 'sslkit plan'", at.Line, args[0])
				}
				if at.State != study.Done {
					keys = append(keys, at.Key)
				}
			}
			submitted := struct {
				Tasks  int    `json:"tasks"`
				Done   int    `json:"done"`
				Job    string `json:"job,omitempty"`
				Script string `json:"script,omitempty"`
				Logs   string `json:"logs,omitempty"`
			}{Tasks: len(keys), Done: len(tasks) - len(keys), Script: script}
			if len(keys) == 0 {
				return c.print(submitted, func() error { return c.printf("all %d tasks are done\n", len(tasks)) })
			}
			if logs == "" {
				logs = strings.TrimSuffix(args[0], filepath.Ext(args[0])) + "-logs"
			}
			if logs, err = filepath.Abs(logs); err != nil {
				return err
			}
			text, err := c.slurmScript(args[0], logs, keys, atOnce, flags)
			if err != nil {
				return err
			}
			if dry {
				return c.printf("%s", text)
			}
			if err := os.MkdirAll(logs, 0o755); err != nil { // Slurm makes no folders
				return err
			}
			submitted.Logs = logs
			if script != "" {
				if err := renameio.WriteFile(script, text, 0o755); err != nil {
					return err
				}
				return c.print(submitted, func() error { return c.printWritten(script) })
			}
			sbatch := exec.Command("sbatch", "--parsable")
			var said, wrong bytes.Buffer
			sbatch.Stdin, sbatch.Stdout, sbatch.Stderr = bytes.NewReader(text), &said, &wrong
			if err := sbatch.Run(); err != nil {
				return fmt.Errorf("sbatch, which --script FILE leaves to you: %w: %s", err, strings.TrimSpace(wrong.String()))
			}
			submitted.Job, _, _ = strings.Cut(strings.TrimSpace(said.String()), ";") // and the cluster's name, where there are several
			return c.print(submitted, func() error {
				return c.printf("job %s: %d tasks, %d are done already\nlogs: %s\n", submitted.Job, submitted.Tasks, submitted.Done, logs)
			})
		},
	}
	cmd.Flags().BoolVar(&slurm, "slurm", false, "to Slurm")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "print the script, and submit nothing")
	cmd.Flags().StringVar(&script, "script", "", "write the script to `FILE`, and submit nothing")
	cmd.Flags().StringVar(&logs, "logs", "", "folder `DIR` of the logs, one a key (default PLAN-logs beside the plan)")
	cmd.Flags().IntVar(&atOnce, "at-once", 0, "run at most so many tasks at once (default as many as Slurm lets)")
	cmd.Flags().StringArrayVar(&flags, "sbatch", nil, "a `FLAG` of sbatch for each task, such as --sbatch=--mem=8G")
	c.recordsFlag(cmd)
	cmd.Flags().StringVar(&c.runs, "runs", "", "folder `DIR` of the runs, in place of the usual one")
	cmd.Flags().SortFlags = false
	return cmd
}

// passedOn are the environment variables that a task needs as they are here: sbatch may be set up to pass none.
var passedOn = []string{"SSLKIT_HOME", "SSLKIT_RECORDS", "SSLKIT_CONV", "SSLKIT_NO_INSTALL", "GOMLX_BACKEND", "GOMLX_NO_AUTO_INSTALL", "PJRT_PLUGIN_LIBRARY_PATH", "XLA_FLAGS", "GLIBC_TUNABLES",
	"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_REGION"} // and none of the secrets

func (c *cli) slurmScript(plan, logs string, keys []string, atOnce int, flags []string) ([]byte, error) {
	for _, f := range flags {
		if !strings.HasPrefix(f, "-") || strings.ContainsAny(f, "\n\r") {
			return nil, usagef("--sbatch %q: a flag of sbatch begins with -", f)
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if plan, err = filepath.Abs(plan); err != nil {
		return nil, err
	}
	store, err := c.store()
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(store.Dir)
	if err != nil {
		return nil, err
	}
	for _, path := range []string{plan, logs, dir} {
		if strings.ContainsAny(path, "\"\\\n\r") { // of a comment, and of what sbatch reads
			return nil, usagef("%q: choose a path without quotation marks, backslashes and line breaks", path)
		}
	}
	work := []string{self, "work", plan, "--runs", dir}
	if c.records != "" {
		work = append(work, "--records", c.records)
	}
	var environment []string
	for _, name := range passedOn {
		if value, set := os.LookupEnv(name); set {
			environment = append(environment, name+"="+quote([]string{value}))
		}
	}
	var text bytes.Buffer
	err = slurmScript.Execute(&text, struct {
		Last                       int
		AtOnce                     string
		Slurm, Comment, Logs, Work string
		Flags, Keys, Environment   []string
	}{len(keys) - 1, strings.TrimPrefix(strconv.Itoa(atOnce), "0"), strings.ReplaceAll(logs, "%", "%%") + "/slurm-%A.log", plan, quote([]string{logs}),
		quote(work), flags, keys, environment})
	return text.Bytes(), err
}

func (c *cli) status() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status PLAN",
		Short: "Say how far the runs of a plan are",
		Long: `status says of each task of a plan whether it is done, which is trained and measured, running, and by whom, failed, and why, or
waiting: for a machine, or after it was stopped to go on. It reads the folder of runs and asks no scheduler.`,
		Example: "  sslkit status plan.jsonl\n  sslkit status plan.jsonl --json",
		Args:    count(1, 1, "a plan, as 'sslkit plan' writes it"),
		RunE: func(_ *cobra.Command, args []string) error {
			tasks, err := readPlan(args[0])
			if err != nil {
				return err
			}
			standings, err := c.standings(tasks)
			if err != nil {
				return err
			}
			return c.print(standings, func() error {
				var rows [][]string
				counts := make(map[string]int)
				for _, at := range standings {
					counts[at.State]++
					what := at.By
					if at.Error != "" {
						what = oneLine(fmt.Errorf("%s", at.Error))
					}
					if at.Run != "" {
						what = strings.TrimSpace(what + " as run " + shortKey(at.Run) + ", on another backend")
					}
					rows = append(rows, []string{strconv.Itoa(at.Line), shortKey(at.Key), at.State, at.Name, what})
				}
				if err := c.printTable([]string{"task", "key", "state", "name", ""}, rows); err != nil {
					return err
				}
				return c.printf("\n%d done, %d running, %d waiting, %d failed\n", counts[study.Done], counts[study.Running], counts[study.Waiting], counts[study.Failed])
			})
		},
	}
	cmd.Flags().StringVar(&c.runs, "runs", "", "folder `DIR` of the runs, in place of the usual one")
	return cmd
}

// standings says of records that cannot be read that they are made again.
func (c *cli) standings(tasks []study.Task) ([]study.Standing, error) {
	store, err := c.store()
	if err != nil {
		return nil, err
	}
	standings, damaged := study.Status(store, tasks)
	if damaged != nil {
		c.say(oneLine(damaged))
	}
	return standings, nil
}
