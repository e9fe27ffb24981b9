package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func (c *cli) ablate() *cobra.Command {
	var f configFlags
	var files resultFiles
	var seeds []int64
	var vary []string
	var parallel int
	o := eval.Defaults()
	cmd := &cobra.Command{
		Use:   "ablate --vary FIELD=VALUE,VALUE,...",
		Short: "Change one thing in a method and see what it was good for",
		Long: `ablate trains a method once for each value of one field of its configuration and each of the seeds,
and measures every block; random-init and supervised rows stand beside it. The fields are those that
'sslkit pretrain --print-config' shows, named by their path or by its end. Several of --vary make a grid: a run
for each combination of their values, which with two of them is drawn as a heat map.

Each run is kept: an interrupted experiment goes on where it was.`,
		Example: `  sslkit ablate --vary angles=[0,90,180,270],[0,180]
  sslkit ablate --vary width=12,24,48 --seeds 1,2,3 --svg width.svg
  sslkit ablate --vary rate=0.01,0.1 --vary width=12,24 --svg grid.svg
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
			variants, axes, err := grid(config, vary)
			if err != nil {
				return err
			}
			for _, v := range variants {
				if err := v.Config.Validate(); err != nil {
					return usagef("--vary: %s: %w", v.Name, err)
				}
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			tasks := func(ctx context.Context, store *runs.Store) ([]study.Task, error) {
				return study.PlanAblation(ctx, store, variants, o, seeds...)
			}
			if c.planned != nil {
				return c.writePlan(tasks)
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				if parallel != 1 {
					all, err := tasks(ctx, store)
					if err != nil {
						return err
					}
					if err := c.inParallel(ctx, store, parallel, all); err != nil {
						return err
					}
				}
				result, err := study.Ablate(ctx, store, variants, o, seeds...)
				if err != nil {
					return err
				}
				result.Axes = axes
				if err := files.write(result, "", func() (*widgets.Figure, error) { return show.Ablation(result) }); err != nil {
					return err
				}
				return c.print(result, func() error { return c.printResult(result, "", files) })
			})
		},
	}
	f.add(cmd, true, false)
	flags := cmd.Flags()
	flags.StringArrayVar(&vary, "vary", nil, "the `FIELD=VALUE,VALUE,...` to vary; repeated, each combination of their values")
	complete(cmd, "vary", f.completeField)
	flags.Int64SliceVar(&seeds, "seeds", []int64{1, 2, 3}, "seeds to repeat every run with")
	parallelFlag(cmd, &parallel)
	probeFlags(flags, &o)
	files.flags(flags, "the accuracy of each variant")
	c.storeFlags(cmd)
	flags.SortFlags = false
	return cmd
}

// grid is a variant of the configuration for each combination of what is varied.
func grid(config sslkit.Config, vary []string) ([]study.Variant, []study.Axis, error) {
	if len(vary) == 0 {
		return nil, nil, usagef("--vary is missing: write FIELD=VALUE,VALUE,...")
	}
	var fields []study.Field
	for _, text := range vary {
		path, list, found := strings.Cut(text, "=")
		if !found {
			return nil, nil, usagef("--vary %q: write FIELD=VALUE,VALUE,...", text)
		}
		if _, err := study.Vary(config, path, values(list)...); err != nil {
			return nil, nil, usagef("--vary %s: %w", text, err)
		}
		fields = append(fields, study.Field{Path: path, Values: values(list)})
	}
	variants, axes, err := study.Grid(config, fields...)
	if err != nil {
		return nil, nil, usagef("--vary: %w", err)
	}
	return variants, axes, nil
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
