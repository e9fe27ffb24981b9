package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func (c *cli) taskGap() *cobra.Command {
	var f configFlags
	var files resultFiles
	var turned bool
	o := study.GapOptions()
	cmd := &cobra.Command{
		Use:   "taskgap",
		Short: "Compare four choices of angles, and what is left of the gap between them",
		Long: `taskgap repeats Table 2 of Gidaris et al. (2018): which rotations should a network tell apart so
that it learns most? Four sets of angles and two baselines (random init, supervised) are trained with
each of the seeds, and every block is probed. Beside the paper's CIFAR-10 figures stands a sentence on
what differs here and which gaps are more than chance: paired over seeds, beyond the test set's error.

With --turned it asks for the paper's reason instead: that {90, 270} never saw an upright image, and is judged on
upright ones. The same encoders are then judged on upright images and on images turned by 90 degrees.

Each run is kept: an interrupted experiment goes on where it was, and one more seed costs one more seed.`,
		Example: `  sslkit taskgap --preset smoke
  sslkit taskgap --preset class --data photos --seeds 1,2,3 --svg gap.svg --md gap.md
  sslkit taskgap --preset class --json >gap.json
  sslkit taskgap --preset class --seeds 4,5,6,7,8 --turned --md turned.md
  sslkit taskgap --preset paper --data cifar10 --seeds 1`,
		Args: count(0, 0, "flags only"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := files.check(); err != nil { // before the work, not after it
				return err
			}
			config, err := f.config()
			if err != nil {
				return err
			}
			if name := sslkit.NameOf(config.Method); name != "rotation" {
				return usagef("the Task Gap is about rotation, and %s holds %s", f.file, name)
			}
			seeds := f.seeds()
			if len(seeds) == 0 {
				return usagef("--seeds: give at least one, and three to see a spread")
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			if c.planned != nil {
				if turned {
					return usagef("--turned has the runs of the gap itself: plan that without it")
				}
				return c.writePlan(func(ctx context.Context, store *runs.Store) ([]study.Task, error) {
					return study.PlanTaskGap(ctx, store, config, o, seeds...)
				})
			}
			if turned {
				if files.csv != "" || files.svg != "" {
					return usagef("--turned makes a table: --md and --json write it, --csv and --svg do not")
				}
				return c.compute(func(ctx context.Context, store *runs.Store) error {
					t, err := study.TaskGapTurned(ctx, store, config, o, seeds...)
					if err != nil {
						return err
					}
					if err := saveTable(t, files.md); err != nil {
						return err
					}
					return c.print(t, func() error { return c.printCaptioned(t, files.md) })
				})
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				gap, err := study.TaskGap(ctx, store, config, o, seeds...)
				if err != nil {
					return err
				}
				if err := files.write(&gap.Comparison, gap.Finding, func() (*widgets.Figure, error) { return show.Gap(gap) }); err != nil {
					return err
				}
				return c.print(gap, func() error { return c.printResult(&gap.Comparison, gap.Finding, files) })
			})
		},
	}
	f.add(cmd, false, false)
	flags := cmd.Flags()
	f.addSeeds()
	probeFlags(flags, &o)
	files.flags(flags, "the gap beside the paper's")
	flags.BoolVar(&turned, "turned", false, "judge on upright and on turned images, in place of the gap")
	c.storeFlags(cmd)
	flags.SortFlags = false
	return cmd
}
