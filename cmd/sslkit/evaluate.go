package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/sweep"
)

func newEvaluate() *cobra.Command {
	var f configFlags
	var seeds []int64
	var alone bool
	var block int
	o := eval.Defaults()
	cmd := &cobra.Command{
		Use:   "evaluate [KEY]",
		Short: "Measure an encoder at each of its blocks, beside its baselines",
		Long: `evaluate freezes an encoder and measures each of its blocks: k-NN, a linear probe and, where asked
for, the paper's non-linear probe. Beside it stand the same backbone untrained and supervised, without
which no accuracy means much. KEY is the beginning of a run's key; without it the flags say which run is
meant, as those of pretrain do. What is not trained yet is trained.

With --alone, or for a baseline, it measures the one encoder in more detail.`,
		Example: `  sslkit evaluate 41f0
  sslkit evaluate --preset smoke --angles 0,180 --seeds 1,2,3
  sslkit evaluate 41f0 --alone --nonlinear 2
  sslkit evaluate --method random --json
  sslkit evaluate 41f0 --labels 10`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := openStore(cmd)
			if err != nil {
				return err
			}
			c, err := f.chosen(cmd, store, args)
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("seeds") {
				seeds = []int64{c.Seed}
			}
			if cmd.Flags().Changed("nonlinear") {
				p := eval.PaperNonLinear(block)
				o.NonLinear = &p
			}
			if !alone && c.Method.Rotation != nil {
				comparison, err := store.Compare(cmd.Context(), c, o, seeds...)
				if err != nil {
					return err
				}
				return output(cmd, comparison, func(w io.Writer) error { return printComparison(w, comparison) })
			}
			if len(seeds) != 1 {
				return errors.New("a single encoder has one seed: leave out --seeds, or --alone")
			}
			c.Seed = seeds[0]
			scores, err := store.Evaluate(cmd.Context(), c, o)
			if err != nil {
				return err
			}
			return output(cmd, scores, func(w io.Writer) error {
				fmt.Fprintf(w, "%s on %s, seed %d\n\n", method(c), c.Data.Name, c.Seed)
				return printScores(w, scores)
			})
		},
	}
	f.add(cmd)
	f.addMethod(cmd)
	flags := cmd.Flags()
	flags.Int64SliceVar(&seeds, "seeds", []int64{1}, "seeds to repeat every run with")
	flags.BoolVar(&alone, "alone", false, "without baselines, and with the features' spread and rank")
	flags.IntVar(&o.K, "k", o.K, "neighbours of k-NN")
	flags.Float64Var(&o.Temperature, "temperature", o.Temperature, "of k-NN")
	flags.IntVar(&o.Linear.Side, "side", o.Linear.Side, "maps are averaged to so many by so many places for the linear probe; 0: not at all")
	flags.IntVar(&o.Linear.PerClass, "labels", o.Linear.PerClass, "labels of each class that the linear probe may see; 0: all")
	flags.IntVar(&block, "nonlinear", 2, "also train the paper's non-linear probe, on this block")
	flags.Lookup("nonlinear").DefValue = "" // none, unless it is given
	return cmd
}

// chosen is the configuration of the run that is named by its key, or else by the flags.
func (f *configFlags) chosen(cmd *cobra.Command, store *sweep.Store, args []string) (sweep.Config, error) {
	if len(args) == 0 {
		return f.config(cmd)
	}
	for _, name := range []string{"preset", "method", "data", "config", "angles", "epochs", "batch"} {
		if cmd.Flags().Changed(name) {
			return sweep.Config{}, fmt.Errorf("the key %s names a run, and so does --%s: give one of them", args[0], name)
		}
	}
	record, err := store.Get(args[0])
	if err != nil {
		return sweep.Config{}, err
	}
	return record.Config, nil
}

func printScores(w io.Writer, s *sweep.Scores) error {
	if _, err := fmt.Fprint(w, s); err != nil {
		return err
	}
	if s.EndToEnd != nil {
		fmt.Fprintf(w, "end to end, with the classifier it was trained with: %.1f %%\n", 100**s.EndToEnd)
	}
	return nil
}
