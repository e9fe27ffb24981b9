package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/sslkit/sweep"
)

func newRuns() *cobra.Command {
	return group(&cobra.Command{
		Use:   "runs",
		Short: "List, show, compare and delete runs",
		Example: `  sslkit runs list
  sslkit runs show 41f0
  sslkit runs compare 41f0 e957
  sslkit runs delete 41f0`,
	}, newRunsList(), newRunsShow(), newRunsCompare(), newRunsDelete())
}

func newRunsList() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List all runs, oldest first",
		Example: "  sslkit runs list\n  sslkit runs list --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := openStore(cmd)
			if err != nil {
				return err
			}
			records, err := store.List()
			if err != nil { // of damaged ones; the others are there
				fmt.Fprintln(cmd.ErrOrStderr(), "Warning:", oneLine(err))
			}
			if records == nil {
				records = []*sweep.Record{}
			}
			return output(cmd, records, func(w io.Writer) error { return printRecords(w, store, records) })
		},
	}
}

func printRecords(w io.Writer, store *sweep.Store, records []*sweep.Record) error {
	if len(records) == 0 {
		_, err := fmt.Fprintf(w, "No runs yet in %s; 'sslkit pretrain' makes one.\n", store.Dir)
		return err
	}
	var rows [][]string
	for _, r := range records {
		c, final := r.Config, r.Final()
		figure := func(name string, scale float64, decimals int) string {
			v, ok := final[name]
			if !ok {
				return "-"
			}
			return strconv.FormatFloat(scale*v, 'f', decimals, 64)
		}
		rows = append(rows, []string{r.Key[:8], method(c), c.Data.Name, strconv.FormatInt(c.Seed, 10),
			fmt.Sprintf("%d/%d", len(r.History.Loss), c.Epochs), figure("loss", 1, 3), figure("accuracy", 100, 1), figure("knn", 100, 1),
			strconv.FormatFloat(r.History.Seconds, 'f', 0, 64), r.Started.Local().Format(time.DateTime)})
	}
	return printTable(w, []string{"key", "method", "data", "seed", "epochs", "loss", "own task %", "k-NN %", "seconds", "begun"}, rows)
}

// method is what a configuration trains, in a few words.
func method(c sweep.Config) string {
	if r := c.Method.Rotation; r != nil {
		return "rotation " + strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Angles), " ", ","), "[]")
	}
	return c.Method.Name()
}

func newRunsShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show KEY",
		Short:   "Show a run: configuration, curves, scores; the beginning of its key is enough",
		Example: "  sslkit runs show 41f0\n  sslkit runs show 41f0 --json",
		Args:    exactly(1, "the key of a run"),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := openStore(cmd)
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
				*sweep.Record
				Folder string          `json:"folder"`
				Scores []*sweep.Scores `json:"scores,omitempty"`
			}{record, filepath.Join(store.Dir, record.Key), scores}
			return output(cmd, result, func(w io.Writer) error {
				if err := printRecord(w, store, record); err != nil {
					return err
				}
				for _, s := range scores {
					fmt.Fprintln(w)
					if err := printScores(w, s); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
}

func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("%s takes %s; see '%s --help'", cmd.CommandPath(), what, cmd.CommandPath())
		}
		return nil
	}
}

func printRecord(w io.Writer, store *sweep.Store, r *sweep.Record) error {
	config, err := json.Marshal(r.Config)
	if err != nil {
		return err
	}
	state := "not finished, the same request goes on"
	if r.Done {
		state = "finished"
	}
	fmt.Fprintf(w, "run      %s, %s\nmethod   %s\ndata     %s\nseed     %d\nbackend  %s\ncode     %s\nbegun    %s, %.1f s of training\nfolder   %s\nconfig   %s\n",
		r.Key, state, method(r.Config), r.Config.Data.Name, r.Config.Seed, r.Backend.Kind, r.Version,
		r.Started.Local().Format(time.DateTime), r.History.Seconds, filepath.Join(store.Dir, r.Key), config)
	if len(r.History.Loss) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	head := []string{"epoch", "loss"}
	curves := [][]float64{r.History.Loss}
	for _, more := range []map[string][]float64{r.History.Reports, r.History.Figures} {
		for _, name := range slices.Sorted(maps.Keys(more)) {
			head, curves = append(head, strings.ReplaceAll(name, "_", " ")), append(curves, more[name])
		}
	}
	var rows [][]string
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
	return printTable(w, head, rows)
}

func newRunsCompare() *cobra.Command {
	return &cobra.Command{
		Use:     "compare KEY KEY...",
		Short:   "Show in what runs differ, and how they did",
		Example: "  sslkit runs compare 41f0 e957",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return errors.New("sslkit runs compare takes the keys of two runs or more; see 'sslkit runs compare --help'")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := openStore(cmd)
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
			return output(cmd, result, func(w io.Writer) error {
				for i := range head[1:] {
					head[i+1] = head[i+1][:8]
				}
				return printTable(w, head, rows)
			})
		},
	}
}

func newRunsDelete() *cobra.Command {
	return &cobra.Command{
		Use:     "delete KEY...",
		Short:   "Delete runs, checkpoints and all; one that is under way stays",
		Example: "  sslkit runs delete 41f0",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := openStore(cmd)
			if err != nil {
				return err
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
			return output(cmd, result, func(w io.Writer) error {
				_, err := fmt.Fprintln(w, "deleted", strings.Join(deleted, ", "))
				return err
			})
		},
	}
}
