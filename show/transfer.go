package show

import (
	"fmt"
	"math"

	"github.com/sslkit/lab/sslkit/sweep"
	"github.com/sslkit/lab/widgets"
)

// Transfer draws a table's rows in their order, and of its columns the given ones, which are accuracies, or all of these that
// were measured. The spread over seeds is in the table.
func Transfer(t *sweep.Transfer, columns ...string) (*widgets.Figure, error) {
	h := widgets.Heatmap{Decimals: 1, Note: fmt.Sprintf("%s; test accuracy in %%, mean over %d seeds", t.Data.Name, len(t.Seeds)), Values: make([][]float64, len(t.Rows))}
	if len(t.Seeds) == 1 {
		h.Note = t.Data.Name + "; test accuracy in %, one seed"
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
		column, any := make([]float64, len(t.Rows)), false
		for i, r := range t.Rows {
			v, measured := r.Values[c.Name]
			if column[i] = 100 * v.Mean; !measured {
				column[i] = math.NaN()
			}
			any = any || measured
		}
		if all && !any {
			continue
		}
		h.Cols = append(h.Cols, c.Name)
		for i, v := range column {
			h.Values[i] = append(h.Values[i], v)
		}
	}
	return h.Figure()
}
