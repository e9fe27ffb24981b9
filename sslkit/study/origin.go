package study

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sslkit/lab/sslkit/runs"
)

// Origins counts the runs of a table by where they were made; "" is here. See [runs.Shipment].
type Origins map[string]int

func (o Origins) add(r *runs.Record) { o[r.Origin()]++ }

// String says under a table which of its runs were not made here, "" if all were.
func (o Origins) String() string {
	all := 0
	for _, n := range o {
		all += n
	}
	var shipped []string
	for _, from := range slices.Sorted(maps.Keys(o)) {
		if from != "" {
			shipped = append(shipped, fmt.Sprintf("%d of %d runs came with this checkout, %s", o[from], all, from))
		}
	}
	if shipped == nil {
		return ""
	}
	return " " + strings.Join(shipped, "; ") + "."
}
