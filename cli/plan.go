package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
)

// planner is a study that is written down in place of being run.
type planner struct{ out string }

func (c *cli) plan() *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "plan",
		Short: "Write down the runs of a study, to be worked on by many machines",
		Long: `plan writes the runs of a study as lines of JSON: key, name, configuration, and how the study measures them.
'sslkit work' trains and measures one of them, or all. When they are done, the study itself, given with the same flags, finds
them and only makes its table. Random encoders are among them: they are measured, too.

The plan has the digest of the data, but no backend: the machine that works on a task puts in its own, and the study
finds the run on a machine with the same.`,
		Example: `  sslkit plan ablate --vary rate=0.01,0.1 --vary width=12,24 --out plan.jsonl
  sslkit submit --slurm plan.jsonl
  sslkit status plan.jsonl
  sslkit ablate --vary rate=0.01,0.1 --vary width=12,24 --svg grid.svg`,
		RunE: func(*cobra.Command, []string) error {
			return usagef("'sslkit plan' takes the name of a study, ablate, compare or taskgap, and its flags; see 'sslkit plan --help'")
		},
	})
	for _, of := range []*cobra.Command{c.ablate(), c.compare(), c.taskGap()} {
		p := &planner{}
		run := of.RunE
		of.RunE = func(cmd *cobra.Command, args []string) error {
			if err := writable(p.out); err != nil {
				return err
			}
			c.planned = p
			return run(cmd, args)
		}
		of.Short = "Write down the runs of '" + of.Name() + "'"
		of.Long = of.Short + ", whose flags it takes. Those that say how the result is shown have no effect."
		of.Example = ""
		of.Flags().StringVar(&p.out, "out", "", "write to `FILE`, in place of standard output")
		cmd.AddCommand(of)
	}
	return cmd
}

// writePlan writes what tasks returns.
func (c *cli) writePlan(tasks func(ctx context.Context, store *runs.Store) ([]study.Task, error)) error {
	return c.compute(func(ctx context.Context, store *runs.Store) error {
		all, err := tasks(ctx, store)
		if err != nil {
			return err
		}
		if c.planned.out == "" {
			return study.WritePlan(c.out, all)
		}
		file, err := renameio.NewPendingFile(c.planned.out, renameio.WithPermissions(0o644))
		if err != nil {
			return err
		}
		defer func() { _ = file.Cleanup() }() // of nothing, once it is in its place
		if err := study.WritePlan(file, all); err != nil {
			return err
		}
		if err := file.CloseAtomicallyReplace(); err != nil {
			return err
		}
		c.say(fmt.Sprintf("%d tasks written to %s; 'sslkit work %s --task N' works on one, counted from 1", len(all), c.planned.out, c.planned.out))
		return nil
	})
}

func (c *cli) work() *cobra.Command {
	var task, first, parallel int
	var key string
	cmd := &cobra.Command{
		Use:   "work PLAN",
		Short: "Train and measure the runs of a plan, or one of them",
		Long: `work takes a plan that 'sslkit plan' wrote, and trains and measures its runs: all of them, or with --task one, by
the number of its line. What is done already costs nothing, what was stopped goes on from its checkpoint. Several of these
commands may work on one plan at once: each first takes what no other is at.

Machines that share no folder share a bucket, of a service that speaks S3: with --records a task's run is looked for there first,
and brought there when it is done and measured. Checkpoints of runs that are not done stay on their machine.

After a task that fails the others are tried; the exit code is then 1.`,
		Example: `  sslkit work plan.jsonl
  sslkit work plan.jsonl --task 3
  sslkit work plan.jsonl --parallel 2
  sslkit work plan.jsonl --records s3://bucket/runs`,
		Args: count(1, 1, "a plan, as 'sslkit plan' writes it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			tasks, err := readPlan(args[0])
			if err != nil {
				return err
			}
			if key != "" {
				if cmd.Flags().Changed("task") {
					return usagef("--task and --key both name one task: give one of them")
				}
				at := slices.IndexFunc(tasks, func(t study.Task) bool { return t.Key == key })
				if at < 0 {
					return usagef("--key %s: no task of %s has this key, which it may have had before it was written again", key, args[0])
				}
				tasks = tasks[at : at+1]
			}
			if cmd.Flags().Changed("task") {
				if task < 1 || task > len(tasks) {
					return usagef("--task %d: the plan has tasks 1 to %d", task, len(tasks))
				}
				tasks = tasks[task-1 : task]
			}
			if first > 0 { // which keeps processes that begin at once from waiting for each other
				n := min(first, len(tasks)) - 1
				tasks = append(tasks[n:len(tasks):len(tasks)], tasks[:n]...)
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				if err := c.inParallel(ctx, store, parallel, tasks); err != nil {
					return err
				}
				return c.workOn(ctx, store, tasks)
			})
		},
	}
	cmd.Flags().IntVar(&task, "task", 0, "only the task in this `LINE` of the plan, counted from 1")
	cmd.Flags().StringVar(&key, "key", "", "only the task with this `KEY`, which stays where lines move")
	parallelFlag(cmd, &parallel)
	cmd.Flags().IntVar(&first, "first", 0, "begin with this `LINE`, and go around")
	if err := cmd.Flags().MarkHidden("first"); err != nil {
		panic(err) // no flag of this name
	}
	c.recordsFlag(cmd)
	c.storeFlags(cmd)
	return cmd
}

