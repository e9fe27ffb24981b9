// Package cli is the command sslkit, which trains, evaluates and compares self-supervised methods from the shell.
//
//	sslkit taskgap --preset smoke
//
// Results go to standard output, as text or as JSON; progress and errors go to standard error. What
// was run once is remembered, see package runs. The exit code is 0, 1 after a failure, 2 for a
// command line that cannot be meant, and 130 after Ctrl-C, SIGTERM or a lost connection, when what was
// learnt is saved.
package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/widgets"
)

const (
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // as shells have it
)

// Main is the whole command, with the methods that are registered: os.Exit follows.
func Main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run executes one command line and returns its exit code.
func run(args []string, stdout, stderr io.Writer) int {
	// GoMLX logs what its errors say as well, with stack traces.
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)

	c := &cli{out: stdout, report: printer(stderr)}
	root := c.root()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	var name string
	if _, is := fmt.Sscanf(fmt.Sprint(err), "unknown command %q for", &name); is == nil {
		err = noCommand(root, name)
	}
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		c.say("sslkit: " + oneLine(err))
		return exitUsage
	case errors.Is(err, sslkit.ErrInterrupted):
		c.say("sslkit: " + oneLine(err) + ". This goes on:\n\n    " + quote(append([]string{os.Args[0]}, args...)) + "\n")
		return exitInterrupted
	}
	c.say("sslkit: " + oneLine(err))
	return exitFailed
}

// printer shows progress on w; names in it cannot steer the terminal.
func printer(w io.Writer) func(runs.Progress) {
	report := runs.Printer(w)
	return func(p runs.Progress) {
		p.Name, p.Now, p.Note = widgets.Printable(p.Name), widgets.Printable(p.Now), widgets.Printable(p.Note)
		report(p)
	}
}

// cli is one call of the command.
type cli struct {
	out         io.Writer
	report      func(runs.Progress) // to standard error
	json, quiet bool
	runs        string
	tracker     string
	records     string   // where machines without a common folder keep finished runs
	planned     *planner // writes a study's runs down, where that is asked for
}

func (c *cli) root() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "sslkit",
		Short: "A laboratory for self-supervised learning",
		Long: `sslkit trains self-supervised methods, measures what they have learnt, and compares them.

What was run once is returned at once, from here and from a notebook alike, and what was
stopped goes on. Environment:

  SSLKIT_PRESET    preset where --preset is not given: smoke, class, night or paper
  SSLKIT_HOME      folder of runs, data and plugins, in place of the user's cache folder
  SSLKIT_RUNS      folder of runs, as --runs
  GOMLX_BACKEND    backend to compute on, in place of the best one, see 'sslkit backend'
  SSLKIT_ALLOW_UNVERIFIED  1: plugins without a known checksum may be installed`,
		Example: `  sslkit taskgap --preset smoke      # the whole experiment, small
  sslkit pretrain --angles 0,180     # one run
  sslkit evaluate --angles 0,180     # what it has learnt, block by block
  sslkit methods                     # what can be trained
  sslkit runs list                   # what was run`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}, c.pretrain(), c.evaluate(), c.taskGap(), c.ablate(), c.compare(), c.claims(), c.results(), c.plan(), c.work(), c.submit(), c.status(), c.track(), c.future(), c.featureMap(), c.export(), c.embed(), c.neighbours(), c.methods(), c.runsGroup(), c.data(), c.backend(), c.version())
	root.Args = nil // cobra's own check, which comes before that of flags
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print the result as JSON")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		text := err.Error()
		var unknown *pflag.NotExistError
		var invalid *pflag.InvalidValueError
		switch {
		case errors.As(err, &unknown):
			text += similarFlag(cmd, unknown.GetSpecifiedName())
		case errors.As(err, &invalid):
			text = fmt.Sprintf("--%s cannot be %q", invalid.GetFlag().Name, invalid.GetValue())
		}
		return usagef("%s; see '%s --help'", text, cmd.CommandPath())
	})
	return root
}

// usageError is what the command line is to blame for.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// group makes cmd a command with others below it.
func group(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.SuggestionsMinimumDistance = 2
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return noCommand(cmd, args[0])
	}
	cmd.AddCommand(below...)
	return cmd
}

func noCommand(cmd *cobra.Command, name string) error {
	return usagef("'%s' has no command %q%s; see '%s --help'", cmd.CommandPath(), name, didYouMean(cmd.SuggestionsFor(name)), cmd.CommandPath())
}

func similarFlag(cmd *cobra.Command, name string) string {
	flags := &cobra.Command{SuggestionsMinimumDistance: 2} // cobra knows likeness of commands only
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
	})
	names := flags.SuggestionsFor(name)
	for i := range names {
		names[i] = "--" + names[i]
	}
	return didYouMean(names)
}

