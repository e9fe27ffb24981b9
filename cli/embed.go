package cli

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/csv"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func (c *cli) embed() *cobra.Command {
	var of encoderFlags
	var split, out string
	var stage int
	cmd := &cobra.Command{
		Use:   "embed [KEY]",
		Short: "Write the features of images to a file",
		Long: `embed writes what an encoder makes of each image of a dataset: the average over positions of its last feature map, a
row an image, in the order of the data. KEY is the beginning of a run's key; --init takes an encoder out of a file instead.

Files that end with .npy are for NumPy, [images, features] in float32; beside features.npy stands
features-labels.csv with split, index, label and, of images in files, the path of each row. A .csv has these and the features, and
so has a .parquet, for pandas, DuckDB and others, with the features as a list in one column.`,
		Example: `  sslkit embed 41f0 --out features.npy
  sslkit embed 41f0 --data folder:birds --split all --out birds.csv
  sslkit embed 41f0 --split all --out features.parquet
  sslkit embed --init resnet18/model.safetensors --data photos --out photos.npy`,
		Args:              count(0, 1, "the key of a run, or --init"),
		ValidArgsFunction: c.completeKeys(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if out == "" {
				return usagef("--out is missing: name a file that ends with .npy, .csv or .parquet")
			}
			if err := writable(out, ".npy", ".csv", ".parquet"); err != nil {
				return err
			}
			if split != "train" && split != "test" && split != "all" {
				return usagef("--split %s: choose train, test or all", split)
			}
			if stage < 0 {
				return usagef("--block %d: blocks count from 1", stage)
			}
			config, err := of.config(c, args)
			if err != nil {
				return err
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				j, err := store.Trained(ctx, config)
				if err != nil {
					return err
				}
				train, test := j.Train, j.Test
				if of.data != "" && len(args) > 0 {
					side, _, _ := j.Train.Shape()
					if train, test, err = data.OpenContext(ctx, of.data, data.OpenOptions{Size: side, PerPhoto: j.Data.PerPhoto, Frames: j.Data.Frames}); err != nil {
						return err
					}
				}
				var parts []part
				if split != "test" {
					parts = append(parts, part{"train", train})
				}
				if split != "train" {
					parts = append(parts, part{"test", test})
				}
				rows, columns, err := c.writeFeatures(ctx, store, j, parts, stage, out)
				if err != nil {
					return err
				}
				result := struct {
					Key     string `json:"key"`
					Rows    int    `json:"rows"`
					Columns int    `json:"columns"`
					File    string `json:"file"`
				}{j.Key, rows, columns, out}
				return c.print(result, func() error {
					if err := c.printf("%d rows of %d features\n", rows, columns); err != nil {
						return err
					}
					return c.printWritten(out, labelsBeside(out))
				})
			})
		},
	}
	of.add(cmd)
	cmd.Flags().StringVar(&split, "split", "test", "train, test or all")
	cmd.Flags().IntVar(&stage, "block", 0, "of the encoder, counted from 1 (default the last)")
	cmd.Flags().StringVar(&out, "out", "", "write to `FILE` (.npy, .csv or .parquet)")
	c.storeFlags(cmd)
	cmd.Flags().SortFlags = false
	return cmd
}

// encoderFlags name an encoder: a run's, or out of a file.
type encoderFlags struct {
	configFlags
	cmd *cobra.Command
}

func (e *encoderFlags) add(cmd *cobra.Command) {
	e.cmd = cmd
	s := cmd.Flags()
	s.StringVar(&e.data, "data", "", "dataset `NAME` to encode, see 'sslkit data' (default the run's)")
	s.StringVar(&e.init, "init", "", "an encoder out of a `FILE` of safetensors, in place of a run's, see 'sslkit evaluate --help'")
	s.StringVar(&e.initPixels, "init-pixels", "", "how images of that encoder are normalised, where no config.json beside it says so: imagenet or half")
	s.IntVar(&e.initHeads, "init-heads", 0, "heads of its attention, where neither config.json nor a usual width says so")
	s.StringArrayVar(&e.set, "set", nil, "`FIELD=VALUE`: change a field of the data with --init, such as data.size=224")
	e.flags, e.asItIs, e.preset = s, true, sslkit.Smoke
	e.note = func(text string) { fmt.Fprintln(cmd.ErrOrStderr(), widgets.Printable(text)) }
	complete(cmd, "data", completeData)
}