// recordsFlag is of commands that work on plans.
func (c *cli) recordsFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.records, "records", "", "look for finished runs at this `URL` first, and bring there what is done: s3://BUCKET/PREFIX, of the service at $AWS_ENDPOINT_URL_S3")
}

func readPlan(path string) ([]study.Task, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	tasks, err := study.ReadPlan(file)
	if err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	return tasks, nil
}

func parallelFlag(cmd *cobra.Command, n *int) {
	cmd.Flags().IntVar(n, "parallel", 1, "train in so many processes at once: of a machine whose cores or memory one run does not fill")
}

// inParallel works on the tasks in n processes, so that there is nothing left to do but to read. A Ctrl-C reaches them as it
// reaches this process: they save and end.
func (c *cli) inParallel(ctx context.Context, store *runs.Store, n int, tasks []study.Task) error {
	if n < 1 {
		return usagef("--parallel %d: choose at least 1", n)
	}
	if n = min(n, len(tasks)); n == 1 {
		return nil
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	file, err := os.CreateTemp("", "sslkit-plan-*.jsonl")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	if err := errors.Join(study.WritePlan(file, tasks), file.Close()); err != nil {
		return err
	}
	children := make([]*exec.Cmd, n)
	for i := range children {
		children[i] = exec.Command(self, "work", file.Name(), "--first", strconv.Itoa(1+i*len(tasks)/n), "--runs", store.Dir, "--quiet="+strconv.FormatBool(c.quiet), "--tracker", c.tracker, "--records", c.records)
		children[i].Stdout, children[i].Stderr = io.Discard, &lines{to: os.Stderr, name: fmt.Sprintf("[%d] ", i+1)}
		if err = children[i].Start(); err != nil {
			children = children[:i]
			break
		}
	}
	for _, child := range children {
		if failed := child.Wait(); failed != nil && child.ProcessState.ExitCode() == exitInterrupted {
			err = errors.Join(err, fmt.Errorf("%w in a process of its own", sslkit.ErrInterrupted))
		} // who failed has said why, and this process meets it again
	}
	if ctx.Err() != nil && err == nil {
		err = sslkit.ErrInterrupted
	}
	return err
}

// lines marks each line with who says it.
type lines struct {
	to   io.Writer
	name string
	rest []byte
}

func (l *lines) Write(text []byte) (int, error) {
	l.rest = append(l.rest, text...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(text), nil
		}
		l.rest = rest
		if _, err := fmt.Fprintf(l.to, "%s%s\n", l.name, line); err != nil {
			return 0, err
		}
	}
}

// workOn works on the tasks, those first that nobody else is at.
func (c *cli) workOn(ctx context.Context, store *runs.Store, tasks []study.Task) error {
	type worked struct {
		Name string `json:"name"`
		Key  string `json:"key,omitempty"`
		Err  string `json:"error,omitempty"`
	}
	done, failed, all := []worked{}, []error(nil), len(tasks)
	for left := append([]study.Task(nil), tasks...); len(left) > 0; {
		next := 0
		for i, t := range left {
			if store.Busy(t.Key) == "" {
				next = i
				break
			}
		}
		t := left[next]
		left = append(left[:next], left[next+1:]...)
		c.report(runs.Progress{Now: fmt.Sprintf("task %d of %d: %s", all-len(left), all, t.Name)})
		record, err := t.Work(ctx, store)
		switch {
		case err != nil && (ctx.Err() != nil || errors.Is(err, sslkit.ErrInterrupted)):
			return err
		case err != nil:
			failed = append(failed, err)
			c.say("failed: " + oneLine(err))
			done = append(done, worked{Name: t.Name, Err: oneLine(err)})
		default:
			done = append(done, worked{Name: t.Name, Key: record.Key})
		}
	}
	if err := c.print(done, func() error {
		var rows [][]string
		for _, w := range done {
			if w.Err == "" {
				rows = append(rows, []string{shortKey(w.Key), w.Name})
			}
		}
		if rows == nil {
			return nil
		}
		return c.printTable([]string{"key", "done"}, rows)
	}); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("%d of %d tasks failed, the first: %w", len(failed), all, failed[0])
	}
	return nil
}
