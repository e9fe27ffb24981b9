package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
)

func (c *cli) runsGroup() *cobra.Command {
	list := c.runsList()
	cmd := group(&cobra.Command{
		Use:   "runs",
		Short: "List, show, compare and delete runs",
		Example: `  sslkit runs
  sslkit runs show 41f0
  sslkit runs compare 41f0 e957
  sslkit runs delete 41f0`,
		RunE: list.RunE,
	}, list, c.runsShow(), c.runsCompare(), c.runsRepair(), c.runsDelete(), c.runsShip(), c.runsPush(), c.runsPull())
	cmd.PersistentFlags().StringVar(&c.runs, "runs", "", "folder `DIR` of the runs, in place of the usual one")
	return cmd
}

func (c *cli) runsList() *cobra.Command {
	var methods, datasets, states []string
	var by string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List runs, oldest first",
		Long: `list has a line for each run. In the last column are the fields of the configuration, but for the seed, in which it differs from
others of its method and data in the list.`,
		Example: `  sslkit runs list
  sslkit runs list --method simclr,moco --state done --sort k-nn
  sslkit runs list --data scenes --sort=-begun --json`,
		Args: count(0, 0, "flags only"),
		RunE: func(*cobra.Command, []string) error {
			sorted, err := sortedBy(by)
			if err != nil {
				return err
			}
			for _, state := range states {
				if !slices.Contains(runStates, state) {
					return usagef("--state %s: there are %s", state, strings.Join(runStates, ", "))
				}
			}
			store, err := c.store()
			if err != nil {
				return err
			}
			all, damaged := store.List()
			records := []*runs.Record{} // of JSON
			among := func(of []string, name string) bool { return len(of) == 0 || slices.Contains(of, name) }
			for _, r := range all {
				if among(methods, sslkit.NameOf(r.Config.Method)) && among(datasets, r.Config.Data.Name) && among(states, stateOf(r)) {
					records = append(records, r)
				}
			}
			slices.SortStableFunc(records, sorted)
			if err := c.print(records, func() error { return c.printRecords(store, len(all), records) }); err != nil {
				return err
			}
			return damaged
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&methods, "method", nil, "only runs of these `METHODS`")
	flags.StringSliceVar(&datasets, "data", nil, "only runs on these `DATASETS`")
	flags.StringSliceVar(&states, "state", nil, "only runs in these `STATES`: "+strings.Join(runStates, ", "))
	flags.StringVar(&by, "sort", "begun", "`COLUMN` to sort by, largest first with - before it: "+strings.Join(slices.Sorted(maps.Keys(runOrders)), ", "))
	flags.SortFlags = false
	return cmd
}

var runStates = []string{"done", "unfinished", "shipped", "untrained", "unchecked"}

func stateOf(r *runs.Record) string {
	switch {
	case r.Unchecked:
		return "unchecked"
	case !r.Done:
		return "unfinished"
	case r.Shipped != nil:
		return "shipped"
	case r.Config.Role() == sslkit.Untrained:
		return "untrained"
	}
	return "done"
}

// runOrders are what lists of runs are sorted by.
var runOrders = map[string]func(a, b *runs.Record) int{
	"begun": func(a, b *runs.Record) int { return a.Started.Compare(b.Started) },
	"method": func(a, b *runs.Record) int {
		return cmp.Compare(sslkit.TitleOf(a.Config.Method), sslkit.TitleOf(b.Config.Method))
	},
	"data":     func(a, b *runs.Record) int { return cmp.Compare(a.Config.Data.Name, b.Config.Data.Name) },
	"seed":     func(a, b *runs.Record) int { return cmp.Compare(a.Config.Seed, b.Config.Seed) },
	"epochs":   func(a, b *runs.Record) int { return cmp.Compare(a.Config.Epochs, b.Config.Epochs) },
	"state":    func(a, b *runs.Record) int { return cmp.Compare(stateOf(a), stateOf(b)) },
	"own-task": func(a, b *runs.Record) int { return cmp.Compare(a.Final()["accuracy"], b.Final()["accuracy"]) },
	"k-nn":     func(a, b *runs.Record) int { return cmp.Compare(a.Final()["knn"], b.Final()["knn"]) },
}

