package study

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

// DenseComparison is one or more encoders, judged by segmentation and detection, beside the same backbone untrained and
// supervised.
type DenseComparison struct {
	Config  sslkit.Config     `json:"config"`  // of the first encoder; its seed is not used
	Options eval.DenseOptions `json:"options"` // likewise
	Seeds   []int64           `json:"seeds"`   // of encoder and heads
	Rows    []DenseRow        `json:"rows"`    // the last two are random init and supervised
}

// DenseRow is one encoder over the seeds.
type DenseRow struct {
	Name   string           `json:"name"`
	Frozen DenseSpread      `json:"frozen"`
	Tuned  DenseSpread      `json:"tuned"`
	First  eval.DenseScores `json:"-"` // of the first seed, with examples of what was predicted
}

// DenseSpread is fractions of 1; see eval.SegmentFit and eval.DetectFit.
type DenseSpread struct {
	MIoU   eval.Spread `json:"miou"`
	Pixels eval.Spread `json:"pixels"`
	AP50   eval.Spread `json:"ap50"`
	AP     eval.Spread `json:"ap"`
}

// Dense judges the variants, which have the same data, by segmentation and detection, with each of the seeds, and the first
// one's backbone untrained and supervised beside them.
func Dense(ctx context.Context, s *runs.Store, variants []Variant, o eval.DenseOptions, seeds ...int64) (*DenseComparison, error) {
	if len(variants) == 0 {
		return nil, errors.New("study: a comparison needs at least one variant")
	}
	if err := checkSeeds(seeds); err != nil {
		return nil, err
	}
	variants, err := pinned(ctx, s, variants)
	if err != nil {
		return nil, err
	}
	first := variants[0].Config
	for _, v := range variants {
		if v.Config.Data != first.Data {
			return nil, fmt.Errorf("study: %s has other data than %s", v.Name, variants[0].Name)
		}
	}
	result := &DenseComparison{Config: first, Options: o, Seeds: seeds}
	for _, v := range append(slices.Clone(variants), Variant{"random init", recipe.RandomInit(first)}, Variant{"supervised", recipe.Supervised(first)}) {
		row, err := denseRow(ctx, s, v, o, seeds)
		if err != nil {
			return nil, err
		}
		result.Rows = append(result.Rows, row)
	}
	return result, nil
}

func denseRow(ctx context.Context, s *runs.Store, v Variant, o eval.DenseOptions, seeds []int64) (DenseRow, error) {
	row := DenseRow{Name: v.Name}
	var fits [2][]eval.DenseFit
	for i, seed := range seeds {
		v.Config.Seed, o.Seed = seed, seed
		scores, err := DenseScores(ctx, s, v.Config, o)
		if err != nil {
			return row, fmt.Errorf("%s, seed %d: %w", v.Name, seed, err)
		}
		if i == 0 {
			row.First = *scores
		}
		fits[0], fits[1] = append(fits[0], scores.Frozen), append(fits[1], scores.Tuned)
	}
	for i, to := range []*DenseSpread{&row.Frozen, &row.Tuned} {
		over := func(of func(eval.DenseFit) float64) eval.Spread {
			var values []float64
			for _, fit := range fits[i] {
				values = append(values, of(fit))
			}
			return eval.Summarize(values)
		}
		to.MIoU = over(func(f eval.DenseFit) float64 { return f.Segment.MIoU })
		to.Pixels = over(func(f eval.DenseFit) float64 { return f.Segment.Pixels })
		to.AP50 = over(func(f eval.DenseFit) float64 { return f.Detect.AP50 })
		to.AP = over(func(f eval.DenseFit) float64 { return f.Detect.AP })
	}
	return row, nil
}

func denseFile(o eval.DenseOptions) string {
	return "dense-" + sslkit.Hash([]any{o, measureRevision}) + ".json"
}