// config is the run's, or that of an encoder as it is.
func (e *encoderFlags) config(c *cli, args []string) (sslkit.Config, error) {
	switch {
	case len(args) == 0 && e.init == "":
		return sslkit.Config{}, usagef("'%s' takes the key of a run, or --init FILE", e.cmd.CommandPath())
	case len(args) > 0 && (e.init != "" || len(e.set) > 0):
		return sslkit.Config{}, usagef("the key %s names a run, whose encoder is as it is: leave --init and --set out", args[0])
	case len(args) > 0:
		return c.chosen(&e.configFlags, args)
	case e.data == "":
		return sslkit.Config{}, usagef("--data is missing: an encoder out of a file has none of its own")
	}
	config, err := e.configFlags.config()
	if err == nil && !strings.Contains(strings.Join(e.set, " "), "train") { // all of the data
		config.Data.Train, config.Data.Test = 0, 0
	}
	return config, err
}

// part is a split with its name.
type part struct {
	name string
	src  data.Source
}

// labelsBeside is where the labels of a file of features stand, "" of one that has them.
func labelsBeside(out string) string {
	if ext := filepath.Ext(out); ext != ".npy" {
		return ""
	}
	return strings.TrimSuffix(out, ".npy") + "-labels.csv"
}

// example is an image with its features.
type example struct {
	split    string
	index    int
	label    string // "" where it has none
	path     string // "" of an image that is in no file of its own
	features []float32
}

// features is a file that they are written to, one after the other.
type features interface {
	add(x example) error
	finish() error // there is no file before
	Cleanup() error
}

// newFeatures begins a file of so many rows, by the ending of its name.
func newFeatures(out string, rows int) (features, error) {
	file, err := renameio.NewPendingFile(out, renameio.WithPermissions(0o644))
	if err != nil {
		return nil, err
	}
	switch filepath.Ext(out) {
	case ".csv":
		return &csvFeatures{PendingFile: file, lines: csv.NewWriter(file), with: true}, nil
	case ".parquet":
		return newParquet(file), nil
	}
	labels, err := renameio.NewPendingFile(labelsBeside(out), renameio.WithPermissions(0o644))
	if err != nil {
		return nil, errors.Join(err, file.Cleanup())
	}
	return &npyFeatures{PendingFile: file, w: bufio.NewWriterSize(file, 1<<20), all: rows, labels: &csvFeatures{PendingFile: labels, lines: csv.NewWriter(labels)}}, nil
}

// writeFeatures writes rows as they come; the file is there when all are.
func (c *cli) writeFeatures(ctx context.Context, store *runs.Store, j *runs.Job, parts []part, stage int, out string) (rows, columns int, err error) {
	all := 0
	for _, p := range parts {
		all += p.src.Len()
	}
	to, err := newFeatures(out, all)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = to.Cleanup() }() // of nothing, once it is in its place
	for _, p := range parts {
		err := study.Embed(ctx, store, j, p.src, stage, func(i int, row []float32) error {
			rows, columns = rows+1, len(row)
			for _, v := range row {
				if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
					return fmt.Errorf("feature of image %d of the %s split is %g: the encoder has diverged", i, p.name, v)
				}
			}
			x := example{split: p.name, index: i, path: data.File(p.src, i), features: row}
			if l := p.src.Label(i); l >= 0 {
				x.label = p.src.Classes()[l]
			}
			return to.add(x)
		})
		if err != nil {
			return 0, 0, err
		}
	}
	if rows != all {
		return 0, 0, fmt.Errorf("%d rows of %d images", rows, all)
	}
	return rows, columns, to.finish()
}

// csvFeatures is a table with or without the features themselves.
type csvFeatures struct {
	*renameio.PendingFile
	lines *csv.Writer
	with  bool
	begun bool
}

func (f *csvFeatures) add(x example) error {
	row := x.features
	if !f.with {
		row = nil
	}
	if !f.begun {
		f.begun = true
		head := []string{"split", "index", "label", "path"}
		for k := range row {
			head = append(head, fmt.Sprint("f", k+1))
		}
		if err := f.lines.Write(head); err != nil {
			return err
		}
	}
	line := []string{x.split, strconv.Itoa(x.index), plainCell(x.label), plainCell(x.path)}
	for _, v := range row {
		line = append(line, strconv.FormatFloat(float64(v), 'g', -1, 32))
	}
	return f.lines.Write(line)
}