func didYouMean(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return " (did you mean " + strings.Join(names, " or ") + "?)"
}

// count checks the number of arguments; a negative most is no limit.
func count(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			given := strings.Join(args, " ")
			if given == "" {
				given = "nothing"
			}
			return usagef("'%s' takes %s, not %s; see '%s --help'", cmd.CommandPath(), what, given, cmd.CommandPath())
		}
		return nil
	}
}

// storeFlags defines the flags of commands on runs.
func (c *cli) storeFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.runs, "runs", "", "folder `DIR` of the runs, in place of the usual one")
	cmd.Flags().StringVar(&c.tracker, "tracker", "", "tell a `SERVER` of each run that is trained or found: mlflow, at $MLFLOW_TRACKING_URI")
	cmd.Flags().BoolVarP(&c.quiet, "quiet", "q", false, "no progress on standard error")
}

func (c *cli) store() (*runs.Store, error) {
	store, err := runs.Open(c.runs)
	if err != nil {
		return nil, err
	}
	store.Report = c.report
	if c.quiet {
		store.Report = nil
	}
	if c.tracker != "" {
		if store.Tracker, err = runs.OpenTracker(c.tracker); err != nil {
			return nil, usageError{err}
		}
	}
	if c.records != "" {
		if store.Bucket, err = runs.OpenBucket(c.records); err != nil {
			return nil, usageError{err}
		}
	}
	return store, nil
}

// compute calls f on the store with a context that Ctrl-C cancels.
func (c *cli) compute(f func(ctx context.Context, store *runs.Store) error) error {
	store, err := c.store()
	if err != nil {
		return err
	}
	// It may install a plugin. There is nothing to save then, and Ctrl-C shall have its usual effect.
	if _, _, err := pjrt.Open(); err != nil {
		return err
	}
	return c.interruptible(func(ctx context.Context) error { return f(ctx, store) })
}

// interruptible calls f with a context that the first Ctrl-C or SIGTERM cancels, and a lost
// connection: SIGHUP, or SIGPIPE where nobody reads what is written. The second Ctrl-C or SIGTERM has
// its usual effect, which is to end the process.
func (c *cli) interruptible(f func(ctx context.Context) error) error {
	lost := []os.Signal{syscall.SIGPIPE}
	if !signal.Ignored(syscall.SIGHUP) { // nohup: the run shall outlive the connection
		lost = append(lost, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), append(lost, os.Interrupt, syscall.SIGTERM)...)
	defer stop()
	forget := context.AfterFunc(ctx, func() {
		signal.Ignore(lost...) // shells send SIGHUP twice, and each line below would raise SIGPIPE
		stop()
		c.say("stopping; Ctrl-C once more exits at once")
	})
	defer forget()
	err := f(ctx)
	if err != nil && ctx.Err() != nil && !errors.Is(err, sslkit.ErrInterrupted) {
		err = fmt.Errorf("%w: %w", sslkit.ErrInterrupted, err)
	}
	return err
}

// say writes a line to standard error, below the progress bar if there is one.
func (c *cli) say(line string) { c.report(runs.Progress{Note: line}) }

// print writes the result: as JSON if that is asked for, else as text does.
func (c *cli) print(result any, text func() error) error {
	if !c.json {
		return text()
	}
	return c.printJSON(result)
}

func (c *cli) printJSON(v any) error {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(c.out, steering.ReplaceAllStringFunc(text.String(), func(r string) string {
		return fmt.Sprintf(`\u%04x`, []rune(r)[0])
	}))
	return err
}

// steering is what JSON does not escape by itself and terminals heed.
var steering = regexp.MustCompile(`[\x{7f}-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]`)

func (c *cli) printf(format string, args ...any) error {
	_, err := io.WriteString(c.out, widgets.Printable(fmt.Sprintf(format, args...)))
	return err
}

func (c *cli) printTable(head []string, rows [][]string) error {
	text, err := widgets.Table{Head: head, Rows: rows}.Text()
	if err != nil {
		return err
	}
	return c.printf("%s", text)
}

var (
	plain  = regexp.MustCompile(`^[\w@%+=:,./-]+$`)
	prefix = regexp.MustCompile(`(?m)^(?:(?:sslkit|runs|recipe|study|eval|data|nn|optim|pjrt|published|mlflow|show|widgets): )+`)
)

// quote writes a command line as a shell takes it.
func quote(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if !plain.MatchString(a) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted[i] = a
	}
	return strings.Join(quoted, " ")
}

// oneLine is the error in one line, without the names of packages.
func oneLine(err error) string {
	lines := strings.Split(prefix.ReplaceAllString(strings.TrimSpace(err.Error()), ""), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, "; ")
}
