package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/show"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// usualBackbones are what --arch means here where no --depth and --width are given.
var usualBackbones = map[string]nn.Backbone{"nin": nn.NIN(4, 24), "resnet": nn.ResNet(8, 8), "vit": nn.ViT(4, 96, 4)}

func (c *cli) compare() *cobra.Command {
	var f configFlags
	var methods, labels, inits []string
	var by, md, table, svg string
	var epochs, dense int
	var memory bool
	o := study.DefaultTransfer()
	cmd := &cobra.Command{
		Use:   "compare",
		Short: "Every method in one table: probes, few labels, fine-tuning, cost",
		Long: `compare trains methods on the same data and measures what their encoders are good for: k-NN, a
linear probe with all labels and with few, fine-tuning with all and with few, segmentation and
detection where that is asked for, and what training cost.
Below stand, for each backbone, random-init and supervised rows: the latter by a recipe of its own, whatever
the methods have, and then the commonest class, which needs no encoder, and the error over the test images.

Each method has its own preset, with its own backbone and number of epochs. --arch gives all of them
the same backbone, and --epochs the same passes over the images; every other flag is for all methods, too.
Methods that learn from captions need a dataset that has some.

Each run and each measurement is kept: an interrupted table goes on where it was.`,
		Example: `  sslkit compare --preset smoke --md table.md --svg table.svg
  sslkit compare --methods rotation,simclr,moco --arch resnet --epochs 10
  sslkit compare --data photos --seeds 1,2,3 --labels 1%,10% --sort "linear 1%"
  sslkit compare --data scenes --methods colorization,inpainting,rotation --dense 500
  sslkit compare --methods clip,simclr --data emoji --finetune 0
  sslkit compare --methods simclr,mae --data photos --init resnet18/model.safetensors
  sslkit compare --methods order,cpc --data moving-fashion --label direction`,
		Args: count(0, 0, "flags only"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := errors.Join(writable(md), writable(table), writable(svg, ".svg", ".png")); err != nil {
				return err
			}
			if f.file != "" {
				return usagef("--config holds one method: name several with --methods")
			}
			if o.Few.Labels = nil; len(labels) == 0 {
				o.Few = nil
			}
			for _, text := range labels {
				l, err := parseLabels(text)
				if err != nil {
					return err
				}
				o.Few.Labels = append(o.Few.Labels, l)
			}
			if o.FineTune.Epochs = epochs; epochs == 0 {
				o.FineTune = nil
			}
			if dense > 0 {
				d := eval.DenseDefaults()
				d.Labels, o.Dense = dense, &d
			}
			if err := o.Validate(); err != nil {
				return usageError{err}
			}
			if _, err := o.Column(by); err != nil {
				return usagef("--sort: %w", err)
			}
			seeds := f.seeds()
			all := !cmd.Flags().Changed("methods")
			variants, left, err := f.variants(methods, all)
			if err != nil {
				return err
			}
			for _, f.init = range inits {
				v, err := f.givenVariant(variants[0].Config.Data)
				if err != nil {
					return err
				}
				variants = append(variants, v)
			}
			able := func(ctx context.Context, store *runs.Store) (err error) {
				if all { // what is not asked for by name need not work with every flag
					if variants, left, err = trainable(ctx, store, variants, left); err != nil {
						return err
					}
				}
				for _, why := range left {
					c.say("left out: " + oneLine(why))
				}
				return nil
			}
			if c.planned != nil {
				return c.writePlan(func(ctx context.Context, store *runs.Store) ([]study.Task, error) {
					if err := able(ctx, store); err != nil {
						return nil, err
					}
					return study.PlanTransfer(ctx, store, variants, o, seeds...)
				})
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				if err := able(ctx, store); err != nil {
					return err
				}
				if memory {
					if err := c.trainAlone(ctx, store, variants, seeds); err != nil {
						return err
					}
				}
				result, err := study.Transfer(ctx, store, variants, o, seeds...)
				if err == nil {
					err = result.Sort(by)
				}
				if err == nil {
					err = saveTransfer(result, md, table, svg)
				}
				if err != nil {
					return err
				}
				return c.print(result, func() error { return c.printCaptioned(result, md, table, svg) })
			})
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&methods, "methods", study.ImageMethods(), "`NAMES`, of "+strings.Join(study.ImageMethods(), ", ")+"; of captions "+strings.Join(needing(sslkit.Captions), ", ")+
		"; of clips "+strings.Join(needing(sslkit.Moving), ", ")+"; of texts "+strings.Join(needing(sslkit.Written), ", ")+"; and with labels supcon")
	flags.Lookup("methods").DefValue = "all that learn from images alone"
	complete(cmd, "methods", completeMethod)
	f.add(cmd, false, false)
	if err := flags.MarkHidden("config"); err != nil {
		panic(err) // no flag of this name
	}
	flags.StringArrayVar(&inits, "init", nil, "also a row for the encoder out of a `FILE` of safetensors, as pretrain's --init reads them; may be repeated")
	flags.StringVar(&f.initPixels, "init-pixels", "", "how images of these are normalised, where no config.json beside them says so: imagenet or half")
	flags.IntVar(&f.initHeads, "init-heads", 0, "heads of their attention, where neither config.json nor a usual width says so")
	f.addSeeds()
	flags.StringSliceVar(&labels, "labels", []string{"1%", "10%", "10"}, "few labels: shares of them, or numbers of each class; \"\": all only")
	flags.IntVar(&o.Few.Draws, "draws", o.Few.Draws, "of few labels, which the linear probe is repeated with")
	flags.IntVar(&epochs, "finetune", o.FineTune.Epochs, "`EPOCHS` of fine-tuning; 0: none")
	flags.IntVar(&o.FineTune.Steps, "finetune-steps", o.FineTune.Steps, "at least so many, over few labels in more epochs")
	flags.IntVar(&o.FineTune.From, "finetune-from", o.FineTune.From, "the first `STAGE` that fine-tuning changes; those before are frozen")
	flags.IntVar(&dense, "dense", 0, "also segmentation and detection, with so many annotated images; --data scenes has them; 0: neither")
	flags.Var(&fixedL2{&o.Linear}, "l2", "`PENALTY` of the linear probe (default chosen by cross-validation within its labels)")
	flags.StringVar(&o.Label, "label", o.Label, "`KIND` of labels, of data that have several")
	flags.IntVar(&o.K, "k", o.K, "neighbours of k-NN")
	flags.Float64Var(&o.Temperature, "temperature", o.Temperature, "of k-NN")
	flags.StringVar(&by, "sort", "linear", "best first by this `COLUMN`")
	flags.BoolVar(&memory, "memory", false, "train each run in a process of its own, to know its peak memory (Linux)")
	flags.StringVar(&md, "md", "", "write the table as Markdown to `FILE`")
	flags.StringVar(&table, "csv", "", "write all figures, one a line, to `FILE`")
	flags.StringVar(&svg, "svg", "", "draw the accuracies to `FILE` (.svg or .png)")
	c.storeFlags(cmd)
	flags.SortFlags = false
	return cmd
}

