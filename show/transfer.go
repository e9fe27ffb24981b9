package show

import (
	"fmt"
	"math"
	"slices"

	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// Table is what a study measured as a table in Markdown, and what its numbers are.
func Table(t interface {
	Table() (head []string, rows [][]string)
	Caption() string
}) (string, error) {
	head, rows := t.Table()
	table, err := widgets.Table{Head: head, Rows: rows}.Markdown()
	return table + "\n\n" + widgets.EscapeMarkdown(t.Caption()), err
}

// Transfer draws a table's rows in their order, and of its columns the given ones, which are accuracies, or all of these that
// were measured: mean and standard deviation over the seeds.
func Transfer(t *study.TransferTable, columns ...string) (*widgets.Figure, error) {
	h := widgets.Heatmap{Decimals: 1, Note: fmt.Sprintf("%s; test accuracy in %%, mean ± deviation over %s%s", t.Data.Name, counted(t.Seeds), testSet(t.Tally)),
		Values: make([][]float64, len(t.Rows)), Spread: make([][]float64, len(t.Rows))}
	if len(t.Seeds) == 1 {
		h.Note = t.Data.Name + "; test accuracy in %, one seed" + testSet(t.Tally)
	}
	all := len(columns) == 0
	for _, c := range t.Columns {
		if all && c.Unit == "%" {
			columns = append(columns, c.Name)
		}
	}
	for _, r := range t.Rows {
		h.Rows = append(h.Rows, r.Name)
	}
	for _, name := range columns {
		c, err := t.Column(name)
		if err != nil {
			return nil, err
		}
		if c.Unit != "%" {
			return nil, fmt.Errorf("show: %s is no accuracy", c.Name)
		}
		measured := func(r study.TransferRow) bool { return r.Values[c.Name].N > 0 }
		if all && !slices.ContainsFunc(t.Rows, measured) {
			continue
		}
		h.Cols = append(h.Cols, c.Name)
		for i, r := range t.Rows {
			mean, spread := math.NaN(), math.NaN()
			if v := r.Values[c.Name]; v.N > 0 {
				mean = 100 * v.Mean
				if v.N > 1 {
					spread = 100 * v.Std
				}
			}
			h.Values[i], h.Spread[i] = append(h.Values[i], mean), append(h.Spread[i], spread)
		}
	}
	return h.Figure()
}
