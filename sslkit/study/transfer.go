package study

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

// TransferOptions is how [Transfer] measures.
type TransferOptions struct {
	eval.Options                // k-NN and linear probes, with all labels and few; the seed is that of the run
	FineTune     *eval.FineTune `json:"finetune,omitempty"` // with all labels and each of Few's; nil: not measured

	Dense *eval.DenseOptions `json:"dense,omitempty"` // segmentation and detection, of data.Annotated; nil: not measured
}

// DefaultTransfer is eval.Defaults with 1 % and 10 % of the labels, and 10 a class, five draws each, and fine-tuning.
func DefaultTransfer() TransferOptions {
	o, tune := TransferOptions{Options: eval.Defaults()}, eval.DefaultFineTune()
	o.Few = &eval.FewShot{Labels: []eval.Labels{{Share: 0.01}, {Share: 0.1}, {PerClass: 10}}, Draws: 5}
	o.FineTune = &tune
	return o
}

// Validate says what cannot be run.
func (o TransferOptions) Validate() error {
	err := o.Options.Validate()
	if o.FineTune != nil {
		err = errors.Join(err, o.FineTune.Validate())
	}
	if o.Dense != nil {
		err = errors.Join(err, o.Dense.Validate())
	}
	return err
}

// few are the numbers of labels.
func (o TransferOptions) few() []eval.Labels {
	if o.Few == nil {
		return nil
	}
	return o.Few.Labels
}

// Column is one measure of a [TransferTable].
type Column struct {
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"` // "%" of what is kept as a fraction, "s", "MB"; "" of a count
	Less bool   `json:"less,omitempty"` // the less the better
}

const (
	columnKNN        = "k-NN"
	columnLinear     = "linear"
	columnByClass    = "by class" // the mean over classes of the linear probe's accuracy, where that is another figure
	columnBest       = "best stage"
	columnTuned      = "fine-tuned"
	columnEndToEnd   = "end to end"
	columnEpoch      = "s/epoch"
	columnEpochs     = "epochs"
	columnParameters = "parameters"
	columnMemory     = "peak MB"
)

// denseColumns are of what DenseScores measures, frozen; each has another for what is fine-tuned.
var denseColumns = []string{"mIoU", "AP50", "AP"}

// with is the column of a probe that sees few labels.
func with(probe string, l eval.Labels) string {
	switch {
	case l.Share > 0:
		return fmt.Sprintf("%s %.4g%%", probe, 100*l.Share)
	case l.PerClass > 0:
		return fmt.Sprintf("%s %d each", probe, l.PerClass)
	}
	return probe
}

// Columns are those of a TransferTable by these options.
func (o TransferOptions) Columns() []Column {
	columns := []Column{{columnKNN, "%", false}, {columnLinear, "%", false}, {columnByClass, "%", false}, {columnBest, "%", false}}
	for _, l := range o.few() {
		columns = append(columns, Column{with(columnLinear, l), "%", false})
	}
	if o.FineTune != nil {
		for _, l := range append([]eval.Labels{{}}, o.few()...) {
			columns = append(columns, Column{with(columnTuned, l), "%", false})
		}
	}
	if o.Dense != nil {
		for _, name := range denseColumns {
			columns = append(columns, Column{name, "%", false}, Column{name + " tuned", "%", false})
		}
	}
	return append(columns, Column{columnEndToEnd, "%", false}, Column{columnEpoch, "s", true}, Column{columnEpochs, "", true},
		Column{columnParameters, "", true}, Column{columnMemory, "MB", true})
}

// TransferTable is encoders by what they are good for, and by what they cost.
type TransferTable struct {
	Data    sslkit.Data     `json:"data"`
	Options TransferOptions `json:"options"`
	Seeds   []int64         `json:"seeds"`
	Columns []Column        `json:"columns"`
	Rows    []TransferRow   `json:"rows"`

	Tally     eval.Tally `json:"tally"`     // what was trained and tested on
	Commonest float64    `json:"commonest"` // accuracy of who always answers the commonest class, see eval.Tally

	Origins Origins `json:"origins,omitempty"` // of its runs
}

// TransferRow is one encoder over the seeds.
type TransferRow struct {
	Name     string                 `json:"name"`
	Backbone nn.Backbone            `json:"backbone"`
	Baseline bool                   `json:"baseline,omitempty"`
	Values   map[string]eval.Spread `json:"values"` // by columns; none where not measured
}

// Network names the row's backbone, "ResNet(8, 8)".
func (r TransferRow) Network() string { return network(r.Backbone) }

