//go:build ignore

// Command tops_gen writes what recipes, of the methods named or of all, come to at the tops of their files, of the runs in the store: for each preset those of
// the seeds 1, 2 and 3 that are finished, 'sslkit pretrain' each, which keeps their times. It trains nothing; what it lacks it
// says. Encoders are measured by k-NN.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

func main() {
	log.SetFlags(0)
	store, err := runs.Open("")
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range sslkit.Registered() {
		if r.Role != sslkit.SelfSupervised || r.Name == "tracking" || // whose measure is another, see its file
			len(os.Args) > 1 && !slices.Contains(os.Args[1:], r.Name) {
			continue
		}
		if err := rewrite(store, r); err != nil {
			log.Fatalf("%s: %v", r.Name, err)
		}
	}
}

func rewrite(store *runs.Store, r sslkit.Registration) error {
	var top strings.Builder
	fmt.Fprintf(&top, "// sslkit pretrain --method %s --preset %s\n//\n// %s; seconds of processors, compiling included; k-NN of the last block on the test set in %%.\n//\n",
		r.Name, sslkit.Smoke, r.Data)
	fmt.Fprintf(&top, "//\t%-7s %8s %7s %6s %8s   %-13s %-13s %s\n", "preset", "examples", "epochs", "batch", "seconds", "k-NN", "untrained", "seeds")
	for _, preset := range []string{sslkit.Smoke, sslkit.Class} {
		c, err := r.Preset(preset, r.Data)
		if err != nil {
			return err
		}
		line, err := measure(store, c)
		if err != nil {
			return err
		}
		if line == "" {
			if preset == sslkit.Smoke {
				log.Printf("%s stays as it is: no run of its preset %s is finished", r.Name, preset)
				return nil
			}
			continue
		}
		fmt.Fprintf(&top, "//\t%-7s %s\n", preset, line)
	}
	file := r.Name + ".go"
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	_, code, ok := bytes.Cut(text, []byte("\npackage recipe\n"))
	if !ok {
		return errors.New("no package clause")
	}
	return os.WriteFile(file, append([]byte(top.String()+"\npackage recipe\n"), code...), 0o644)
}

// measure is the line of c's runs, "" without any.
func measure(store *runs.Store, c sslkit.Config) (string, error) {
	o := eval.Defaults()
	o.Linear.L2, o.Linear.Folds = 1e-3, 0 // nothing is chosen: its figures are not told here
	var seeds []string
	var seconds, knn, untrained []float64
	examples := 0
	for seed := int64(1); seed <= 3; seed++ {
		c.Seed = seed
		record, err := store.Find(context.Background(), c)
		if errors.Is(err, fs.ErrNotExist) || err == nil && !record.Done {
			log.Printf("missing: sslkit pretrain --method %s --data %s --train %d --epochs %d --seed %d", sslkit.NameOf(c.Method), c.Data.Name, c.Data.Train, c.Epochs, seed)
			continue
		} else if err != nil {
			return "", err
		}
		for _, row := range []struct {
			c  sslkit.Config
			to *[]float64
		}{{c, &knn}, {recipe.RandomInit(c), &untrained}} {
			scores, err := store.Evaluate(context.Background(), row.c, o)
			if err != nil {
				return "", err
			}
			*row.to = append(*row.to, 100*scores.Stages[len(scores.Stages)-1].KNN)
		}
		if record.CPU > 0 {
			seconds = append(seconds, record.CPU)
		}
		seeds, examples = append(seeds, fmt.Sprint(seed)), record.Inventory.Train
		if n := record.Config.Data.Train; n > 0 {
			examples = min(n, examples)
		}
	}
	if seeds == nil {
		return "", nil
	}
	time := "-"
	if seconds != nil {
		time = fmt.Sprintf("%.0f", stat.Mean(seconds, nil))
	}
	return fmt.Sprintf("%8d %7d %6d %8s   %-13s %-13s %s", examples, c.Epochs, c.Batch, time, figure(knn), figure(untrained), strings.Join(seeds, ", ")), nil
}

func figure(of []float64) string {
	mean, std := stat.MeanStdDev(of, nil)
	if len(of) < 2 {
		return fmt.Sprintf("%.1f", mean)
	}
	return fmt.Sprintf("%.1f ± %.1f", mean, std)
}
