package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/sweep"
	"github.com/sslkit/lab/widgets"
)

// gapFiles are where the result is written beside standard output.
type gapFiles struct{ md, csv, svg, blocks string }

func (c *cli) taskGap() *cobra.Command {
	var f configFlags
	var files gapFiles
	var seeds []int64
	o := sweep.GapOptions()
	cmd := &cobra.Command{
		Use:   "taskgap",
		Short: "Compare four choices of angles, and what is left of the gap between them",
		Long: `taskgap repeats Table 2 of Gidaris et al. (2018): which rotations should a network tell apart so
that it learns most? Four sets of angles and two baselines (random init, supervised) are trained with
each of the seeds, and every block is probed. Beside the paper's CIFAR-10 figures stands a sentence on
what differs here and whether the gap is larger than the spread over seeds.

Each run is kept: an interrupted experiment goes on where it was, and one more seed costs one more seed.`,
		Example: `  sslkit taskgap --preset smoke
  sslkit taskgap --preset class --data photos --seeds 1,2,3 --svg gap.svg --md gap.md
  sslkit taskgap --preset class --json >gap.json
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
			if name := config.Method.Name(); name != "rotation" {
				return usagef("the Task Gap is about rotation, and %s holds %s", f.file, name)
			}
			if !cmd.Flags().Changed("seeds") && f.file == "" {
				seeds = sweep.Seeds(f.preset)
			}
			if len(seeds) == 0 {
				return usagef("--seeds: give at least one, and three to see a spread")
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			return c.compute(func(ctx context.Context, store *sweep.Store) error {
				gap, err := store.TaskGap(ctx, config, o, seeds...)
				if err != nil {
					return err
				}
				if err := files.write(gap); err != nil {
					return err
				}
				return c.print(gap, func() error { return c.printGap(gap, files) })
			})
		},
	}
	f.add(cmd, false)
	flags := cmd.Flags()
	flags.Int64SliceVar(&seeds, "seeds", []int64{1, 2, 3}, "seeds to repeat every run with; with --preset smoke only 1, unless given")
	probeFlags(flags, &o)
	flags.StringVar(&files.md, "md", "", "write the tables as Markdown to `FILE`")
	flags.StringVar(&files.csv, "csv", "", "write all figures, one a line, to `FILE`")
	flags.StringVar(&files.svg, "svg", "", "draw the gap beside the paper's to `FILE` (.svg or .png)")
	flags.StringVar(&files.blocks, "blocks", "", "draw the linear probe of each block to `FILE` (default with --svg NAME.svg: NAME-blocks.svg)")
	c.storeFlags(cmd)
	flags.SortFlags = false
	return cmd
}

// check says what will keep a file from being written, and completes the names.
func (f *gapFiles) check() error {
	if ext := filepath.Ext(f.svg); f.svg != "" && f.blocks == "" {
		f.blocks = strings.TrimSuffix(f.svg, ext) + "-blocks" + ext
	}
	for _, file := range []struct {
		path    string
		endings []string // none: any
	}{{f.md, nil}, {f.csv, nil}, {f.svg, []string{".svg", ".png"}}, {f.blocks, []string{".svg", ".png"}}} {
		if file.path == "" {
			continue
		}
		if file.endings != nil && !slices.Contains(file.endings, filepath.Ext(file.path)) {
			return usagef("%s: give it a name that ends with %s", file.path, strings.Join(file.endings, " or "))
		}
		if info, err := os.Stat(filepath.Dir(file.path)); err != nil || !info.IsDir() {
			return usagef("there is no folder for %s", file.path)
		}
	}
	return nil
}

func (f *gapFiles) write(gap *sweep.TaskGap) error {
	for _, file := range []struct {
		path  string
		write func(*sweep.TaskGap, string) error
	}{{f.md, saveMarkdown}, {f.csv, saveCSV}, {f.svg, saveGap}, {f.blocks, saveBlocks}} {
		if file.path == "" {
			continue
		}
		if err := file.write(gap, file.path); err != nil {
			return err
		}
	}
	return nil
}

func (c *cli) printGap(gap *sweep.TaskGap, files gapFiles) error {
	if err := c.printComparison(&gap.Comparison); err != nil {
		return err
	}
	if err := c.printf("\n%s\n\n%s\n", gap.Finding, gap.Caption()); err != nil {
		return err
	}
	for _, path := range []string{files.md, files.csv, files.svg, files.blocks} {
		if path == "" {
			continue
		}
		if err := c.printf("written: %s\n", path); err != nil {
			return err
		}
	}
	return nil
}

// printComparison writes two tables: by the probes, and by k-NN.
func (c *cli) printComparison(of *sweep.Comparison) error {
	for i, t := range tables(of) {
		text, err := t.Text()
		if err != nil {
			return err
		}
		if i > 0 {
			text = "\n" + text
		}
		if err := c.printf("%s", text); err != nil {
			return err
		}
	}
	return nil
}

// tables are the accuracies of a comparison: by the probes, and by k-NN.
func tables(of *sweep.Comparison) []widgets.Table {
	head, rows := of.Table()
	neighbours := widgets.Table{Head: []string{"encoder"}}
	for i := range of.Rows[0].KNN {
		neighbours.Head = append(neighbours.Head, fmt.Sprintf("k-NN, block %d", i+1))
	}
	for _, r := range of.Rows {
		row := []string{r.Name}
		for _, s := range r.KNN {
			cell, _, _ := strings.Cut(s.String(), " (n=")
			row = append(row, cell)
		}
		neighbours.Rows = append(neighbours.Rows, row)
	}
	return []widgets.Table{{Head: head, Rows: rows}, neighbours}
}

func saveMarkdown(gap *sweep.TaskGap, path string) error {
	var text strings.Builder
	for _, t := range tables(&gap.Comparison) {
		table, err := t.Markdown()
		if err != nil {
			return err
		}
		text.WriteString(table + "\n")
	}
	fmt.Fprintf(&text, "%s\n\n%s\n", gap.Finding, gap.Caption())
	return renameio.WriteFile(path, []byte(text.String()), 0o644)
}

// saveCSV writes one line for each figure, for other programs.
func saveCSV(gap *sweep.TaskGap, path string) error {
	lines := [][]string{{"encoder", "measure", "block", "mean", "std", "seeds"}}
	add := func(encoder, measure string, block int, s *eval.Spread) {
		if s == nil || s.N == 0 {
			return
		}
		number := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
		at := ""
		if block > 0 {
			at = strconv.Itoa(block)
		}
		lines = append(lines, []string{encoder, measure, at, number(s.Mean), number(s.Std), strconv.Itoa(s.N)})
	}
	for _, r := range gap.Rows {
		for i := range r.KNN {
			add(r.Name, "knn", i+1, &r.KNN[i])
			add(r.Name, "linear", i+1, &r.Linear[i])
		}
		add(r.Name, "nonlinear", sweep.ProbedBlock, &r.NonLinear)
		add(r.Name, "pretext", 0, r.Pretext)
		add(r.Name, "end to end", 0, r.EndToEnd)
		if r.Paper > 0 {
			add(r.Name, "paper", sweep.ProbedBlock, &eval.Spread{Mean: r.Paper, N: 1})
		}
	}
	var text bytes.Buffer
	if err := csv.NewWriter(&text).WriteAll(lines); err != nil {
		return err
	}
	return renameio.WriteFile(path, text.Bytes(), 0o644)
}

func saveGap(gap *sweep.TaskGap, path string) error {
	figure, err := show.Gap(gap)
	if err != nil {
		return err
	}
	return figure.Save(path)
}

func saveBlocks(gap *sweep.TaskGap, path string) error {
	figure, err := show.Blocks(&gap.Comparison)
	if err != nil {
		return err
	}
	return figure.Save(path)
}
