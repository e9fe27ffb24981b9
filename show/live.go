package show

import (
	"fmt"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/widgets"
)

// Live draws what a run of c has come to, while it goes on: its loss, and of data with labels k-NN accuracy, and the deviation and the
// effective rank of the features, which fall where they collapse.
func Live(c sslkit.Config, h sslkit.History) (widgets.Dashboard, error) {
	r := &runs.Record{Config: c, History: h}
	of := []func() (*widgets.Figure, error){func() (*widgets.Figure, error) { return Losses(r) }}
	if len(h.Figures["knn_1"]) > 0 {
		of = append(of, func() (*widgets.Figure, error) { return Training(r) })
	}
	for _, f := range [][2]string{{"feature_std", "deviation of features"}, {"effective_rank", "effective rank of features"}} {
		if y, label := h.Figures[f[0]], f[1]; len(y) > 0 {
			of = append(of, widgets.Curves{XLabel: "epoch", YLabel: label, Note: fmt.Sprintf("%s, seed %d, last block", c.Data.Name, c.Seed),
				Series: []widgets.Series{{Name: label, Role: widgets.Blue, Y: y}}}.Figure)
		}
	}
	var d widgets.Dashboard
	for _, draw := range of {
		f, err := draw()
		if err != nil {
			return nil, err
		}
		d = append(d, f)
	}
	return d, nil
}
