package study

import (
	"context"
	"fmt"

	"github.com/gomlx/gomlx/ml/model"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
)

// TrackTable is how well what the first frames of the test clips show is followed, by the features of an encoder and by those of
// the baselines.
type TrackTable struct {
	Config  sslkit.Config `json:"config"` // its seed is not used
	Options eval.Tracking `json:"options"`
	Seeds   []int64       `json:"seeds"`
	Rows    []TrackRow    `json:"rows"`
}

// TrackRow is one kind of features over the seeds; what learns nothing and draws nothing has one value.
type TrackRow struct {
	Name  string         `json:"name"`
	Seeds []eval.Tracked `json:"seeds"`
}

// Spread sums up one of a row's figures.
func (r TrackRow) Spread(of func(eval.Tracked) float64) *eval.Spread {
	var values []float64
	for _, s := range r.Seeds {
		values = append(values, of(s))
	}
	return optional(values)
}

// Tracker is something to track with: the embedding of c's method, trained first if need be, or as it is drawn; pixels; or nothing,
// for the identity.
type Tracker struct {
	Name   string
	Store  *model.Store
	Embed  eval.Embedder // nil: nothing moves
	Sharp  float64       // the temperature is divided by it
	Seeded bool          // differs from seed to seed
}

// Trackers returns them with what they are trained and tested on. The random embedding comes at the temperature of the trained
// one, where it copies from everywhere alike, and at a 25th of it: its features differ little, and so it is a much stronger baseline.
func Trackers(ctx context.Context, s *runs.Store, c sslkit.Config) (*runs.Job, []Tracker, error) {
	m, ok := c.Method.(*sslkit.VideoColorization)
	if !ok {
		return nil, nil, fmt.Errorf("study: clips are tracked by tracking, not by %s", sslkit.TitleOf(c.Method))
	}
	t, err := s.Trained(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	drawn, err := sslkit.NewStore(c.Seed)
	return t, []Tracker{
		{"tracking", t.Store, m.Embed, 1, true},
		{"random init", drawn, m.Embed, 1, true},
		{"random init, T/25", drawn, m.Embed, 25, true},
		{"pixels, grey", drawn, eval.Pixels(true), 1, false},
		{"pixels, colour", drawn, eval.Pixels(false), 1, false},
		{"identity", drawn, nil, 1, false},
	}, err
}

// Options are o for this tracker.
func (t Tracker) Options(o eval.Tracking) eval.Tracking {
	o.Temperature /= t.Sharp
	return o
}

// Track measures c, a Tracking, on all of its test clips, with each of the seeds, beside the baselines.
func Track(ctx context.Context, s *runs.Store, c sslkit.Config, o eval.Tracking, seeds ...int64) (*TrackTable, error) {
	if err := checkSeeds(seeds); err != nil {
		return nil, err
	}
	c, err := s.Pin(ctx, c)
	if err != nil {
		return nil, err
	}
	table := &TrackTable{Config: c, Options: o, Seeds: seeds}
	for _, seed := range seeds {
		c.Seed = seed
		t, trackers, err := Trackers(ctx, s, c)
		if err != nil {
			return nil, err
		}
		for i, tracker := range trackers {
			if len(table.Rows) == i {
				table.Rows = append(table.Rows, TrackRow{Name: tracker.Name})
			}
			if !tracker.Seeded && seed != seeds[0] {
				continue
			}
			s.Tell(runs.Progress{Now: fmt.Sprintf("%s, seed %d: tracking with %s", c.Data.Name, seed, tracker.Name)})
			ds, truth, err := Clips(t.Test, c.Batch)
			if err != nil {
				return nil, err
			}
			tracked, err := eval.Track(ctx, t.Backend, tracker.Store, tracker.Embed, ds, truth, tracker.Options(o))
			if err != nil {
				return nil, fmt.Errorf("%s, seed %d: %w", tracker.Name, seed, err)
			}
			table.Rows[i].Seeds = append(table.Rows[i].Seeds, *tracked)
		}
	}
	return table, nil
}

// Clips are those of src in order, and where in each what is, [T*H*W] as data.Tracked has it.
func Clips(src data.Source, batch int) (*data.Loader, [][]uint8, error) {
	clips, ok := src.(data.Tracked)
	if !ok {
		return nil, nil, fmt.Errorf("study: %s has no clips in which something is followed", src.Name())
	}
	h, w, _ := src.Shape()
	truth := make([][]uint8, src.Len())
	for i := range truth {
		truth[i] = make([]uint8, clips.Frames()*h*w)
		clips.Tracks(i, truth[i])
	}
	ds, err := data.Batches(src, data.Options{Batch: min(batch, src.Len()), KeepLast: true})
	return ds, truth, err
}

// Table is the result for people. Clips without truth have their colours alone.
func (t *TrackTable) Table() (head []string, rows [][]string) {
	type column struct {
		name string
		text func(*eval.Spread) string
		of   func(eval.Tracked) float64
	}
	columns := []column{
		{"region J", percent, func(t eval.Tracked) float64 { return t.Region }},
		{"contour F", percent, func(t eval.Tracked) float64 { return t.Contour }},
		{"points within 10 %", percent, func(t eval.Tracked) float64 { return t.PCK }},
		{"point error, pixels", number, func(t eval.Tracked) float64 { return t.PointError }},
		{"colour error, ab", number, func(t eval.Tracked) float64 { return t.ColorError }},
		{"flicker, ab", number, func(t eval.Tracked) float64 { return t.Flicker }},
	}
	if t.Objects() == 0 {
		columns = columns[4:]
	}
	head = []string{"features"}
	for _, c := range columns {
		head = append(head, c.name)
	}
	for _, r := range t.Rows {
		row := []string{r.Name}
		for _, c := range columns {
			row = append(row, c.text(r.Spread(c.of)))
		}
		rows = append(rows, row)
	}
	return head, rows
}

// Objects is how many were followed: 0 where nobody knows of any.
func (t *TrackTable) Objects() int { return t.Rows[0].Seeds[0].Objects }

func number(s *eval.Spread) string {
	if s.N == 1 {
		return fmt.Sprintf("%.1f", s.Mean)
	}
	return fmt.Sprintf("%.1f ± %.1f", s.Mean, s.Std)
}

// Caption says under the table what its numbers are.
func (t *TrackTable) Caption() string {
	first := t.Rows[0].Seeds[0]
	what := fmt.Sprintf("%d objects of one set of test clips, %d frames after the first, J and F without the last one as DAVIS has them", first.Objects, len(first.ByFrame))
	if first.Objects == 0 {
		what = fmt.Sprintf("test clips without truth, place by place, %d frames after the first", len(first.ByFrame))
	}
	return fmt.Sprintf("%s: %s, %s. Copied from the %v. The true colours flicker by %.1f.",
		t.Config.Data.Name, what, over(t.Seeds), t.Options, first.TrueFlicker)
}