func sortedBy(column string) (func(a, b *runs.Record) int, error) {
	name, down := strings.CutPrefix(strings.ToLower(column), "-")
	order, ok := runOrders[name]
	if !ok {
		return nil, usagef("--sort %s: there are %s", column, strings.Join(slices.Sorted(maps.Keys(runOrders)), ", "))
	}
	if down {
		return func(a, b *runs.Record) int { return order(b, a) }, nil
	}
	return order, nil
}

// printRecords prints some of so many records.
func (c *cli) printRecords(store *runs.Store, all int, records []*runs.Record) error {
	switch {
	case all == 0:
		return c.printf("no runs yet in %s; 'sslkit pretrain' makes one\n", store.Dir)
	case len(records) == 0:
		return c.printf("none of the %d runs in %s is of that kind\n", all, store.Dir)
	}
	differ, err := runs.Differences(records)
	if err != nil {
		return err
	}
	var rows [][]string
	for i, r := range records {
		config, final := r.Config, r.Final()
		figure := func(name string) string {
			v, ok := final[name]
			if !ok {
				return "-"
			}
			return strconv.FormatFloat(100*v, 'f', 1, 64)
		}
		rows = append(rows, []string{shortKey(r.Key), sslkit.TitleOf(config.Method), config.Data.Name, strconv.FormatInt(config.Seed, 10),
			fmt.Sprintf("%d/%d", len(r.History.Loss), config.Epochs), stateOf(r), figure("accuracy"), figure("knn"),
			r.Started.Local().Format("2006-01-02 15:04"), differ[i]})
	}
	return c.printTable([]string{"key", "method", "data", "seed", "epochs", "state", "own task %", "k-NN %", "begun", "differs in"}, rows)
}

func (c *cli) runsShip() *cobra.Command {
	var to string
	cmd := &cobra.Command{
		Use:   "ship KEY...",
		Short: "Copy finished runs to the records that a checkout brings along",
		Long: `ship copies the record, the measurements and the parameters of finished runs into the folder of records that
come with a checkout ($SSLKIT_RECORDS). There every command and notebook finds them, whatever backend its machine has, and says
where they were computed.`,
		Example:           "  sslkit runs ship 41f0 e957 --to records",
		Args:              count(1, -1, "keys of runs"),
		ValidArgsFunction: c.completeKeys(0),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to = cmp.Or(to, os.Getenv("SSLKIT_RECORDS")); to == "" {
				return usagef("--to is missing: name the folder")
			}
			store, err := c.store()
			if err != nil {
				return err
			}
			return store.Ship(cmd.Context(), to, args...)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "folder `DIR` to copy to (default $SSLKIT_RECORDS)")
	return cmd
}