func (f *csvFeatures) finish() error {
	f.lines.Flush()
	if err := f.lines.Error(); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}

// npyFeatures is an array, with a table of labels beside it.
type npyFeatures struct {
	*renameio.PendingFile
	w      *bufio.Writer
	all    int
	labels *csvFeatures
}

func (f *npyFeatures) add(x example) error {
	if !f.labels.begun {
		if _, err := f.w.Write(npyHeader(f.all, len(x.features))); err != nil {
			return err
		}
	}
	if err := binary.Write(f.w, binary.LittleEndian, x.features); err != nil {
		return err
	}
	return f.labels.add(x)
}

func (f *npyFeatures) finish() error {
	return errors.Join(f.w.Flush(), f.CloseAtomicallyReplace(), f.labels.finish())
}

func (f *npyFeatures) Cleanup() error {
	return errors.Join(f.PendingFile.Cleanup(), f.labels.Cleanup())
}

// npyHeader begins a file of NumPy's format 1.0, of float32 in the order of rows.
func npyHeader(rows, columns int) []byte {
	text := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%d, %d), }", rows, columns)
	const before = 10                                            // magic, version, length
	text += strings.Repeat(" ", 63-(before+len(text))%64) + "\n" // values begin at a multiple of 64
	return append(binary.LittleEndian.AppendUint16([]byte("\x93NUMPY\x01\x00"), uint16(len(text))), text...)
}

func (c *cli) neighbours() *cobra.Command {
	var out string
	var n int
	cmd := &cobra.Command{
		Use:   "neighbours KEY IMAGE",
		Short: "Draw the training images that an encoder puts nearest to an image",
		Long: `neighbours looks for the training images whose features have the largest cosine with those of an image: a file, whose
middle square is taken, or test:N, the N-th test image of the run's data, counted from 0.`,
		Example: `  sslkit neighbours 41f0 test:3 --out near.svg
  sslkit neighbours 41f0 bird.jpg --k 12 --out near.png --json`,
		Args:              count(2, 2, "the key of a run and an image"),
		ValidArgsFunction: c.completeKeys(1),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := writable(out, ".svg", ".png"); err != nil {
				return err
			}
			if out == "" && !c.json {
				return usagef("say where to draw: --out FILE, which ends with .svg or .png, or --json for the numbers")
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				j, err := trainedRun(ctx, store, args[0])
				if err != nil {
					return err
				}
				pixels, err := pictured(j, args[1])
				if err != nil {
					return err
				}
				found, err := study.FindNeighbours(ctx, store, j, pixels, n)
				if err != nil {
					return err
				}
				if err := saveFigure(func() (*widgets.Figure, error) { return show.Nearest(found, pixels) }, out); err != nil {
					return err
				}
				return c.print(found, func() error {
					var rows [][]string
					for _, f := range found.Found {
						rows = append(rows, []string{strconv.Itoa(f.Index), f.Class, strconv.FormatFloat(f.Cosine, 'f', 3, 64), f.File})
					}
					if err := c.printTable([]string{"training image", "class", "cosine", "file"}, rows); err != nil {
						return err
					}
					return c.printWritten(out)
				})
			})
		},
	}
	cmd.Flags().IntVar(&n, "k", 8, "how many")
	cmd.Flags().StringVar(&out, "out", "", "draw to `FILE` (.svg or .png)")
	c.storeFlags(cmd)
	return cmd
}

// pictured is a test image of a run's data, or that of a file.
func pictured(j *runs.Job, name string) ([]uint8, error) {
	h, w, channels := j.Train.Shape()
	if text, ok := strings.CutPrefix(name, "test:"); ok {
		i, err := strconv.Atoi(text)
		if err != nil || i < 0 || i >= j.Test.Len() {
			return nil, usagef("%s: there are test:0 to test:%d", name, j.Test.Len()-1)
		}
		pixels := make([]uint8, h*w*channels)
		return pixels, j.Test.Read(i, pixels)
	}
	if h != w || h == 0 {
		return nil, usagef("%s has no square images, that one of a file could stand beside: choose test:N", j.Data.Name)
	}
	if _, err := os.Stat(name); err != nil {
		return nil, err
	}
	return data.Image(name, h, channels)
}
