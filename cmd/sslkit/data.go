package main

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit/sweep"
)

func newData() *cobra.Command {
	list := newDataList()
	return group(&cobra.Command{
		Use:     "data",
		Short:   "List datasets, and download them",
		Example: "  sslkit data list\n  sslkit data get fashion-mnist",
		RunE:    list.RunE,
	}, list, newDataGet())
}

func newDataList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the datasets, and where they are",
		Example: "  sslkit data list\n  sslkit data list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			all := data.Names()
			return output(cmd, all, func(w io.Writer) error {
				var rows [][]string
				for _, d := range all {
					where := d.Where
					if !d.Present {
						where = fmt.Sprintf("'sslkit data get %s' downloads %d MB", d.Name, d.Download>>20)
					}
					rows = append(rows, []string{d.Name, strconv.Itoa(d.Train), strconv.Itoa(d.Test),
						fmt.Sprintf("%dx%dx%d", d.Height, d.Width, d.Channels), d.Licence, where})
				}
				if err := printTable(w, []string{"name", "train", "test", "image", "licence", "where"}, rows); err != nil {
					return err
				}
				_, err := fmt.Fprintln(w, "\nBesides, folder:PATH is a folder of images, with one subfolder a class.")
				return err
			})
		},
	}
}

func newDataGet() *cobra.Command {
	return &cobra.Command{
		Use:     "get NAME",
		Short:   "Download a dataset, verify it and keep it; go on with a download that was stopped",
		Example: "  sslkit data get fashion-mnist",
		Args:    exactly(1, "the name of a dataset"),
		RunE: func(cmd *cobra.Command, args []string) error {
			report := sweep.Printer(cmd.ErrOrStderr())
			train, test, err := data.OpenContext(cmd.Context(), args[0], data.OpenOptions{Progress: func(file string, done, total int64) {
				report(sweep.Progress{Name: file, Bytes: done, Total: total})
			}})
			if err != nil {
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
			return output(cmd, info, func(w io.Writer) error {
				_, err := fmt.Fprintf(w, "%s: %d training and %d test images of %dx%dx%d, %d classes\n",
					info.Name, info.Train, info.Test, height, width, channels, len(info.Classes))
				return err
			})
		},
	}
}
