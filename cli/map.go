package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func (c *cli) featureMap() *cobra.Command {
	o := study.DefaultMap()
	var out string
	cmd := &cobra.Command{
		Use:   "map KEY...",
		Short: "Draw where encoders put the classes, in the plane",
		Long: `map lays the features of test images out in the plane, coloured by class: by PCA, which is linear, or by
t-SNE or UMAP, which keep neighbours together. KEY is the beginning of a run's key; several of the same
data are drawn side by side. Under each panel stands how many of an image's ten nearest are still among
its nearest ten. Labels give the colours, and nothing else. In layouts by t-SNE and UMAP, sizes of groups
and distances between them mean little.`,
		Example: `  sslkit map 41f0 --out map.svg
  sslkit map 41f0 e957 --method umap --out map.png
  sslkit map 41f0 --method pca --images 500 --json`,
		Args:              count(1, -1, "the keys of one run or more"),
		ValidArgsFunction: c.completeKeys(0),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := writable(out, ".svg", ".png"); err != nil {
				return err
			}
			if out == "" && !c.json {
				return usagef("say where to draw: --out FILE, which ends with .svg or .png, or --json for the points")
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				var variants []study.Variant
				for _, key := range args {
					record, err := store.Get(key)
					if err != nil {
						return err
					}
					variants = append(variants, study.Variant{Name: sslkit.TitleOf(record.Config.Method), Config: record.Config})
				}
				m, err := study.Map(ctx, store, variants, o)
				if err != nil {
					return err
				}
				if err := saveFigure(func() (*widgets.Figure, error) { return show.Map(m) }, out); err != nil {
					return err
				}
				return c.print(m, func() error {
					for _, l := range m.Layouts {
						if err := c.printf("%s, seed %d: %s\n", l.Name, l.Seed, m.Note(l)); err != nil {
							return err
						}
					}
					if err := c.printf("\n%s\n", m.Caption()); err != nil {
						return err
					}
					return c.printWritten(out)
				})
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.By, "method", o.By, "what lays out: "+strings.Join(study.Layouts(), ", "))
	flags.StringVar(&out, "out", "", "draw to `FILE` (.svg or .png)")
	flags.IntVar(&o.Images, "images", o.Images, "test images at most, equally many of each class where there are enough")
	flags.Int64Var(&o.Seed, "seed", o.Seed, "of the layout; that of the training is the run's")
	complete(cmd, "method", func(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return begun(study.Layouts(), typed), cobra.ShellCompDirectiveNoFileComp
	})
	c.storeFlags(cmd)
	flags.SortFlags = false
	return cmd
}
