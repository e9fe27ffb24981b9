package cli

import (
	"context"
	"errors"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/widgets"
)

func (c *cli) pretrain() *cobra.Command {
	var f configFlags
	var dry bool
	var md, table, svg string
	cmd := &cobra.Command{
		Use:   "pretrain",
		Short: "Train one method on one dataset, or find the run that did",
		Long: `pretrain trains one method on one dataset and prints its curves.

The same request returns the same run: at once when it is finished, from its last checkpoint
when it was stopped. Ctrl-C saves and stops.`,
		Example: `  sslkit pretrain --preset smoke
  sslkit pretrain --data photos --angles 0,180 --seed 2
  sslkit pretrain --arch resnet --depth 8 --width 16 --epochs 5
  sslkit pretrain --method supervised --json
  sslkit pretrain --preset paper --data cifar10 --print-config >paper.json
  sslkit pretrain --config paper.json --epochs 20
  sslkit pretrain --method simclr --init resnet18/model.safetensors --data photos`,
		Args: count(0, 0, "flags only"),
		RunE: func(*cobra.Command, []string) error {
			if err := errors.Join(writable(md), writable(table), writable(svg, ".svg", ".png")); err != nil {
				return err
			}
			config, err := f.config()
			if err != nil {
				return err
			}
			if dry {
				return c.printJSON(config)
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				store.Alone = true
				record, err := store.Pretrain(ctx, config)
				if err != nil {
					return err
				}
				if err := saveCurves(record, md, table, svg); err != nil {
					return err
				}
				return c.print(record, func() error {
					if err := c.printRecord(store, record, 10); err != nil {
						return err
					}
					return c.printWritten(md, table, svg)
				})
			})
		},
	}
	f.add(cmd, true, true)
	c.storeFlags(cmd)
	cmd.Flags().StringVar(&md, "md", "", "write the curves as Markdown to `FILE`")
	cmd.Flags().StringVar(&table, "csv", "", "write the curves, a line an epoch, to `FILE`")
	cmd.Flags().StringVar(&svg, "svg", "", "draw the curves to `FILE` (.svg or .png)")
	cmd.Flags().BoolVar(&dry, "print-config", false, "print the configuration, for --config, and train nothing")
	cmd.Flags().SortFlags = false
	return cmd
}

// saveCurves writes the curves of a run to files; "" is none.
func saveCurves(r *runs.Record, md, table, svg string) error {
	if len(r.History.Loss) == 0 {
		if md+table+svg == "" {
			return nil
		}
		return usagef("%s is not trained, and has no curves: leave --md, --csv and --svg out", sslkit.TitleOf(r.Config.Method))
	}
	if md != "" {
		head, rows := curveTable(r, 0)
		text, err := widgets.Table{Head: head, Rows: rows}.Markdown()
		if err != nil {
			return err
		}
		if err := renameio.WriteFile(md, []byte(text), 0o644); err != nil {
			return err
		}
	}
	if table != "" {
		text, err := runs.MetricsCSV(r.Config, r.History)
		if err == nil {
			err = renameio.WriteFile(table, text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return saveFigure(func() (*widgets.Figure, error) { return show.Losses(r) }, svg)
}
