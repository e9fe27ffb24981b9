package show

import (
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/study"
)

func TestTransfer(t *testing.T) {
	o := study.DefaultTransfer()
	table := &study.TransferTable{Data: sslkit.Data{Name: "toys"}, Options: o, Seeds: []int64{1, 2}, Columns: o.Columns()}
	names := append(study.ImageMethods(), "supervised", "random, norms fitted", "random init")
	for i, name := range names {
		row := study.TransferRow{Name: name, Backbone: nn.NIN(3, 6), Values: make(map[string]eval.Spread)}
		for k, c := range table.Columns {
			if c.Unit == "%" && !(c.Name == "fine-tuned" && name == "random, norms fitted") {
				row.Values[c.Name] = eval.Spread{Mean: 0.8 - 0.02*float64(i) - 0.03*float64(k*k%5), Std: 0.01, N: 2}
			}
		}
		table.Rows = append(table.Rows, row)
	}
	f, err := Transfer(table)
	says(t, f, err, "k-NN", "fine-tuned 10%", "linear 10 each", "random, norms fitted", "deepcluster", "80.0", "toys; test accuracy in %, mean ± deviation over 2 seeds")
	if strings.Contains(f.SVG(), "s/epoch") {
		t.Error("it draws what is no accuracy")
	}
	f, err = Transfer(table, "Linear 10%")
	says(t, f, err, "linear 10%", names[0])
	if strings.Contains(f.SVG(), "k-NN") {
		t.Error("it draws more than the columns that are named")
	}
	for column, want := range map[string]string{"s/epoch": "no accuracy", "linaer": `did you mean "linear"`} {
		if _, err := Transfer(table, column); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("column %s: error %v, want %q", column, err, want)
		}
	}
}