func (c *cli) runsPush() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "push KEY...",
		Short: "Bring finished runs to a bucket, for machines that share no folder",
		Long: `push brings record, encoder and measurements of finished runs to a bucket of a service that speaks S3, where 'sslkit runs pull' and
'sslkit work --records' find them. Of two machines that finished the same run with other parameters the first one's stays, and
replaces the second one's here. Service and credentials are those of AWS's own tools: $AWS_ENDPOINT_URL_S3, $AWS_ACCESS_KEY_ID and others.`,
		Example:           "  sslkit runs push 41f0 e957 --to s3://bucket/runs",
		Args:              count(1, -1, "keys of runs"),
		ValidArgsFunction: c.completeKeys(0),
		RunE: func(_ *cobra.Command, args []string) error {
			if c.records == "" {
				return usagef("--to is missing: name the bucket, s3://BUCKET/PREFIX")
			}
			store, err := c.store()
			if err != nil {
				return err
			}
			return c.interruptible(func(ctx context.Context) error {
				for _, prefix := range args {
					r, err := store.Get(prefix)
					if err == nil && r.Shipped != nil {
						err = fmt.Errorf("run %s came with this checkout: others have it", r.Key)
					}
					if err == nil {
						err = store.Offer(ctx, r.Key)
					}
					if err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&c.records, "to", "", "`URL` of the bucket: s3://BUCKET/PREFIX")
	return cmd
}

func (c *cli) runsPull() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "pull [KEY...]",
		Short:   "Bring finished runs from a bucket: all, or those whose keys begin so",
		Example: "  sslkit runs pull --from s3://bucket/runs\n  sslkit runs pull 41f0 --from s3://bucket/runs",
		RunE: func(_ *cobra.Command, args []string) error {
			if c.records == "" {
				return usagef("--from is missing: name the bucket, s3://BUCKET/PREFIX")
			}
			store, err := c.store()
			if err != nil {
				return err
			}
			return c.interruptible(func(ctx context.Context) error {
				keys, err := store.Bucket.Keys(ctx)
				if err != nil {
					return err
				}
				for _, prefix := range args {
					if !slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, prefix) }) {
						return fmt.Errorf("no run's key in %v begins with %q", store.Bucket, prefix)
					}
				}
				for _, key := range keys {
					if len(args) == 0 || slices.ContainsFunc(args, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
						if err := store.Fetch(ctx, key); err != nil {
							return err
						}
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&c.records, "from", "", "`URL` of the bucket: s3://BUCKET/PREFIX")
	return cmd
}

// shortKey is as much of a key as tells runs apart for people.
func shortKey(key string) string { return key[:min(len(key), 8)] }

func (c *cli) runsShow() *cobra.Command {
	return &cobra.Command{
		Use:               "show KEY",
		Short:             "Show a run: configuration, curves, scores; the beginning of its key is enough",
		Example:           "  sslkit runs show 41f0\n  sslkit runs show 41f0 --json",
		Args:              count(1, 1, "the key of a run"),
		ValidArgsFunction: c.completeKeys(1),
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := c.store()
			if err != nil {
				return err
			}
			record, err := store.Get(args[0])
			if err != nil {
				return err
			}
			scores, err := store.Scores(record.Key)
			if err != nil {
				return err
			}
			result := struct {
				*runs.Record
				Folder string         `json:"folder"`
				Scores []*runs.Scores `json:"scores,omitempty"`
			}{record, filepath.Join(store.Dir, record.Key), scores}
			return c.print(result, func() error {
				if err := c.printRecord(store, record, 0); err != nil {
					return err
				}
				for _, s := range scores {
					if err := c.printf("\n"); err != nil {
						return err
					}
					if err := c.printScores(s); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

// printRecord shows the run and its last epochs; where last is 0 all of them, and the configuration.
func (c *cli) printRecord(store *runs.Store, r *runs.Record, last int) error {
	state := "not finished, the same request goes on"
	if r.Done {
		state = "finished"
	}
	if err := c.printf("run      %s, %s\nmethod   %s\ndata     %s\nseed     %d\nbackend  %s\ncode     %s\nbegun    %s, %.1f s of training\nfolder   %s\n",
		r.Key, state, sslkit.TitleOf(r.Config.Method), r.Config.Data.Name, r.Config.Seed, r.Backend.Kind, r.Version,
		r.Started.Local().Format(time.DateTime), r.History.Seconds, filepath.Join(store.Dir, r.Key)); err != nil {
		return err
	}
	if from := r.Origin(); from != "" {
		if err := c.printf("origin   it came with this checkout: %s\n", from); err != nil {
			return err
		}
	}
	if r.Unchecked {
		if err := c.printf("checked  no: it was written before records had checksums and digests of their data, and no request finds it any more\n"); err != nil {
			return err
		}
	}
	if last == 0 {
		config, err := json.Marshal(r.Config)
		if err != nil {
			return err
		}
		if err := c.printf("config   %s\n", config); err != nil {
			return err
		}
	}
	if len(r.History.Loss) == 0 {
		return nil
	}
	head, rows := curveTable(r, last)
	if err := c.printf("\n"); err != nil {
		return err
	}
	if err := c.printTable(head, rows); err != nil {
		return err
	}
	for _, warning := range r.Warnings() {
		if err := c.printf("\n%s\n", warning); err != nil {
			return err
		}
	}
	return nil
}

// curveTable is the run's last epochs for people; all where last is 0.
func curveTable(r *runs.Record, last int) (head []string, rows [][]string) {
	head = []string{"epoch", "loss"}
	curves := [][]float64{r.History.Loss}
	for _, more := range []map[string][]float64{r.History.Reports, r.History.Figures} {
		for _, name := range slices.Sorted(maps.Keys(more)) {
			head, curves = append(head, strings.ReplaceAll(name, "_", " ")), append(curves, more[name])
		}
	}
	for epoch := range r.History.Loss {
		row := []string{strconv.Itoa(epoch + 1)}
		for _, curve := range curves {
			cell := "-"
			if epoch < len(curve) {
				cell = strconv.FormatFloat(curve[epoch], 'f', 3, 64)
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	if last > 0 {
		rows = rows[max(0, len(rows)-last):]
	}
	return head, rows
}

func (c *cli) runsCompare() *cobra.Command {
	return &cobra.Command{
		Use:   "compare KEY KEY...",
		Short: "Show in what runs differ, and how they did",
		Example: `  sslkit runs compare 41f0 e957
  sslkit runs compare 41f0 e957 30aa --json`,
		Args:              count(2, -1, "the keys of two runs or more"),
		ValidArgsFunction: c.completeKeys(0),
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := c.store()
			if err != nil {
				return err
			}
			head, rows, err := store.Diff(args...)
			if err != nil {
				return err
			}
			type row struct {
				Name   string   `json:"name"`
				Values []string `json:"values"`
			}
			result := struct {
				Keys []string `json:"keys"`
				Rows []row    `json:"rows"`
			}{Keys: head[1:], Rows: []row{}}
			for _, r := range rows {
				result.Rows = append(result.Rows, row{r[0], r[1:]})
			}
			return c.print(result, func() error {
				short := head[:1:1]
				for _, key := range head[1:] {
					short = append(short, shortKey(key))
				}
				return c.printTable(short, rows)
			})
		},
	}
}

func (c *cli) runsRepair() *cobra.Command {
	return &cobra.Command{
		Use:               "repair KEY",
		Short:             "Train a finished run with a damaged last checkpoint on from its newest whole one",
		Example:           "  sslkit runs repair 41f0",
		Args:              count(1, 1, "the key of a run"),
		ValidArgsFunction: c.completeKeys(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				record, err := store.Repair(ctx, args[0])
				if err != nil {
					return err
				}
				return c.print(record, func() error { return c.printRecord(store, record, 10) })
			})
		},
	}
}

func (c *cli) runsDelete() *cobra.Command {
	return &cobra.Command{
		Use:               "delete KEY...",
		Short:             "Delete runs, checkpoints and all; one that is under way stays",
		Example:           "  sslkit runs delete 41f0\n  sslkit runs delete 41f0 e957",
		Args:              count(1, -1, "the keys of one run or more"),
		ValidArgsFunction: c.completeKeys(0),
		RunE: func(_ *cobra.Command, args []string) error {
			store, err := c.store()
			if err != nil {
				return err
			}
			for _, prefix := range args { // of a list with a mistake in it nothing is deleted
				if _, err := store.Get(prefix); err != nil && !errors.Is(err, runs.ErrDamaged) {
					return err
				}
			}
			deleted := []string{}
			for _, prefix := range args {
				key, err := store.Delete(prefix)
				if err != nil {
					return err
				}
				deleted = append(deleted, key)
			}
			result := struct {
				Deleted []string `json:"deleted"`
			}{deleted}
			return c.print(result, func() error { return c.printf("deleted %s\n", strings.Join(deleted, ", ")) })
		},
	}
}
