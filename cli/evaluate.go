package cli

import (
	"context"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

func (c *cli) evaluate() *cobra.Command {
	var f configFlags
	o := eval.Defaults()
	var block int
	var baselines bool
	var files resultFiles
	cmd := &cobra.Command{
		Use:   "evaluate [KEY]",
		Short: "Measure an encoder at each of its blocks, beside its baselines",
		Long: `evaluate freezes a run's encoder and measures each of its blocks: k-NN, a linear probe and,
where asked for, a non-linear probe with the network of RotNet's paper. KEY is the beginning of a run's key; without it the
flags say which run is meant, as those of pretrain do, and it is trained if need be.

Beside a self-supervised encoder stand its baselines: the same backbone with random parameters, as
it is drawn and with its batch norms fitted to the images, and trained on the labels
(--baselines=false leaves them out). Measurements are kept like runs.

With --init and without --method it is an encoder out of a file that is measured, as it is.`,
		Example: `  sslkit evaluate 41f0
  sslkit evaluate --preset smoke --angles 0,180
  sslkit evaluate 41f0 --nonlinear 2 --json
  sslkit evaluate 41f0 --per-class 10 --baselines=false
  sslkit evaluate --method cpc --data moving-fashion --label direction
  sslkit evaluate --init resnet18/model.safetensors --data folder:birds --set data.size=224 --baselines=false
  sslkit evaluate --method random`,
		Args:              count(0, 1, "the key of a run, or flags that say which is meant"),
		ValidArgsFunction: c.completeKeys(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := files.check(); err != nil {
				return err
			}
			if cmd.Flags().Changed("nonlinear") {
				p := eval.DefaultNonLinear(block)
				o.NonLinear = &p
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			config, err := c.chosen(&f, args)
			if err != nil {
				return err
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				_, given := config.Method.(*eval.Given)
				return c.measure(ctx, store, config, o, baselines && (given || config.Role() == sslkit.SelfSupervised), files)
			})
		},
	}
	f.add(cmd, true, true)
	f.asItIs = true
	probeFlags(cmd.Flags(), &o)
	cmd.Flags().IntVar(&block, "nonlinear", 0, "also train a non-linear probe, with the network of RotNet's paper, on this `BLOCK` (1 is the first)")
	cmd.Flags().BoolVar(&baselines, "baselines", true, "set the same backbone, random and supervised, beside a self-supervised encoder")
	files.flags(cmd.Flags(), "the accuracies")
	c.storeFlags(cmd)
	cmd.Flags().SortFlags = false
	return cmd
}

func probeFlags(flags *pflag.FlagSet, o *eval.Options) {
	flags.Var(&fixedL2{&o.Linear}, "l2", "`PENALTY` of the linear probe (default chosen by cross-validation within its labels)")
	flags.IntVar(&o.K, "k", o.K, "neighbours of k-NN")
	flags.Float64Var(&o.Temperature, "temperature", o.Temperature, "of k-NN")
	flags.IntVar(&o.Linear.PerClass, "per-class", o.Linear.PerClass, "labels of each class that the linear probe may see; 0: all")
	flags.StringVar(&o.Label, "label", o.Label, "`KIND` of labels, of data that have several: direction of moving-fashion, speaker of spoken-digits, voice of espeak")
	flags.IntVar(&o.Linear.Side, "side", o.Linear.Side, "the linear probe sees maps averaged to so many cells a side; 0: whole maps")
}

// fixedL2 is a flag that fixes the linear probe's penalty, which is chosen otherwise.
type fixedL2 struct{ of *eval.Linear }

func (f *fixedL2) Type() string { return "float" }

func (f *fixedL2) String() string {
	if f.of == nil || f.of.Folds > 0 {
		return ""
	}
	return strconv.FormatFloat(f.of.L2, 'g', -1, 64)
}

func (f *fixedL2) Set(text string) (err error) {
	f.of.Folds = 0
	f.of.L2, err = strconv.ParseFloat(text, 64)
	return err
}

// chosen is the configuration of the run that is named by its key, or else by the flags.
func (c *cli) chosen(f *configFlags, args []string) (sslkit.Config, error) {
	if len(args) == 0 {
		return f.config()
	}
	if given := f.given(); given != "" {
		return sslkit.Config{}, usagef("the key %s names a run, and so does %s: give one of them", args[0], given)
	}
	store, err := c.store()
	if err != nil {
		return sslkit.Config{}, err
	}
	record, err := store.Get(args[0])
	if err != nil {
		return sslkit.Config{}, err
	}
	return record.Config, nil
}

func (c *cli) measure(ctx context.Context, store *runs.Store, config sslkit.Config, o eval.Options, baselines bool, files resultFiles) error {
	config, err := store.Pin(ctx, config)
	if err != nil {
		return err
	}
	scores, err := store.Evaluate(ctx, config, o)
	if err != nil {
		return err
	}
	record, err := store.Find(ctx, config)
	if err != nil {
		return err
	}
	result := struct {
		Key        string            `json:"key"`
		Config     sslkit.Config     `json:"config"`
		Scores     *runs.Scores      `json:"scores"`
		ImageText  *study.Retrieval  `json:"image_text,omitempty"` // of a sslkit.Paired
		Comparison *study.Comparison `json:"comparison,omitempty"` // with the baselines
	}{Key: record.Key, Config: record.Config, Scores: scores}
	if _, ok := config.Method.(sslkit.Paired); ok {
		if result.ImageText, err = study.ImageText(ctx, store, config); err != nil {
			return err
		}
	}
	if baselines {
		if result.Comparison, err = study.Compare(ctx, store, config, o, config.Seed); err != nil {
			return err
		}
	}
	table := result.Comparison
	if table == nil && files != (resultFiles{}) { // of the encoder alone
		if table, err = study.Measured(ctx, store, config, o); err != nil {
			return err
		}
	}
	if err := files.write(table, "", func() (*widgets.Figure, error) { return show.Ablation(table) }); err != nil {
		return err
	}
	return c.print(result, func() error {
		if err := c.printf("run %s: %s, %s, seed %d\n\n", record.Key, sslkit.TitleOf(config.Method), config.Data.Name, config.Seed); err != nil {
			return err
		}
		if err := c.printScores(scores); err != nil {
			return err
		}
		if r := result.ImageText; r != nil {
			if err := c.printf("\nzero-shot, %d classes known by their names: %.1f %% ± %.1f over the test images, mean over classes %.1f %%; commonest class %.1f %%\n"+
				"retrieval, %d images and %d texts: text of an image R@1 %.1f %%, R@5 %.1f %%; image of a text R@1 %.1f %%, R@5 %.1f %%\n",
				r.Classes, 100*r.ZeroShot, 100*r.Tested.Error, 100*r.Tested.Balanced, 100*r.Commonest, r.Images, r.Texts, 100*r.Text1, 100*r.Text5, 100*r.Image1, 100*r.Image5); err != nil {
				return err
			}
		}
		if baselines {
			if err := c.printf("\nBeside the same backbone, untrained and supervised:\n\n"); err != nil {
				return err
			}
			if err := c.printComparison(result.Comparison); err != nil {
				return err
			}
		}
		return c.printWritten(files.md, files.csv, files.svg, files.blocks)
	})
}

func (c *cli) printScores(s *runs.Scores) error {
	if err := c.printf("%v", s); err != nil || s.EndToEnd == nil {
		return err
	}
	t := s.EndToEndTested
	return c.printf("end to end, with the classifier it was trained with: %.1f %% ± %.1f over the test examples, mean over classes %.1f %%\n", 100*t.Test, 100*t.Error, 100*t.Balanced)
}
