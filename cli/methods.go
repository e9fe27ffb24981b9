package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
)

func (c *cli) methods() *cobra.Command {
	return &cobra.Command{
		Use:   "methods",
		Short: "List the methods: their papers, what they learn from, and which presets they have",
		Long: `methods lists all that --method can be: the methods of the lecture's chapters and those that other
modules of this program bring, then what is there to measure something else, and the baselines.

For a preset that a method does not have, 'sslkit pretrain' says what is missing.`,
		Example: "  sslkit methods\n  sslkit methods --json",
		Args:    count(0, 0, "flags only"),
		RunE: func(*cobra.Command, []string) error {
			type method struct {
				Name    string   `json:"name"`
				Role    string   `json:"role"`
				Chapter int      `json:"chapter,omitempty"`
				Paper   string   `json:"paper,omitempty"`
				Needs   string   `json:"needs"`
				Data    string   `json:"data"` // tried first
				Presets []string `json:"presets"`
				NoPaper string   `json:"no_paper,omitempty"` // what is missing for the preset paper
			}
			var all []method
			var rows [][]string
			for _, r := range sslkit.Registered() {
				m := method{r.Name, r.Role.String(), r.Chapter, r.Paper, r.Needs.String(), r.Data, r.Presets(), r.NoPaper}
				chapter, paper := "", r.Paper
				if r.Chapter > 0 {
					chapter = fmt.Sprint(r.Chapter)
				}
				if r.Role != sslkit.SelfSupervised {
					paper = "(" + m.Role + ")"
				}
				all = append(all, m)
				rows = append(rows, []string{m.Name, chapter, paper, m.Needs, strings.Join(m.Presets, ", ")})
			}
			return c.print(all, func() error {
				return c.printTable([]string{"name", "chapter", "paper", "learns from", "presets"}, rows)
			})
		},
	}
}

// completer is what the shell's completion asks for the values of a flag.
type completer = func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective)

func complete(cmd *cobra.Command, flag string, values completer) {
	if err := cmd.RegisterFlagCompletionFunc(flag, values); err != nil {
		panic(err) // no flag of this name, or one that has its values already
	}
}

// completeMethod completes a name, or the last one of a list.
func completeMethod(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	before := typed[:strings.LastIndex(typed, ",")+1]
	var values []cobra.Completion
	for _, r := range sslkit.Registered() {
		what := r.Paper
		if what == "" {
			what = r.Role.String()
		}
		values = append(values, cobra.CompletionWithDesc(before+r.Name, what))
	}
	return begun(values, typed), cobra.ShellCompDirectiveNoFileComp
}

// completePreset completes those of the method that was named before.
func (f *configFlags) completePreset(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	presets := []cobra.Completion{sslkit.Smoke, sslkit.Class, sslkit.Night, sslkit.Paper}
	if r, err := sslkit.Lookup(f.method); err == nil {
		presets = r.Presets()
	}
	return begun(presets, typed), cobra.ShellCompDirectiveNoFileComp
}

// completeField completes the fields of a configuration with the method that was named before: its own without what is before them in
// the configuration, as [sslkit.Config.With] takes them.
func (f *configFlags) completeField(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var c sslkit.Config
	if r, err := sslkit.Lookup(f.method); err == nil {
		c.Method = r.New()
	}
	var values []cobra.Completion
	for _, path := range c.Fields() {
		if c.Method != nil {
			path = strings.TrimPrefix(path, "method."+sslkit.NameOf(c.Method)+".")
		}
		values = append(values, path+"=")
	}
	return begun(values, typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeKeys completes the keys of runs, newest first, of at most so many arguments; 0: of any number.
func (c *cli) completeKeys(most int) completer {
	return func(_ *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(args) >= most {
			return nil, cobra.ShellCompDirectiveDefault
		}
		store, err := c.store()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		records, _ := store.List() // without those that cannot be read
		slices.SortStableFunc(records, func(a, b *runs.Record) int { return b.Started.Compare(a.Started) })
		var values []cobra.Completion
		for _, r := range records {
			values = append(values, cobra.CompletionWithDesc(r.Key, fmt.Sprintf("%s, %s, seed %d", sslkit.TitleOf(r.Config.Method), r.Config.Data.Name, r.Config.Seed)))
		}
		return begun(values, typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func completeData(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var values []cobra.Completion
	for _, d := range data.Names() {
		values = append(values, d.Name)
	}
	return begun(append(values, "folder:", "captions:", "video:", "audio:", "logmel:"), typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// begun are the values that begin with what is typed.
func begun(values []cobra.Completion, typed string) []cobra.Completion {
	return slices.DeleteFunc(values, func(v cobra.Completion) bool { return !strings.HasPrefix(v, typed) })
}