func network(b nn.Backbone) string {
	switch b.Arch {
	case "vit":
		return fmt.Sprintf("ViT(%d, %d, %d)", b.Depth, b.Width, b.Patch)
	case "frames":
		return fmt.Sprintf("Frames(%d, %d, %d)", b.Depth, b.Width, b.State)
	case "words":
		return fmt.Sprintf("Words(%d, %d, %d)", b.Words, b.Length, b.Width)
	}
	name := map[string]string{"resnet": "ResNet", "resnet18": "ResNet", "resnet34": "ResNet", "resnet50": "ResNet", "nin": "NIN"}[b.Arch]
	return fmt.Sprintf("%s(%d, %d)", name, b.Depth, b.Width)
}

// Transfer trains the variants, which have the same data, with each of the seeds and measures their encoders by the options:
// k-NN, linear probes with all labels and few, fine-tuning, segmentation and detection, and what the training cost. Below them stand, for each
// backbone among them but those of files, [Baselines]. What was measured once is kept, like runs.
//
// Before anything is trained it says what cannot be.
func Transfer(ctx context.Context, s *runs.Store, variants []Variant, o TransferOptions, seeds ...int64) (*TransferTable, error) {
	if len(variants) == 0 {
		return nil, errors.New("study: a comparison needs at least one variant")
	}
	if err := errors.Join(o.Validate(), checkSeeds(seeds)); err != nil {
		return nil, err
	}
	for i, v := range variants {
		if !reflect.DeepEqual(v.Config.Data, variants[0].Config.Data) {
			return nil, fmt.Errorf("study: %s and %s have different data, which makes their figures incomparable", variants[0].Name, v.Name)
		}
		if slices.ContainsFunc(variants[:i], func(w Variant) bool { return w.Name == v.Name }) {
			return nil, fmt.Errorf("study: two variants are called %q", v.Name)
		}
		if err := s.Trainable(ctx, v.Config); err != nil {
			return nil, fmt.Errorf("%s: %w", v.Name, err)
		}
	}
	variants, err := pinned(ctx, s, variants)
	if err != nil {
		return nil, err
	}
	if o.Dense != nil { // said before anything is trained
		j, err := s.Job(ctx, variants[0].Config)
		if err == nil {
			err = j.Load(ctx)
		}
		if err == nil {
			err = annotated(j)
		}
		if err != nil {
			return nil, err
		}
	}
	t := &TransferTable{Data: variants[0].Config.Data, Options: o, Seeds: seeds, Columns: o.Columns(), Origins: make(Origins)}
	rows := append(variants[:len(variants):len(variants)], baselinesBy(variants, o.Label)...)
	defer s.Several(len(rows) * len(seeds))()
	for _, v := range rows {
		_, given := v.Config.Method.(*eval.Given)
		row := TransferRow{Name: v.Name, Backbone: *sslkit.Backbone(v.Config.Method), Baseline: v.Config.Role() == sslkit.Labelled || v.Config.Role() == sslkit.Untrained && !given, Values: make(map[string]eval.Spread)}
		values := make(map[string][]eval.Tested)
		for _, seed := range seeds {
			v.Config.Seed = seed
			s.Next(v.Name)
			tally, err := transfer(ctx, s, v.Config, o, values, t.Origins)
			if err != nil {
				return nil, fmt.Errorf("%s, seed %d: %w", v.Name, seed, err)
			}
			t.Tally, t.Commonest = *tally, tally.Commonest()
		}
		for column, of := range values {
			row.Values[column] = eval.SummarizeTested(of)
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// Baselines are, for each backbone of the variants, its random-init, random-fitted and supervised rows, with the data of all,
// see recipe.Labels. They are named by the backbone where there are several.
func Baselines(variants []Variant) []Variant { return baselinesBy(variants, "") }

// baselinesBy has supervised rows by labels of a kind.
func baselinesBy(variants []Variant, label string) []Variant {
	var first []sslkit.Config
	for _, v := range variants {
		if _, given := v.Config.Method.(*eval.Given); given && len(variants) > 1 {
			continue // to train a network like those that others publish takes days
		}
		same := func(c sslkit.Config) bool { return *sslkit.Backbone(c.Method) == *sslkit.Backbone(v.Config.Method) }
		if !slices.ContainsFunc(first, same) {
			first = append(first, v.Config)
		}
	}
	var out []Variant
	for _, c := range first {
		of := ""
		if len(first) > 1 {
			of = ", " + network(*sslkit.Backbone(c.Method))
		}
		out = append(out, Variant{"random init" + of, recipe.RandomInit(c)}, Variant{"random, norms fitted" + of, recipe.RandomFitted(c)},
			Variant{"supervised" + of, supervised(c, label)})
	}
	return out
}

// ImageMethods are the methods that learn from images alone, without captions or motion.
func ImageMethods() []string {
	var names []string
	for _, r := range sslkit.Registered() {
		if r.Role == sslkit.SelfSupervised && r.Needs == sslkit.Images {
			names = append(names, r.Name)
		}
	}
	return names
}

// transfer adds to values, by columns, what one run came to.
func transfer(ctx context.Context, s *runs.Store, c sslkit.Config, o TransferOptions, values map[string][]eval.Tested, from Origins) (*eval.Tally, error) {
	accuracy := func(column string, v eval.Tested) { values[column] = append(values[column], v) }
	add := func(column string, v float64) { accuracy(column, eval.Tested{Test: v}) }
	o.Seed = c.Seed // the labelled examples are others for each seed, and the same for all methods
	scores, err := s.Evaluate(ctx, c, o.Options)
	if err != nil {
		return nil, err
	}
	accuracy(columnKNN, scores.Last().KNNTested)
	accuracy(columnLinear, scores.Last().LinearTested)
	if !scores.Even() {
		add(columnByClass, scores.Last().LinearTested.Balanced)
	}
	accuracy(columnBest, scores.Best().LinearTested)
	add(columnParameters, float64(scores.Parameters))
	for _, f := range scores.Few {
		accuracy(with(columnLinear, f.Labels), eval.Tested{Test: f.Test.Mean, Balanced: f.Test.Balanced, Error: f.Test.Error})
	}
	if scores.EndToEnd != nil {
		accuracy(columnEndToEnd, scores.EndToEndTested)
	}
	record, err := s.Find(ctx, c)
	if err != nil {
		return nil, err
	}
	from.add(record)
	if seconds := record.EpochSeconds(); seconds > 0 {
		add(columnEpoch, seconds)
	}
	if c.Epochs > 0 {
		add(columnEpochs, float64(c.Epochs))
	}
	if record.Memory > 0 {
		add(columnMemory, float64(record.Memory)/(1<<20))
	}
	if r, ok := c.Method.(*eval.Random); ok && r.Fitted { // whose norms are fitted on the way in any case
		return &scores.Tally, nil
	}
	if o.Dense != nil {
		dense := *o.Dense
		dense.Seed = c.Seed
		scores, err := DenseScores(ctx, s, c, dense)
		if err != nil {
			return nil, err
		}
		for i, of := range []func(eval.DenseFit) float64{
			func(f eval.DenseFit) float64 { return f.Segment.MIoU },
			func(f eval.DenseFit) float64 { return f.Detect.AP50 },
			func(f eval.DenseFit) float64 { return f.Detect.AP },
		} {
			add(denseColumns[i], of(scores.Frozen))
			add(denseColumns[i]+" tuned", of(scores.Tuned))
		}
	}
	if o.FineTune == nil {
		return &scores.Tally, nil
	}
	for _, l := range append([]eval.Labels{{}}, o.few()...) {
		tune := *o.FineTune
		tune.Label = o.Label
		fit, err := FineTune(ctx, s, c, tune, l)
		if err != nil {
			return nil, err
		}
		accuracy(with(columnTuned, l), fit.Tested)
	}
	return &scores.Tally, nil
}

// Tuned is what fine-tuning came to.
type Tuned struct {
	eval.Fit
	Options eval.FineTune `json:"options"`
	Labels  eval.Labels   `json:"labels"`
}

// tunedName is that of the file beside the run and of the folder of checkpoints.
func tunedName(p eval.FineTune, labels eval.Labels) string {
	return "finetune-" + sslkit.Hash([]any{p, labels, measureRevision})
}

// FineTune goes on training a copy of c's encoder with so many of the labels, drawn by c's seed, see eval.FineTune, and trains c
// first if need be. Like runs, the results are kept, and what was interrupted goes on.
func FineTune(ctx context.Context, s *runs.Store, c sslkit.Config, p eval.FineTune, labels eval.Labels) (*Tuned, error) {
	if err := errors.Join(p.Validate(), labels.Validate()); err != nil {
		return nil, err
	}
	t := &Tuned{Options: p, Labels: labels}
	name := tunedName(p, labels)
	return runs.Once(ctx, s, c, name+".json", runs.Labelled, func(j *runs.Job, r *runs.Record) (*Tuned, error) {
		byTrain, byTest, err := j.By(p.Label)
		if err != nil {
			return nil, err
		}
		index, err := labels.Draw(data.Labels(byTrain), len(byTrain.Classes()), c.Seed)
		if err != nil {
			return nil, err
		}
		few := data.Pick(byTrain, index...)
		loader, err := data.Batches(few, data.Options{Batch: min(p.Batch, few.Len()), Seed: c.Seed, Shuffle: true})
		if err != nil {
			return nil, err
		}
		test, err := runs.InOrder(byTest)
		if err != nil {
			return nil, err
		}
		p := p
		p.Groups = data.Groups(j.Test)
		p.Dir = j.Path(name)
		p.Progress = func(at sslkit.Progress) {
			s.Tell(runs.Progress{Key: j.Key, Name: fmt.Sprintf("%v: fine-tuning, %v", j, labels), Step: at})
		}
		t.Fit, err = p.Fit(ctx, j.Backend, j.Store, j.Method, *sslkit.Backbone(j.Method), loader, test.Loader, data.Labels(few), test.Labels, len(byTrain.Classes()), c.Seed)
		if err == nil {
			err = os.RemoveAll(p.Dir)
		}
		return t, err
	})
}

// Column finds a column by its name, in capitals or not.
func (t *TransferTable) Column(name string) (Column, error) { return findColumn(t.Columns, name) }

func findColumn(columns []Column, name string) (Column, error) {
	var names []string
	for _, c := range columns {
		if strings.EqualFold(c.Name, name) {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Column{}, fmt.Errorf("study: no column is called %q%s", name, sslkit.Suggest(name, names))
}

// Column finds a column that the table will have by its name, in capitals or not.
func (o TransferOptions) Column(name string) (Column, error) { return findColumn(o.Columns(), name) }

// Sort puts the best row by a column first, and those without a figure last.
func (t *TransferTable) Sort(column string) error {
	c, err := t.Column(column)
	if err != nil {
		return err
	}
	key := func(r TransferRow) float64 { // rising
		v, measured := r.Values[c.Name]
		switch {
		case !measured:
			return math.Inf(1)
		case c.Less:
			return v.Mean
		}
		return -v.Mean
	}
	slices.SortStableFunc(t.Rows, func(a, b TransferRow) int { return cmp.Compare(key(a), key(b)) })
	return nil
}

// Table is the result for people: a head, and a row for each encoder; columns without any figure are left out. Below the
// encoders stand the commonest class, which needs no encoder, and the largest error over the test images.
func (t *TransferTable) Table() (head []string, rows [][]string) {
	var names []string
	for _, r := range t.Rows {
		names = append(names, r.Name)
	}
	table := newTable(t.Tally, names)
	table.text("backbone", func(i int) string { return t.Rows[i].Network() })
	for _, c := range t.Columns {
		value := func(i int) *eval.Spread { s := t.Rows[i].Values[c.Name]; return &s }
		switch {
		case c.Name == columnByClass: // is itself the mean
			table.balanced(c.Name, func(i int) *eval.Spread { s := value(i); s.Balanced = s.Mean; return s })
		case c.accuracy():
			table.accuracy(c.Name, value)
		default:
			table.text(c.Name, func(i int) string { return c.cell(*value(i)) })
		}
	}
	return table.head, table.rows
}

// accuracy reports whether the commonest class has a figure in this column, too.
func (c Column) accuracy() bool {
	return c.Unit == "%" && !slices.Contains(denseColumns, strings.TrimSuffix(c.Name, " tuned"))
}

func (c Column) cell(s eval.Spread) string {
	switch {
	case s.N == 0:
		return ""
	case c.Unit == "%":
		return percent(&s)
	case c.Unit == "s" && s.N > 1:
		return fmt.Sprintf("%.1f ± %.1f", s.Mean, s.Std)
	case c.Unit == "s":
		return fmt.Sprintf("%.1f", s.Mean)
	}
	return fmt.Sprintf("%.0f", s.Mean)
}

// Caption says under the table what its numbers are.
func (t *TransferTable) Caption() string {
	o := t.Options
	text := fmt.Sprintf("%s: %v. Test accuracy in %%, %s, one test set, of the last stage after the last epoch. %sBest stage: the linear probe of the "+
		"stage where it is highest, chosen by the test set. %v.", t.Data.Name, t.Tally, over(t.Seeds), tested(t.Tally), o.Options)
	told := make(map[nn.Backbone]bool)
	for _, r := range t.Rows {
		if told[r.Backbone] || !r.Baseline { // every backbone has its rows, but those of files
			continue
		}
		told[r.Backbone] = true
		if note := supervisedNote(recipe.Labels(r.Backbone, t.Data)); !strings.Contains(text, note) {
			text += " " + note + "."
		}
	}
	if o.FineTune != nil {
		text += fmt.Sprintf(" %v; one draw of few labels.", *o.FineTune)
	}
	if o.Dense != nil {
		text += fmt.Sprintf(" Segmentation and detection: %v.", *o.Dense)
	}
	if o.Few != nil {
		text += " The supervised encoder has seen all labels before it is probed with few."
	}
	text += " Seconds are of the clock, on a machine that may have had other work."
	if slices.ContainsFunc(t.Rows, func(r TransferRow) bool { return r.Values[columnMemory].N > 0 }) {
		text += " Peak MB: main memory of the process that trained, where it did nothing else."
	}
	return text + t.Origins.String()
}