// needing are the methods that learn from examples of a kind.
func needing(what sslkit.Needs) (names []string) {
	for _, r := range sslkit.Registered() {
		if r.Role == sslkit.SelfSupervised && r.Needs == what {
			names = append(names, r.Name)
		}
	}
	return names
}

// parseLabels reads "1%" of the labels, or "10" of each class.
func parseLabels(text string) (l eval.Labels, err error) {
	share, percent := strings.CutSuffix(strings.TrimSpace(text), "%")
	if percent {
		l.Share, err = strconv.ParseFloat(share, 64)
		l.Share /= 100
	} else {
		l.PerClass, err = strconv.Atoi(share)
	}
	if err != nil || l == (eval.Labels{}) {
		return l, usagef("--labels %s: write a share such as 1%%, or a number of each class such as 10", text)
	}
	return l, nil
}

// variants are the methods' configurations, with the same data. Of all methods, those that cannot have --arch are left out.
func (f *configFlags) variants(methods []string, all bool) (variants []study.Variant, left []error, err error) {
	if len(methods) == 0 {
		return nil, nil, usagef("--methods: name at least one")
	}
	set := func(flag, value string) {
		if err == nil && !f.flags.Changed(flag) {
			err = f.flags.Set(flag, value)
		}
	}
	set("data", "fashion-mnist-10k") // the methods' own differ
	if b, usual := usualBackbones[f.arch]; usual {
		set("depth", strconv.Itoa(b.Depth))
		set("width", strconv.Itoa(b.Width))
	}
	if err != nil {
		return nil, nil, err
	}
	size, perPhoto := 0, 0
	for _, name := range methods {
		if isBaseline(name) {
			return nil, nil, usagef("--methods: %s is a row of the table in any case", name)
		}
		f.method = name
		config, err := f.config()
		if err != nil {
			left = append(left, usagef("%s: %w", name, err))
			continue
		}
		if variants == nil {
			perPhoto = config.Data.PerPhoto
		}
		variants, size = append(variants, study.Variant{Name: name, Config: config}), max(size, config.Data.Size)
	}
	if len(left) > 0 && (!all || len(variants) == 0) {
		return nil, nil, left[0]
	}
	for i := range variants { // what is cut into parts must be large enough for all
		variants[i].Config.Data.Size, variants[i].Config.Data.PerPhoto = size, perPhoto
	}
	return variants, left, nil
}

