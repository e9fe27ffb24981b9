package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func (c *cli) future() *cobra.Command {
	f := configFlags{method: "nextframe"}
	var seen int
	var films []int
	var strips, svg, md string
	cmd := &cobra.Command{
		Use:   "future",
		Short: "Paint what comes in a film, and see how far ahead that holds",
		Long: `future trains nextframe, shows it the first frames of test films and lets it paint the others, each from
those before it and those it has painted. The error of each frame stands beside that of copying the last
frame that was seen and of constant velocity. --strips draws films, what is painted of them, and the real
frames that CPC finds for what comes, which predicts features in place of pixels: it is trained for that,
the same network on the same films for as long.`,
		Example: `  sslkit future --svg horizon.svg
  sslkit future --preset class --seen 3 --strips strips.png --films 0,600`,
		Args: count(0, 0, "flags only"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(writable(md), writable(svg, ".svg"), writable(strips, ".svg", ".png")); err != nil {
				return err
			}
			config, err := f.config()
			if err != nil {
				return err
			}
			if name := sslkit.NameOf(config.Method); name != "nextframe" {
				return usagef("frames are painted ahead by nextframe, and %s holds %s", f.file, name)
			}
			if seen < 2 {
				return usagef("--seen %d: a velocity takes at least 2 frames", seen)
			}
			seeds := f.seeds()
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				config.Seed = seeds[0]
				if err := saveFigure(func() (*widgets.Figure, error) {
					features, err := recipe.CPC(f.preset, config.Data.Name)
					if err != nil {
						return nil, err
					}
					*sslkit.Backbone(features.Method) = *sslkit.Backbone(config.Method)
					features.Data, features.Seed, features.Epochs, features.Batch = config.Data, config.Seed, config.Epochs, config.Batch
					features.Optimizer.Warmup = config.Optimizer.Warmup
					return show.Futures(ctx, store, config, features, seen, films...)
				}, strips); err != nil {
					return err
				}
				table, err := study.Foresee(ctx, store, config, seen, seeds...)
				if err != nil {
					return err
				}
				if err := saveFigure(func() (*widgets.Figure, error) { return show.Horizon(table) }, svg); err != nil {
					return err
				}
				if err := saveTable(table, md); err != nil {
					return err
				}
				return c.print(table, func() error { return c.printCaptioned(table, md, svg, strips) })
			})
		},
	}
	f.add(cmd, false, false)
	flags := cmd.Flags()
	f.addSeeds()
	flags.IntVar(&seen, "seen", 4, "the first `FRAMES` of a film, which are seen")
	flags.IntSliceVar(&films, "films", []int{0, 1}, "the test `FILMS` that are drawn, from 0")
	flags.StringVar(&strips, "strips", "", "draw what is painted and what is found to `FILE` (.svg or .png)")
	flags.StringVar(&svg, "svg", "", "draw the error of each frame to `FILE`")
	flags.StringVar(&md, "md", "", "write the table as Markdown to `FILE`")
	c.storeFlags(cmd)
	flags.SortFlags = false
	return cmd
}
