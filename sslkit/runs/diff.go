package runs

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sslkit/lab/sslkit"
)

// Final is the last epoch of the record: "loss", what the method reports ("accuracy", on its own
// task) and what was measured beside it ("knn", "feature_std", "effective_rank").
func (r *Record) Final() map[string]float64 {
	final := make(map[string]float64)
	add := func(name string, curve []float64) {
		if n := len(curve); n > 0 {
			final[name] = curve[n-1]
		}
	}
	add("loss", r.History.Loss)
	for _, curves := range []map[string][]float64{r.History.Reports, r.History.Figures} {
		for name, curve := range curves {
			add(name, curve)
		}
	}
	return final
}

// Diff tells runs apart that are named by the beginnings of their keys: a head with the keys, and a
// row for each field of the configuration that is not the same in all of them, for each figure of
// [Record.Final], and for each accuracy that all of them were evaluated to with the same options. A
// dash stands for what a run does not have.
func (s *Store) Diff(prefixes ...string) (head []string, rows [][]string, err error) {
	if len(prefixes) < 2 {
		return nil, nil, errors.New("runs: comparing takes the keys of two runs or more")
	}
	head = []string{""}
	settings, finals := make([]map[string]string, len(prefixes)), make([]map[string]string, len(prefixes))
	accuracies := make(map[string][]map[string]string) // by options, of each run that has them
	for i, prefix := range prefixes {
		r, err := s.Get(prefix)
		if err != nil {
			return nil, nil, err
		}
		head = append(head, r.Key)
		if settings[i], err = flatten(r.Config); err != nil {
			return nil, nil, err
		}
		finals[i] = map[string]string{"seconds": strconv.FormatFloat(r.History.Seconds, 'f', 1, 64)}
		for name, v := range r.Final() {
			finals[i][name] = fmt.Sprintf("%.4g", v)
		}
		all, err := s.Scores(r.Key)
		if err != nil {
			return nil, nil, err
		}
		for _, scores := range all {
			options := scores.Options.String()
			accuracies[options] = append(accuracies[options], scores.accuracies())
		}
	}
	rows = slices.DeleteFunc(together(settings), func(row []string) bool { return same(row[1:]) })
	rows = append(rows, together(finals)...)
	for _, options := range slices.Sorted(maps.Keys(accuracies)) {
		if of := accuracies[options]; len(of) == len(prefixes) {
			rows = append(rows, together(of)...)
		}
	}
	return head, rows, nil
}

// Differences are, for each record, the fields of its configuration in which it differs from others of its method and data, as
// "temperature=0.1 epochs=20"; "" where it is one of a kind. Seeds do not count, nor do data's digests and backends.
func Differences(records []*Record) ([]string, error) {
	settings := make([]map[string]string, len(records))
	kinds := make(map[[2]string][]int)
	for i, r := range records {
		var err error
		if settings[i], err = flatten(r.Config); err != nil {
			return nil, err
		}
		kind := [2]string{sslkit.NameOf(r.Config.Method), r.Config.Data.Name}
		kinds[kind] = append(kinds[kind], i)
	}
	out := make([]string, len(records))
	for kind, of := range kinds {
		columns := make([]map[string]string, len(of))
		for k, i := range of {
			columns[k] = settings[i]
		}
		for _, row := range together(columns) {
			name, values := row[0], row[1:]
			for k := range values {
				values[k] = cmp.Or(values[k], "-")
			}
			if name == "seed" || name == "backend" || name == "data.digest" || same(values) {
				continue
			}
			for k, i := range of {
				if out[i] != "" {
					out[i] += " "
				}
				out[i] += strings.TrimPrefix(name, "method."+kind[0]+".") + "=" + values[k]
			}
		}
	}
	return out, nil
}

func (s *Scores) accuracies() map[string]string {
	out := make(map[string]string)
	for _, t := range s.Stages {
		add := func(probe string, accuracy float64) {
			out[fmt.Sprintf("block %d, %s", t.Stage, probe)] = fmt.Sprintf("%.1f %%", 100*accuracy)
		}
		add("k-NN", t.KNN)
		add("linear", t.Linear)
		if t.NonLinear != nil {
			add("non-linear", *t.NonLinear)
		}
	}
	return out
}

func same(cells []string) bool {
	return !slices.ContainsFunc(cells, func(cell string) bool { return cell != cells[0] })
}

// together makes one row of each name, sorted.
func together(columns []map[string]string) [][]string {
	names := make(map[string]bool)
	for _, c := range columns {
		for name := range c {
			names[name] = true
		}
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		row := []string{name}
		for _, c := range columns {
			cell, ok := c[name]
			if !ok {
				cell = "-"
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

// flatten lists the fields of v's JSON by their paths; an array is one field.
func flatten(v any) (map[string]string, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(text, &tree); err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	flat := make(map[string]string)
	var walk func(path string, tree map[string]any)
	walk = func(path string, tree map[string]any) {
		for name, v := range tree {
			if sub, ok := v.(map[string]any); ok {
				walk(path+name+".", sub)
			} else {
				flat[path+name] = fmt.Sprint(v)
			}
		}
	}
	walk("", tree)
	return flat, nil
}