// trainable divides the variants by whether they can be trained.
func trainable(ctx context.Context, store *runs.Store, variants []study.Variant, left []error) ([]study.Variant, []error, error) {
	var can []study.Variant
	for _, v := range variants {
		switch err := store.Trainable(ctx, v.Config); {
		case err == nil:
			can = append(can, v)
		case errors.Is(err, sslkit.ErrInterrupted):
			return nil, nil, err
		default:
			left = append(left, fmt.Errorf("%s: %w", v.Name, err))
		}
	}
	if len(can) == 0 {
		return nil, nil, left[0]
	}
	return can, left, nil
}

// trainAlone trains what is not trained yet, a process each, so that their peak memory is kept. A Ctrl-C reaches them as it
// reaches this process: they save and end.
func (c *cli) trainAlone(ctx context.Context, store *runs.Store, variants []study.Variant, seeds []int64) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "sslkit-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "config.json")
	for _, v := range append(variants[:len(variants):len(variants)], study.Baselines(variants)...) {
		for _, seed := range seeds {
			v.Config.Seed = seed
			record, err := store.Find(ctx, v.Config)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if v.Config.Role() == sslkit.Untrained || err == nil && record.Done {
				continue
			}
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("%w: %w", sslkit.ErrInterrupted, err)
			}
			text, err := json.Marshal(v.Config)
			if err == nil {
				err = os.WriteFile(file, text, 0o600)
			}
			if err != nil {
				return err
			}
			child := exec.Command(self, "pretrain", "--config", file, "--runs", store.Dir, "--quiet="+strconv.FormatBool(c.quiet), "--tracker", c.tracker)
			child.Stdout, child.Stderr = io.Discard, os.Stderr
			if err := child.Run(); err != nil {
				if ctx.Err() != nil || child.ProcessState.ExitCode() == exitInterrupted {
					return fmt.Errorf("%w while %s was trained", sslkit.ErrInterrupted, v.Name)
				}
				return fmt.Errorf("training %s, seed %d, in a process of its own: %w", v.Name, seed, err)
			}
		}
	}
	return nil
}

func saveTransfer(t *study.TransferTable, md, table, svg string) error {
	if err := saveTable(t, md); err != nil {
		return err
	}
	if err := saveTransferCSV(t, table); err != nil {
		return err
	}
	return saveFigure(func() (*widgets.Figure, error) { return show.Transfer(t) }, svg)
}

// saveTransferCSV writes one line for each figure, unless path is ""; accuracies are fractions.
func saveTransferCSV(t *study.TransferTable, path string) error {
	if path == "" {
		return nil
	}
	lines := [][]string{{"encoder", "backbone", "measure", "unit", "mean", "std", "seeds", "by_class", "test_error"}}
	for _, r := range t.Rows {
		for _, column := range t.Columns {
			if s := r.Values[column.Name]; s.N > 0 {
				unit := strings.TrimSuffix(column.Unit, "%")
				lines = append(lines, []string{r.Name, r.Network(), column.Name, unit, number(s.Mean), number(s.Std), strconv.Itoa(s.N), known(s.Balanced), known(s.Error)})
			}
		}
	}
	lines = append(lines, []string{"commonest class", "", "accuracy", "", number(t.Commonest), "", "", "", ""})
	return writeCSV(path, lines)
}

// known is a number, or nothing for 0.
func known(v float64) string {
	if v == 0 {
		return ""
	}
	return number(v)
}

func number(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }
