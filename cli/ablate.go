package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func (c *cli) ablate() *cobra.Command {
	var f configFlags
	var files resultFiles
	var seeds []int64
	var vary string
	o := eval.Defaults()
	cmd := &cobra.Command{
		Use:   "ablate --vary FIELD=VALUE,VALUE,...",
		Short: "Change one thing in a method and see what it was good for",
		Long: `ablate trains a method once for each value of one field of its configuration and each of the seeds,
and measures every block; random-init and supervised rows stand beside it. The fields are those that
'sslkit pretrain --print-config' shows, named by their path or by its end.

Each run is kept: an interrupted experiment goes on where it was.`,
		Example: `  sslkit ablate --vary angles=[0,90,180,270],[0,180]
  sslkit ablate --vary width=12,24,48 --seeds 1,2,3 --svg width.svg
  sslkit ablate --preset class --vary rate=0.01,0.1,0.5 --json`,
		Args: count(0, 0, "flags only"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := files.check(); err != nil {
				return err
			}
			config, err := f.config()
			if err != nil {
				return err
			}
			path, list, found := strings.Cut(vary, "=")
			if !found {
				return usagef("--vary %q: write FIELD=VALUE,VALUE,...", vary)
			}
			variants, err := study.Vary(config, path, values(list)...)
			if err != nil {
				return usagef("--vary %s: %w", vary, err)
			}
			for _, v := range variants {
				if err := v.Config.Validate(); err != nil {
					return usagef("--vary %s: %s: %w", vary, v.Name, err)
				}
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				result, err := study.Ablate(ctx, store, variants, o, seeds...)
				if err != nil {
					return err
				}
				if err := files.write(result, "", func() (*widgets.Figure, error) { return show.Ablation(result) }); err != nil {
					return err
				}
				return c.print(result, func() error { return c.printResult(result, "", files) })
			})
		},
	}
	f.add(cmd, true, false)
	flags := cmd.Flags()
	flags.StringVar(&vary, "vary", "", "the field and its values")
	flags.Int64SliceVar(&seeds, "seeds", []int64{1, 2, 3}, "seeds to repeat every run with")
	probeFlags(flags, &o)
	files.flags(flags, "the accuracy of each variant")
	c.storeFlags(cmd)
	flags.SortFlags = false
	return cmd
}

// values splits a list at its commas, but not at those within brackets.
func values(list string) (out []any) {
	depth, from := 0, 0
	for i, r := range list + "," {
		switch {
		case r == '[':
			depth++
		case r == ']':
			depth--
		case r == ',' && depth == 0:
			out = append(out, value(list[from:i]))
			from = i + 1
		}
	}
	return out
}
