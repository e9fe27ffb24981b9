package cli

import (
	"bytes"
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/google/renameio/v2"
	"github.com/spf13/pflag"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// resultFiles are where a comparison is written beside standard output.
type resultFiles struct{ md, csv, svg, blocks string }

func (f *resultFiles) flags(flags *pflag.FlagSet, figure string) {
	flags.StringVar(&f.md, "md", "", "write the tables as Markdown to `FILE`")
	flags.StringVar(&f.csv, "csv", "", "write all figures, one a line, to `FILE`")
	flags.StringVar(&f.svg, "svg", "", "draw "+figure+" to `FILE` (.svg or .png)")
	flags.StringVar(&f.blocks, "blocks", "", "draw the linear probe of each block to `FILE` (default with --svg NAME.svg: NAME-blocks.svg)")
}

// check says what will keep a file from being written, and completes the names.
func (f *resultFiles) check() error {
	if ext := filepath.Ext(f.svg); f.svg != "" && f.blocks == "" {
		f.blocks = strings.TrimSuffix(f.svg, ext) + "-blocks" + ext
	}
	for _, file := range []struct {
		path    string
		endings []string // none: any
	}{{f.md, nil}, {f.csv, nil}, {f.svg, []string{".svg", ".png"}}, {f.blocks, []string{".svg", ".png"}}} {
		if err := writable(file.path, file.endings...); err != nil {
			return err
		}
	}
	return nil
}

// writable says what will keep a file from being written, which may be none; without endings it may have any.
func writable(path string, endings ...string) error {
	if path == "" {
		return nil
	}
	if endings != nil && !slices.Contains(endings, filepath.Ext(path)) {
		return usagef("%s: give it a name that ends with %s", path, strings.Join(endings, " or "))
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return usagef("there is no folder for %s", path)
	}
	return nil
}

// write saves what was measured: tables, and two figures, of which the first is main.
func (f *resultFiles) write(result *study.Comparison, finding string, main func() (*widgets.Figure, error)) error {
	blocks := func() (*widgets.Figure, error) { return show.Blocks(result) }
	for _, file := range []struct {
		path  string
		write func(path string) error
	}{
		{f.md, func(path string) error { return saveMarkdown(result, finding, path) }},
		{f.csv, func(path string) error { return saveCSV(result, path) }},
		{f.svg, func(path string) error { return saveFigure(main, path) }},
		{f.blocks, func(path string) error { return saveFigure(blocks, path) }},
	} {
		if file.path == "" {
			continue
		}
		if err := file.write(file.path); err != nil {
			return err
		}
	}
	return nil
}

// printResult writes the tables, what they show in words, and where files were written.
func (c *cli) printResult(result *study.Comparison, finding string, files resultFiles) error {
	if err := c.printComparison(result); err != nil {
		return err
	}
	for _, text := range []string{finding, result.Caption()} {
		if text == "" {
			continue
		}
		if err := c.printf("\n%s\n", text); err != nil {
			return err
		}
	}
	return c.printWritten(files.md, files.csv, files.svg, files.blocks)
}

// printWritten says where files were written; "" was not.
func (c *cli) printWritten(files ...string) error {
	for _, path := range files {
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
func (c *cli) printComparison(of *study.Comparison) error {
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
func tables(of *study.Comparison) []widgets.Table {
	head, rows := of.Table()
	names, accuracies := of.Neighbours()
	return []widgets.Table{{Head: head, Rows: rows}, {Head: names, Rows: accuracies}}
}

func saveMarkdown(result *study.Comparison, finding, path string) error {
	var text strings.Builder
	for _, t := range tables(result) {
		table, err := t.Markdown()
		if err != nil {
			return err
		}
		text.WriteString(table + "\n")
	}
	if finding != "" {
		text.WriteString(widgets.EscapeMarkdown(finding) + "\n\n")
	}
	text.WriteString(widgets.EscapeMarkdown(result.Caption()) + "\n")
	return renameio.WriteFile(path, []byte(text.String()), 0o644)
}

// saveCSV writes one line for each figure, for other programs.
func saveCSV(result *study.Comparison, path string) error {
	lines := [][]string{{"encoder", "measure", "block", "mean", "std", "seeds", "by_class", "test_error"}}
	add := func(encoder, measure string, block int, s *eval.Spread) {
		if s == nil || s.N == 0 {
			return
		}
		at := ""
		if block > 0 {
			at = strconv.Itoa(block)
		}
		lines = append(lines, []string{encoder, measure, at, number(s.Mean), number(s.Std), strconv.Itoa(s.N), known(s.Balanced), known(s.Error)})
	}
	for _, r := range result.Rows {
		for i := range r.KNN {
			add(r.Name, "knn", i+1, &r.KNN[i])
			add(r.Name, "linear", i+1, &r.Linear[i])
		}
		if p := result.Options.NonLinear; p != nil {
			add(r.Name, "nonlinear", p.Stage, &r.NonLinear)
		}
		add(r.Name, "pretext", 0, r.Pretext)
		add(r.Name, "end to end", 0, r.EndToEnd)
		if r.Paper > 0 {
			add(r.Name, "paper", study.ProbedBlock, &eval.Spread{Mean: r.Paper, N: 1})
		}
	}
	lines = append(lines, []string{"commonest class", "accuracy", "", number(result.Commonest), "", "", "", ""})
	return writeCSV(path, lines)
}

// writeCSV writes the lines to a file. What begins like a formula, which a spreadsheet would compute, becomes text by an
// apostrophe, and stays a number where it is one.
func writeCSV(path string, lines [][]string) error {
	for _, line := range lines {
		for i, cell := range line {
			line[i] = plainCell(cell)
		}
	}
	var text bytes.Buffer
	if err := csv.NewWriter(&text).WriteAll(lines); err != nil {
		return err
	}
	return renameio.WriteFile(path, text.Bytes(), 0o644)
}

// plainCell is a cell that no spreadsheet computes.
func plainCell(cell string) string {
	cell = widgets.Printable(cell)
	if _, err := strconv.ParseFloat(cell, 64); err != nil && cell != "" && strings.ContainsRune("=+-@\t\n", rune(cell[0])) {
		cell = "'" + cell
	}
	return cell
}

// captioned is a table for people.
type captioned interface {
	Table() (head []string, rows [][]string)
	Caption() string
}

// printCaptioned writes the table, what its numbers are, and where files were written.
func (c *cli) printCaptioned(t captioned, files ...string) error {
	if err := c.printTable(t.Table()); err != nil {
		return err
	}
	if err := c.printf("\n%s\n", t.Caption()); err != nil {
		return err
	}
	return c.printWritten(files...)
}

// saveTable writes the table as Markdown, unless path is "".
func saveTable(t captioned, path string) error {
	if path == "" {
		return nil
	}
	head, rows := t.Table()
	text, err := widgets.Table{Head: head, Rows: rows}.Markdown()
	if err != nil {
		return err
	}
	return renameio.WriteFile(path, []byte(text+"\n"+widgets.EscapeMarkdown(t.Caption())+"\n"), 0o644)
}

// saveFigure draws to a file, unless path is "".
func saveFigure(draw func() (*widgets.Figure, error), path string) error {
	if path == "" {
		return nil
	}
	figure, err := draw()
	if err != nil {
		return err
	}
	return figure.Save(path)
}
