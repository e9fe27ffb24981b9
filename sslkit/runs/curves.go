package runs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/renameio/v2"

	"github.com/sslkit/lab/internal/mlflow"
	"github.com/sslkit/lab/internal/tfevents"
	"github.com/sslkit/lab/sslkit"
)

// Metrics are all curves of a history by name, a figure an epoch: loss, rate (of the optimizer, in the middle of the epoch),
// seconds, and under report/ and figure/ what the method reports and what was measured.
func Metrics(c sslkit.Config, h sslkit.History) map[string][]float64 {
	out := map[string][]float64{"loss": h.Loss}
	for epoch := range h.Loss {
		out["rate"] = append(out["rate"], c.RateAt(float64(epoch)+0.5))
	}
	if len(h.EpochSeconds) > 0 {
		out["seconds"] = h.EpochSeconds
	}
	for prefix, of := range map[string]map[string][]float64{"report/": h.Reports, "figure/": h.Figures} {
		for name, curve := range of {
			out[prefix+name] = curve
		}
	}
	return out
}

// MetricsCSV are the curves of a history as CSV, a line an epoch.
func MetricsCSV(c sslkit.Config, h sslkit.History) ([]byte, error) {
	all := Metrics(c, h)
	first := []string{"loss", "rate", "seconds"}
	place := func(name string) int {
		if i := slices.Index(first, name); i >= 0 {
			return i
		}
		return len(first)
	}
	names := slices.SortedFunc(maps.Keys(all), func(a, b string) int { return cmp.Or(place(a)-place(b), -cmp.Compare(a[:1], b[:1]), cmp.Compare(a, b)) })
	lines := [][]string{append([]string{"epoch"}, names...)}
	for epoch := range h.Loss {
		line := []string{strconv.Itoa(epoch + 1)}
		for _, name := range names {
			cell := ""
			if epoch < len(all[name]) {
				cell = strconv.FormatFloat(all[name][epoch], 'g', -1, 64)
			}
			line = append(line, cell)
		}
		lines = append(lines, line)
	}
	var text bytes.Buffer
	err := csv.NewWriter(&text).WriteAll(lines)
	return text.Bytes(), err
}

// curves writes what a run has come to after each epoch, for who looks at it by other tools: metrics.csv, anew each time, and a
// file of TensorBoard's events; and tells a tracking server, where there is one.
//
// The store never reads these files back: figures come from the record and the checkpoints. So they are no part of the key,
// carry no checksum and are not in the campaign of damages: whatever happens to them changes no result. For the same reason
// that they cannot be written stops no run, it is only said.
type curves struct {
	s       *Store
	j       *Job
	began   time.Time
	events  *tfevents.Writer
	written int  // epochs in events
	silent  bool // it was said that something fails

	tracked *mlflow.Run
	logged  int
	ctx     context.Context // of requests
}

// at is when an epoch ended, of those that an earlier process trained by their seconds.
func (c *curves) at(h sslkit.History, epoch int) time.Time {
	if epoch == len(h.Loss)-1 {
		return time.Now()
	}
	t := c.began
	for _, s := range h.EpochSeconds[:min(epoch+1, len(h.EpochSeconds))] {
		t = t.Add(time.Duration(s * float64(time.Second)))
	}
	return t
}

// write brings everything to the state of h.
func (c *curves) write(h sslkit.History) {
	text, err := MetricsCSV(c.j.Config, h)
	if err == nil {
		err = renameio.WriteFile(c.s.path(c.j.Key, "metrics.csv"), text, 0o644)
	}
	err = errors.Join(err, c.append(h), c.log(h))
	if err != nil && !c.silent {
		c.s.Tell(Progress{Key: c.j.Key, Note: fmt.Sprintf("the curves cannot be written, and training goes on: %v", err)})
	}
	c.silent = err != nil
}

// append writes the events that are missing; of a run that is resumed all, see [tfevents.Create].
func (c *curves) append(h sslkit.History) (err error) {
	if c.events == nil {
		if c.events, err = tfevents.Create(c.s.path(c.j.Key), time.Now()); err != nil {
			return err
		}
	}
	for all := Metrics(c.j.Config, h); c.written < len(h.Loss); c.written++ {
		if err := c.events.Scalars(c.at(h, c.written), c.written+1, epochOf(all, c.written)); err != nil {
			return err
		}
	}
	return nil
}

// log tells the server what it does not know yet.
func (c *curves) log(h sslkit.History) error {
	if c.tracked == nil {
		return nil
	}
	for all := Metrics(c.j.Config, h); c.logged < len(h.Loss); c.logged++ {
		if err := c.tracked.Log(c.ctx, c.at(h, c.logged), c.logged+1, epochOf(all, c.logged)); err != nil {
			return err
		}
	}
	return nil
}

// close ends the files, and says how the run ended.
func (c *curves) close(failed error) {
	if c.events != nil {
		_ = c.events.Close() // nothing is buffered
	}
	if c.tracked == nil {
		return
	}
	status := mlflow.Finished
	switch {
	case errors.Is(failed, sslkit.ErrInterrupted):
		status = mlflow.Killed
	case failed != nil:
		status = mlflow.Failed
	}
	if err := c.tracked.End(c.ctx, status); err != nil {
		c.s.Tell(Progress{Key: c.j.Key, Note: fmt.Sprintf("the tracking server does not know how the run ended; the same command tells it again: %v", err)})
	}
}

// epochOf are the figures of one epoch.
func epochOf(curves map[string][]float64, epoch int) map[string]float64 {
	out := make(map[string]float64)
	for name, curve := range curves {
		if epoch < len(curve) {
			out[name] = curve[epoch]
		}
	}
	return out
}

// Tracker is a server that is told of runs.
type Tracker struct{ client *mlflow.Client }

// OpenTracker returns the tracker of a name, "mlflow", with the settings that its own environment variables have.
func OpenTracker(name string) (*Tracker, error) {
	if name != "mlflow" {
		return nil, fmt.Errorf("runs: no tracker is called %q: mlflow is known; TensorBoard needs none, its files are in the folder of each run", name)
	}
	client, err := mlflow.New()
	if err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	return &Tracker{client}, nil
}

// track opens the run on the store's tracker, where there is one. Before training it is an error that there is no answer.
func (s *Store) track(c *curves) (err error) {
	if s.Tracker == nil {
		return nil
	}
	params, err := flatten(c.j.Config)
	if err != nil {
		return err
	}
	if c.tracked, err = s.Tracker.client.Open(c.ctx, c.j.Key, c.j.String(), params, "loss"); err != nil {
		return fmt.Errorf("runs: --tracker: %w", err)
	}
	c.logged = c.tracked.Steps
	return nil
}

// tell brings the tracker to the state of a run that was trained before.
func (s *Store) tell(ctx context.Context, j *Job, r *Record) error {
	if s.Tracker == nil || len(r.History.Loss) == 0 {
		return nil
	}
	c := &curves{s: s, j: j, began: r.Started, ctx: context.WithoutCancel(ctx)}
	if err := s.track(c); err != nil {
		return err
	}
	err := c.log(r.History)
	c.close(err)
	return err
}
