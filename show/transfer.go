package show

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/sslkit/lab/sslkit/sweep"
	"github.com/sslkit/lab/widgets"
)

// Transfer draws a table's rows in their order, a dot for each of the columns, which are accuracies. Without names these are
// k-NN, the linear probe with all labels and with the first number of few, and fine-tuning, as far as they were measured.
func Transfer(t *sweep.Transfer, columns ...string) (*widgets.Figure, error) {
	if len(columns) == 0 {
		columns = usual(t)
	}
	over := fmt.Sprintf("mean and standard deviation over %d seeds", len(t.Seeds))
	if len(t.Seeds) == 1 {
		over = "one seed"
	}
	b := widgets.Bars{YLabel: "accuracy, %", Dots: true, Note: fmt.Sprintf("%s; %s", t.Data.Name, over)}
	for _, r := range t.Rows {
		b.Groups = append(b.Groups, r.Name)
	}
	for _, name := range columns {
		c, err := t.Column(name)
		if err != nil {
			return nil, err
		}
		if c.Unit != "%" {
			return nil, fmt.Errorf("show: %s is no accuracy", c.Name)
		}
		s := widgets.Series{Name: c.Name}
		for _, r := range t.Rows {
			v, measured := r.Values[c.Name]
			if !measured {
				v.Mean = math.NaN()
			}
			s.Y, s.Err = append(s.Y, 100*v.Mean), append(s.Err, 100*v.Std)
		}
		b.Series = append(b.Series, s)
	}
	return b.Figure()
}

func usual(t *sweep.Transfer) (columns []string) {
	few := false
	for _, c := range t.Columns {
		first := strings.HasPrefix(c.Name, "linear ") && !few
		few = few || first
		if first || slices.Contains([]string{"k-NN", "linear", "fine-tuned"}, c.Name) {
			columns = append(columns, c.Name)
		}
	}
	return columns
}
