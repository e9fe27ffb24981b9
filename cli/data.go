package cli

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit/runs"
)

func (c *cli) data() *cobra.Command {
	list := c.dataList()
	return group(&cobra.Command{
		Use:     "data",
		Short:   "List datasets, download them, and look at your own",
		Example: "  sslkit data\n  sslkit data get fashion-mnist\n  sslkit data check folder:photos",
		RunE:    list.RunE,
	}, list, c.dataGet(), c.dataCheck())
}

func (c *cli) dataList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the datasets, and where they are",
		Example: "  sslkit data list\n  sslkit data list --json",
		Args:    count(0, 0, "flags only"),
		RunE: func(*cobra.Command, []string) error {
			all := data.Names()
			return c.print(all, func() error {
				var rows [][]string
				for _, d := range all {
					where := d.Where
					if !d.Present && d.Download > 0 {
						where = fmt.Sprintf("to be downloaded, %d MB", d.Download>>20)
					}
					rows = append(rows, []string{d.Name, strconv.Itoa(d.Train), strconv.Itoa(d.Test),
						fmt.Sprintf("%dx%dx%d", d.Height, d.Width, d.Channels), where, d.Licence})
				}
				if err := c.printTable([]string{"name", "train", "test", "image", "where", "licence"}, rows); err != nil {
					return err
				}
				return c.printf("\nBesides, folder:PATH is a folder of images, with one subfolder a class, captions:FILE a CSV file\nwith a line for each image and caption, beside the images, video:PATH a film or a folder of\nits frames, and audio:PATH a folder of sounds as cepstra, or logmel:PATH as a spectrogram. 'sslkit data check' tells what is in them.\n")
			})
		},
	}
}

func (c *cli) dataGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "get NAME",
		Short:   "Download a dataset, verify it and keep it; go on with a download that was stopped",
		Example: "  sslkit data get fashion-mnist\n  sslkit data get cifar10 --json",
		Args:    count(1, 1, "the name of a dataset"),
		RunE: func(_ *cobra.Command, args []string) error {
			var o data.OpenOptions
			if !c.quiet {
				o.Progress = func(file string, done, total int64) {
					c.report(runs.Progress{Name: file, Bytes: done, Total: total})
				}
			}
			var train, test data.Source
			if err := c.interruptible(func(ctx context.Context) (err error) {
				train, test, err = data.OpenContext(ctx, args[0], o)
				return err
			}); err != nil {
				return err
			}
			height, width, channels := train.Shape()
			info := data.Info{Name: args[0], Train: train.Len(), Test: test.Len(), Height: height, Width: width, Channels: channels,
				Classes: train.Classes(), Present: true}
			for _, known := range data.Names() {
				if known.Name == args[0] {
					info.Licence, info.Where = known.Licence, known.Where
				}
			}
			return c.print(info, func() error {
				return c.printf("%s: %d training and %d test examples of %dx%dx%d, %d classes\n",
					info.Name, info.Train, info.Test, height, width, channels, len(info.Classes))
			})
		},
	}
	cmd.Flags().BoolVarP(&c.quiet, "quiet", "q", false, "no progress on standard error")
	return cmd
}

func (c *cli) dataCheck() *cobra.Command {
	var o data.OpenOptions
	cmd := &cobra.Command{
		Use:   "check NAME",
		Short: "Look at all images of a dataset once: classes, splits, and what is odd or cannot be read",
		Long: `Look at all images of a dataset once, and tell how many there are of each class and split, which
files are passed over and why, which cannot be read, are turned by their Exif orientation, grey, of
16 bits, nearly black, of one colour, or in both splits; of sounds, how long they are.

What was seen is remembered: only new files are read again. The exit code is 1 if some cannot be read.`,
		Example: "  sslkit data check folder:photos\n  sslkit data check video:film.mp4 --size 64 --json\n  sslkit data check audio:recordings",
		Args:    count(1, 1, "the name of a dataset"),
		RunE: func(_ *cobra.Command, args []string) error {
			if !c.quiet {
				o.Progress = func(file string, done, total int64) {
					c.report(runs.Progress{Name: file, Bytes: done, Total: total})
				}
			}
			var inventory *data.Inventory
			if err := c.interruptible(func(ctx context.Context) (err error) {
				inventory, err = data.Check(ctx, args[0], o)
				return err
			}); err != nil {
				return err
			}
			if err := c.print(inventory, func() error { return c.printf("%s", inventory) }); err != nil {
				return err
			}
			if n := len(inventory.Unreadable); n > 0 {
				return fmt.Errorf("%d of the files cannot be read: mend them or move them away", n)
			}
			return nil
		},
	}
	cmd.Flags().IntVar(&o.Size, "size", 0, "side of a film's frames in `PIXELS` (default 32)")
	cmd.Flags().IntVar(&o.Frames, "frames", 0, "of a clip (default 8, of sounds as many as the longest has)")
	cmd.Flags().BoolVarP(&c.quiet, "quiet", "q", false, "no progress on standard error")
	return cmd
}
