package cli

import (
	"context"
	"errors"
	"image"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func (c *cli) track() *cobra.Command {
	f := configFlags{method: "tracking"}
	var boxes []string
	var clip int
	var masks, colors, md string
	o := eval.TrackingDefaults()
	cmd := &cobra.Command{
		Use:   "track",
		Short: "Colorize clips by copying, and follow what they show",
		Long: `track trains video colorization (Vondrick et al. 2018) and lets its features carry masks, points and
colours of each test clip's first frame through the rest of it. Beside them stand the same network
untrained, pixels and the identity. Clips that the program draws are judged by the truth: region J,
contour F, points, colours. Of a film (--data video:PATH, a folder of frames or a file that ffmpeg
reads) the colours are known; what is to be followed in it is marked by boxes, to be looked at.`,
		Example: `  sslkit track --preset class --masks masks.png
  sslkit track --data video:film.avi --colors colors.png
  sslkit track --data video:film.avi --clip 4 --box 10,20,40,60 --box 50,8,60,30 --masks masks.png`,
		Args: count(0, 0, "flags only"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(writable(md), writable(masks, ".svg", ".png"), writable(colors, ".svg", ".png")); err != nil {
				return err
			}
			marked, err := parseBoxes(boxes)
			if err != nil {
				return err
			}
			config, err := f.config()
			if err != nil {
				return err
			}
			if name := sslkit.NameOf(config.Method); name != "tracking" {
				return usagef("clips are tracked by tracking, and %s holds %s", f.file, name)
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			if masks != "" && len(marked) == 0 && strings.HasPrefix(config.Data.Name, "video:") {
				return usagef("--masks: nobody knows what a film shows: mark what is to be followed with --box")
			}
			seeds := f.seeds()
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				config.Seed = seeds[0]
				err := saveFigure(func() (*widgets.Figure, error) { return show.Masks(ctx, store, config, o, clip, marked...) }, masks)
				if err != nil {
					return err
				}
				err = saveFigure(func() (*widgets.Figure, error) { return show.CopiedColors(ctx, store, config, o, clip) }, colors)
				if err != nil {
					return err
				}
				table, err := study.Track(ctx, store, config, o, seeds...)
				if err != nil {
					return err
				}
				if err := saveTable(table, md); err != nil {
					return err
				}
				return c.print(table, func() error { return c.printCaptioned(table, md, masks, colors) })
			})
		},
	}
	f.add(cmd, false, false)
	flags := cmd.Flags()
	f.addSeeds()
	flags.IntVar(&o.Previous, "previous", o.Previous, "frames just before that are copied from, beside the first")
	flags.IntVar(&o.Radius, "radius", o.Radius, "in those, copy from places so many rows and columns away or less; 0: from all")
	flags.Float64Var(&o.Temperature, "temperature", o.Temperature, "below 1 it trusts the most alike places more than training did")
	flags.IntVar(&clip, "clip", 0, "the test `CLIP` that is drawn, from 0")
	flags.StringArrayVar(&boxes, "box", nil, "`TOP,LEFT,BOTTOM,RIGHT` in pixels of its first frame, to be followed; may be repeated")
	flags.StringVar(&masks, "masks", "", "draw how masks are carried through the clip to `FILE` (.svg or .png)")
	flags.StringVar(&colors, "colors", "", "draw how colours are copied through the clip to `FILE` (.svg or .png)")
	flags.StringVar(&md, "md", "", "write the table as Markdown to `FILE`")
	c.storeFlags(cmd)
	flags.SortFlags = false
	return cmd
}

func parseBoxes(texts []string) (boxes []image.Rectangle, err error) {
	for _, text := range texts {
		var at []int
		for _, part := range strings.Split(text, ",") {
			v, err := strconv.Atoi(strings.TrimSpace(part))
			if err != nil {
				return nil, usagef("--box %s: write TOP,LEFT,BOTTOM,RIGHT in whole pixels", text)
			}
			at = append(at, v)
		}
		if len(at) != 4 || at[0] >= at[2] || at[1] >= at[3] {
			return nil, usagef("--box %s: write TOP,LEFT,BOTTOM,RIGHT, the top above the bottom and left before right", text)
		}
		boxes = append(boxes, image.Rect(at[1], at[0], at[3], at[2]))
	}
	return boxes, nil
}
