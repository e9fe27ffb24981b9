package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/sweep"
	"github.com/sslkit/lab/widgets"
)

func newTaskGap() *cobra.Command {
	var f configFlags
	var seeds []int64
	var svg, md, csv string
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
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			files := []struct {
				path, ext string
				write     func(*sweep.TaskGap, string) error
			}{{svg, ".svg", saveFigure}, {md, ".md", saveMarkdown}, {csv, ".csv", saveCSV}}
			for _, file := range files {
				if err := writable(file.path, file.ext); err != nil { // before the work, not after it
					return err
				}
			}
			c, err := f.config(cmd)
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("seeds") && f.preset == sweep.Smoke && f.file == "" {
				seeds = seeds[:1]
			}
			store, err := openStore(cmd)
			if err != nil {
				return err
			}
			gap, err := store.TaskGap(cmd.Context(), c, sweep.GapOptions(), seeds...)
			if err != nil {
				return err
			}
			for _, file := range files {
				if file.path == "" {
					continue
				}
				if err := file.write(gap, file.path); err != nil {
					return err
				}
			}
			return output(cmd, gap, func(w io.Writer) error { return printGap(w, gap) })
		},
	}
	f.add(cmd)
	cmd.Flags().Int64SliceVar(&seeds, "seeds", []int64{1, 2, 3}, "seeds to repeat every run with; the smoke preset has 1 only")
	cmd.Flags().StringVar(&svg, "svg", "", "also draw the result into this file")
	cmd.Flags().StringVar(&md, "md", "", "also write the tables as Markdown into this file")
	cmd.Flags().StringVar(&csv, "csv", "", "also write all figures into this file")
	return cmd
}

// writable says what will keep a file from being written; the empty path is none.
func writable(path, ext string) error {
	if path == "" {
		return nil
	}
	if filepath.Ext(path) != ext {
		return fmt.Errorf("%s: give it a name that ends with %s", path, ext)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil {
		return fmt.Errorf("there is no folder for %s: %w", path, err)
	} else if !info.IsDir() {
		return fmt.Errorf("%s: %s is not a folder", path, filepath.Dir(path))
	}
	return nil
}

func printGap(w io.Writer, gap *sweep.TaskGap) error {
	fmt.Fprint(w, gap.Finding, "\n\n")
	return printComparison(w, &gap.Comparison)
}

// tables are the accuracies of a comparison in two parts: by the probes, and by k-NN.
func tables(c *sweep.Comparison) []widgets.Table {
	head, rows := c.Table()
	neighbours := widgets.Table{Head: []string{"encoder"}}
	for i := range c.Rows[0].KNN {
		neighbours.Head = append(neighbours.Head, fmt.Sprintf("k-NN, block %d", i+1))
	}
	for _, r := range c.Rows {
		row := []string{r.Name}
		for _, s := range r.KNN {
			cell, _, _ := strings.Cut(s.String(), " (n=")
			row = append(row, cell)
		}
		neighbours.Rows = append(neighbours.Rows, row)
	}
	return []widgets.Table{{Head: head, Rows: rows}, neighbours}
}

// note says what the figures of the tables are.
func note(c *sweep.Comparison) string {
	return fmt.Sprintf("Test accuracies in %%, mean ± sample standard deviation over the seeds %s; %s. Pretext task: training images as augmented, mean of the last epoch.",
		strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Seeds), " ", ", "), "[]"), c.Options)
}

func printComparison(w io.Writer, c *sweep.Comparison) error {
	for _, t := range tables(c) {
		text, err := t.Text()
		if err != nil {
			return err
		}
		fmt.Fprintln(w, text)
	}
	_, err := fmt.Fprintln(w, note(c))
	return err
}

func saveMarkdown(gap *sweep.TaskGap, path string) error {
	text := gap.Finding + "\n\n"
	for _, t := range tables(&gap.Comparison) {
		table, err := t.Markdown()
		if err != nil {
			return err
		}
		text += table + "\n"
	}
	return os.WriteFile(path, []byte(text+note(&gap.Comparison)+"\n"), 0o644)
}

// saveCSV writes one line for each figure, for other programs.
func saveCSV(gap *sweep.TaskGap, path string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	w := csv.NewWriter(file)
	add := func(encoder, measure, block string, s eval.Spread) {
		number := func(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
		w.Write([]string{encoder, measure, block, number(s.Mean), number(s.Std), strconv.Itoa(s.N)}) // its error stays for Flush
	}
	w.Write([]string{"encoder", "measure", "block", "mean", "std", "seeds"})
	for _, r := range gap.Rows {
		for i := range r.KNN {
			block := strconv.Itoa(i + 1)
			add(r.Name, "knn", block, r.KNN[i])
			add(r.Name, "linear", block, r.Linear[i])
		}
		if r.NonLinear.N > 0 {
			add(r.Name, "nonlinear", strconv.Itoa(sweep.ProbedBlock), r.NonLinear)
		}
		if r.Pretext != nil {
			add(r.Name, "pretext", "", *r.Pretext)
		}
		if r.EndToEnd != nil {
			add(r.Name, "end to end", "", *r.EndToEnd)
		}
		if r.Paper > 0 {
			add(r.Name, "paper, nonlinear", strconv.Itoa(sweep.ProbedBlock), eval.Spread{Mean: r.Paper, N: 1})
		}
	}
	w.Flush()
	return w.Error()
}

func saveFigure(gap *sweep.TaskGap, path string) error {
	figure, err := show.Gap(gap)
	if err != nil {
		return err
	}
	return figure.Save(path)
}
