package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/sslkit/runs"
)

func (c *cli) pretrain() *cobra.Command {
	var f configFlags
	var dry bool
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
				return c.print(record, func() error { return c.printRecord(store, record, 10) })
			})
		},
	}
	f.add(cmd, true, true)
	c.storeFlags(cmd)
	cmd.Flags().BoolVar(&dry, "print-config", false, "print the configuration, for --config, and train nothing")
	cmd.Flags().SortFlags = false
	return cmd
}