// DenseScores returns how c's encoder does at segmentation and detection, training it first if need be. The data must be
// data.Annotated. What was measured is kept and never measured again.
func DenseScores(ctx context.Context, s *runs.Store, c sslkit.Config, o eval.DenseOptions) (*eval.DenseScores, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return runs.Once(ctx, s, c, denseFile(o), annotated, func(j *runs.Job, r *runs.Record) (*eval.DenseScores, error) {
		return dense(ctx, s, j, r, j.Train.(data.Annotated), j.Test.(data.Annotated), o)
	})
}

func annotated(j *runs.Job) error {
	if _, ok := j.Train.(data.Annotated); !ok {
		return fmt.Errorf("study: %s has no objects and segments to judge by; scenes has", j.Data.Name)
	}
	return nil
}

func dense(ctx context.Context, s *runs.Store, j *runs.Job, r *runs.Record, train, test data.Annotated, o eval.DenseOptions) (*eval.DenseScores, error) {
	s.Tell(runs.Progress{Key: j.Key, Now: fmt.Sprintf("%v: segmentation and detection", j)})
	labels := rand.New(rand.NewPCG(uint64(o.Seed), 0)).Perm(train.Len())
	if o.Labels > 0 {
		labels = labels[:min(o.Labels, len(labels))]
	}
	trainScenes, err := scenes(train, labels, o.Visible)
	if err != nil {
		return nil, err
	}
	all := make([]int, test.Len())
	for i := range all {
		all[i] = i
	}
	testScenes, err := scenes(test, all, o.Visible)
	if err != nil {
		return nil, err
	}
	scores, err := eval.EvaluateDense(ctx, j.Backend, j.Store, j.Method, trainScenes, testScenes, o)
	return &scores, err
}

// scenes reads examples of src. Objects of which a smaller share is seen are ignored.
func scenes(src data.Annotated, index []int, visible float64) (*eval.Scenes, error) {
	h, w, c := src.Shape()
	s := &eval.Scenes{Height: h, Width: w, Channels: c, Classes: len(src.Classes())}
	for _, i := range index {
		image, segments := make([]uint8, h*w*c), make([]uint8, h*w)
		if err := src.Read(i, image); err != nil {
			return nil, fmt.Errorf("study: %w", err)
		}
		src.Segments(i, segments)
		var boxes, ignored []eval.Box
		for _, o := range src.Objects(i) {
			box := eval.Box{Class: o.Class, Top: o.Top, Left: o.Left, Bottom: o.Bottom, Right: o.Right}
			if o.Seen(visible) {
				boxes = append(boxes, box)
			} else if o.Seen(0) {
				ignored = append(ignored, box)
			}
		}
		s.Images, s.Segments = append(s.Images, image), append(s.Segments, segments)
		s.Boxes, s.Ignored = append(s.Boxes, boxes), append(s.Ignored, ignored)
	}
	return s, nil
}

// Table is the result for people: a head, and rows of percentages.
func (c *DenseComparison) Table() (head []string, rows [][]string) {
	head = []string{"encoder", "mIoU, frozen", "mIoU, fine-tuned", "AP50, frozen", "AP50, fine-tuned", "AP, frozen", "AP, fine-tuned"}
	for _, r := range c.Rows {
		rows = append(rows, []string{r.Name, percent(&r.Frozen.MIoU), percent(&r.Tuned.MIoU), percent(&r.Frozen.AP50), percent(&r.Tuned.AP50),
			percent(&r.Frozen.AP), percent(&r.Tuned.AP)})
	}
	return head, rows
}

// Caption says under the table what its numbers are.
func (c *DenseComparison) Caption() string {
	return fmt.Sprintf("%s: in %%, %s, one test set of %d images. %s. %s.", c.Config.Data.Name, over(c.Seeds), c.Rows[0].First.Test, supervisedNote(c.Config), c.Options)
}

// measureRevision is raised by whoever changes what dense tasks and fine-tuning are measured by while their options stay: what was
// kept before is then measured again. 2: hidden objects are ignored, accuracies have their error.
const measureRevision = 2
