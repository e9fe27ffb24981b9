package study

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// Results are all encoders of the lecture's claims that are trained and measured, in a table for each kind of data.
type Results []*ResultTable

// ResultTable is encoders of the same data by what they are good for, the best by k-NN first.
type ResultTable struct {
	Data    sslkit.Data `json:"data"`
	Rows    []ResultRow `json:"rows"`
	Origins Origins     `json:"origins,omitempty"`
}

// ResultRow is one encoder over its seeds; see [eval.Defaults] for how the last block is probed.
type ResultRow struct {
	Name    string      `json:"name"`
	Network string      `json:"network"`
	Epochs  int         `json:"epochs"`
	Seeds   []int64     `json:"seeds"`
	KNN     eval.Spread `json:"knn"`
	Linear  eval.Spread `json:"linear"` // with all labels
	Few     eval.Spread `json:"few"`    // with ten of each class
}

// AllResults reads what was measured of the arms of [Lecture] with their claims' seeds. Nothing is trained nor measured.
func AllResults(ctx context.Context, s *runs.Store) (Results, error) {
	claims, err := Lecture()
	if err != nil {
		return nil, err
	}
	var all Results
	seen := make(map[string]bool)
	for _, c := range claims {
		for _, arm := range c.Arms {
			if key := arm.Config.Key(); !seen[key] {
				seen[key] = true
				if err := all.add(ctx, s, arm, c.seeds()); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, t := range all {
		slices.SortStableFunc(t.Rows, func(a, b ResultRow) int { return cmp.Compare(b.KNN.Mean, a.KNN.Mean) })
	}
	return all, nil
}

// add adds an encoder, if all of its seeds are there.
func (all *Results) add(ctx context.Context, s *runs.Store, arm Variant, seeds []int64) error {
	row := ResultRow{Name: sslkit.TitleOf(arm.Config.Method), Network: network(*sslkit.Backbone(arm.Config.Method)), Epochs: arm.Config.Epochs, Seeds: seeds}
	if row.Name != arm.Name && arm.Name != untrained {
		row.Name += ", " + arm.Name
	}
	var knn, linear, ten []float64
	origins, usual := make(Origins), sslkit.Hash(measured())
	for _, seed := range seeds {
		arm.Config.Seed = seed
		r, err := s.Find(ctx, arm.Config)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !r.Done {
			return nil
		}
		if err != nil {
			return err
		}
		scores, err := s.Scores(r.Key)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(scores, func(s *runs.Scores) bool { return sslkit.Hash(s.Options) == usual })
		if i < 0 {
			return nil
		}
		knn, linear = append(knn, scores[i].Last().KNN), append(linear, scores[i].Last().Linear)
		ten = append(ten, scores[i].Few[slices.Index(fewEach, 10)].Test.Mean)
		origins.add(r)
	}
	row.KNN, row.Linear, row.Few = eval.Summarize(knn), eval.Summarize(linear), eval.Summarize(ten)
	i := slices.IndexFunc(*all, func(t *ResultTable) bool { return t.Data == arm.Config.Data })
	if i < 0 {
		i = len(*all)
		*all = append(*all, &ResultTable{Data: arm.Config.Data, Origins: make(Origins)})
	}
	t := (*all)[i]
	t.Rows = append(t.Rows, row)
	for from, n := range origins {
		t.Origins[from] += n
	}
	return nil
}

// Table has a row for each encoder.
func (t *ResultTable) Table() (head []string, rows [][]string) {
	for _, r := range t.Rows {
		epochs := ""
		if r.Epochs > 0 {
			epochs = fmt.Sprint(r.Epochs)
		}
		rows = append(rows, []string{r.Name, r.Network, epochs, percent(&r.KNN), percent(&r.Linear), percent(&r.Few), fmt.Sprint(len(r.Seeds))})
	}
	return []string{"encoder", "network", "epochs", "k-NN", "linear", "linear, 10 labels each", "seeds"}, rows
}

// Caption says what the numbers are.
func (t *ResultTable) Caption() string {
	size := ""
	if t.Data.Train > 0 {
		size = fmt.Sprintf(", %d training and %d test examples", t.Data.Train, t.Data.Test)
	}
	return strings.TrimSpace(fmt.Sprintf("%s%s: test accuracy in %%, mean ± standard deviation over training seeds, last block. %v.%s", t.Data.Name, size, measured(), t.Origins))
}
