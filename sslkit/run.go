package sslkit

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/nn"
)

// Errors that a caller may want to tell apart with errors.Is.
var (
	ErrInterrupted = errors.New("sslkit: interrupted")
	ErrDiverged    = errors.New("sslkit: the loss is not finite")
)

// Dataset yields batches of uint8 images [N, H, W, C] and int32 indices [N]. The order of an epoch
// is a function of the dataset's seed and the epoch's number alone, so that a run resumed in the
// middle of an epoch sees what it would have seen.
type Dataset interface {
	train.Dataset
	Steps() int                                          // batches an epoch
	Epoch(epoch, skip int) iter.Seq2[train.Batch, error] // one epoch without its first skip batches
}

// Run trains one method.
type Run struct {
	Method    Method
	Backend   compute.Backend
	Train     Dataset
	Optimizer optimizer.Interface
	Epochs    int
	Seed      int64         // of the parameters and of all that is random within a step
	Precision string        // of products, as Config's
	Devices   int           // among which each batch is divided, the first of Backend's; 0 is 1
	Dir       string        // of the checkpoints; without one nothing is kept
	Key       string        // written into them; those of another key are refused
	Save      time.Duration // shortest time between two checkpoints; one is written at the end in any case

	// Monitor measures the run after an epoch, k-NN accuracy for example. It must leave Store alone.
	Monitor func(r *Run, epoch int) (map[string]float64, error)
	// Progress is called after each step.
	Progress func(Progress)
	// Ended is called, if set, after each epoch, with the history up to it.
	Ended func(History)
	// Resumed is called, if set, where Pretrain goes on from a checkpoint. Damaged ones that it passed over are named in it.
	Resumed func(State)

	Store      *model.Store // set by Pretrain: parameters, random state, optimizer
	Parameters string       // set by Pretrain: SHA-256 of the last checkpoint's parameters
}

// Progress is where a run stands.
type Progress struct {
	Epoch, Epochs int // the epoch under way, counted from 0
	Step, Steps   int // steps taken of all steps
	Loss          float64
	Left          time.Duration // estimated; 0 while unknown
}

// History holds one figure an epoch.
type History struct {
	Loss    []float64            `json:"loss"`              // mean over the epoch's batches
	Reports map[string][]float64 `json:"reports,omitempty"` // likewise, what the method reports
	Figures map[string][]float64 `json:"figures,omitempty"` // what Monitor measured at the epoch's end
	Seconds float64              `json:"seconds"`           // spent training, over all resumptions

	// EpochSeconds are those of the epoch's steps, without Monitor and checkpoints. The first step of a
	// run, and of its resumption, compiles.
	EpochSeconds []float64 `json:"epoch_seconds,omitempty"`
}

// Pretrain trains for r.Epochs epochs and returns the history, going on from the newest checkpoint
// under r.Dir if there is one. The result is bit for bit that of a run that was never stopped.
//
// A cancelled context stops it after the step under way: what was learnt is saved and the error is
// [ErrInterrupted]. A loss that is not finite stops it with [ErrDiverged]; the checkpoints before
// it stay.
func (r *Run) Pretrain(ctx context.Context) (History, error) {
	if r.Epochs < 1 || r.Train.Steps() < 1 || r.Epochs > math.MaxInt32/r.Train.Steps() {
		return History{}, fmt.Errorf("sslkit: %d epochs of %d batches: both must be at least 1, and their product at most %d", r.Epochs, r.Train.Steps(), math.MaxInt32)
	}
	if p := mixed(r.Precision); p != "" && p != BF16 {
		return History{}, fmt.Errorf("sslkit: precision %q: choose float32 or %s", r.Precision, BF16)
	}
	if err := r.checkDevices(); err != nil {
		return History{}, err
	}
	l := &loop{Run: r, ctx: ctx, began: time.Now(), step: time.Now(), saved: time.Now()}
	if m, ok := r.Method.(Reporter); ok {
		l.reports = m.Reports()
	}
	fresh, err := l.load()
	if err != nil {
		return History{}, err
	}
	if caught := exceptions.TryCatch[error](func() { err = l.run(fresh) }); caught != nil {
		err = Explain("sslkit: building the step", caught)
	}
	h := l.state.History
	h.Seconds += time.Since(l.began).Seconds()
	r.Parameters = l.state.Parameters
	return h, err
}

// NewStore returns an empty store whose parameters and random draws follow from seed.
func NewStore(seed int64) (*model.Store, error) {
	store := model.NewStore()
	if err := store.SetRNGStateFromSeed(seed); err != nil {
		return nil, fmt.Errorf("sslkit: seeding: %w", err)
	}
	return store, nil
}

// loop keeps the books of one call of Pretrain.
type loop struct {
	*Run
	ctx     context.Context
	reports []string
	state   State
	began   time.Time // of the time that History does not hold yet
	step    time.Time // when the step under way began
	saved   time.Time // when the last checkpoint was written
	second  time.Time // when the second step of this call began: the first one compiles
	from    int       // steps taken by then
}

// load takes up the newest checkpoint, or else makes a fresh store.
func (l *loop) load() (fresh bool, err error) {
	if l.Dir != "" {
		l.Store, l.state, err = LoadStore(l.Dir)
		switch steps := l.Epochs * l.Train.Steps(); {
		case errors.Is(err, ErrNoCheckpoint):
		case err != nil:
			return false, err
		case l.state.Key != l.Key || l.state.Step > steps:
			return false, fmt.Errorf("sslkit: the checkpoint in %s is of step %d of run %q, and this is run %q of %d steps: give another folder, or delete it",
				l.Dir, l.state.Step, l.state.Key, l.Key, steps)
		default:
			if l.Resumed != nil {
				l.Resumed(l.state)
			}
			return false, nil
		}
	}
	l.state.Key = l.Key
	l.Store, err = NewStore(l.Seed)
	return true, err
}

func (l *loop) run(fresh bool) error {
	step := func(scope *model.Scope, inputs []*Node) *Node {
		if l.Precision == BF16 {
			nn.MixedPrecision(scope, inputs[0].Graph())
		}
		loss := l.Method.Loss(scope, batchOf(inputs))
		train.AddMainLoss(loss)
		return loss
	}
	opt := l.Optimizer
	if m, ok := l.Method.(Optimized); ok {
		opt = m.Optimizer(opt)
	}
	trainer := train.NewTrainer(l.Backend, l.Store, step, nil, opt, l.metrics(), nil)
	if m, ok := l.Method.(Starter); ok && fresh {
		if err := l.initialise(trainer); err != nil {
			return err
		}
		if err := m.Start(l.Run); err != nil {
			return fmt.Errorf("sslkit: starting %T: %w", l.Method, err)
		}
	}
	tl := train.NewLoop(trainer)
	var failed error // as it was, without the loop's words around it
	tl.OnStep("sslkit", 0, func(_ *train.Loop, metrics []*tensors.Tensor) error {
		failed = l.after(metrics)
		return failed
	})
	var examples train.Dataset = &epochs{l}
	if l.Devices > 1 {
		d, err := divide(&epochs{l}, l.Store)
		if err != nil {
			return err
		}
		examples = d
	}
	_, err := tl.RunSteps(examples, l.Epochs*l.Train.Steps()-l.state.Step)
	if failed != nil || err == nil {
		return failed
	}
	return Explain("sslkit: training", err)
}

// metrics reads what the method handed to Report.
func (l *loop) metrics() []metric.Interface {
	var out []metric.Interface
	for _, name := range l.reports {
		read := func(_ *model.Scope, _, predictions []*Node) *Node {
			v, found := model.GetGraphParam(predictions[0].Graph(), reportKey(name))
			if !found {
				exceptions.Panicf("sslkit: %T lists the report %q but its Loss does not call Report with it", l.Method, name)
			}
			return v.(*Node)
		}
		out = append(out, metric.NewBaseMetric(name, name, "report", read, nil))
	}
	return out
}

// initialise creates the variables with one evaluation step.
func (l *loop) initialise(trainer *train.Trainer) error {
	for batch, err := range l.Train.Epoch(0, 0) {
		if err == nil {
			_, err = trainer.EvalStep(batch)
		}
		if err != nil {
			return Explain("sslkit: creating the variables", err)
		}
		break
	}
	return nil
}

// after follows each step: metrics are the batch's loss, its moving average, and the reports.
func (l *loop) after(metrics []*tensors.Tensor) error {
	s := &l.state
	s.Spent += time.Since(l.step).Seconds()
	defer func() { l.step = time.Now() }()
	s.Step++
	values := make([]float64, 1+len(l.reports))
	values[0] = shapes.ConvertTo[float64](metrics[0].Value())
	for i := range l.reports {
		values[1+i] = shapes.ConvertTo[float64](metrics[2+i].Value())
	}
	epoch := (s.Step - 1) / l.Train.Steps()
	if math.IsNaN(values[0]) || math.IsInf(values[0], 0) {
		return fmt.Errorf("%w: %g at step %d (epoch %d); try a lower learning rate, a longer warm-up or a larger batch, "+
			"and check the data for constant images; earlier checkpoints are kept", ErrDiverged, values[0], s.Step, epoch+1)
	}
	if s.Sums == nil {
		s.Sums = make([]float64, len(values))
	}
	for i, v := range values {
		s.Sums[i] += v
	}
	s.Count++
	last := s.Step == l.Epochs*l.Train.Steps()
	if s.Step%l.Train.Steps() == 0 {
		if err := l.endEpoch(epoch); err != nil {
			return err
		}
	}
	stop := l.ctx.Err()
	if l.Dir != "" && (last || stop != nil || time.Since(l.saved) >= l.Save) {
		if err := l.save(); err != nil {
			return fmt.Errorf("writing the checkpoint of step %d (free some space and run again; earlier checkpoints are kept): %w", s.Step, err)
		}
	}
	if l.Progress != nil {
		l.Progress(l.progress(epoch, values[0]))
	}
	if stop != nil && !last {
		return fmt.Errorf("%w at step %d of %d: %w", ErrInterrupted, s.Step, l.Epochs*l.Train.Steps(), context.Cause(l.ctx))
	}
	return nil
}

func (l *loop) endEpoch(epoch int) error {
	h := &l.state.History
	mean := func(i int) float64 { return l.state.Sums[i] / float64(l.state.Count) }
	h.Loss = append(h.Loss, mean(0))
	for i, name := range l.reports {
		record(&h.Reports, name, mean(1+i))
	}
	h.EpochSeconds = append(h.EpochSeconds, l.state.Spent)
	l.state.Sums, l.state.Count, l.state.Spent = nil, 0, 0
	if l.Monitor != nil {
		figures, err := l.Monitor(l.Run, epoch)
		if err != nil {
			return fmt.Errorf("sslkit: measuring after epoch %d: %w", epoch+1, err)
		}
		for name, v := range figures {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("%w: %s is %g after epoch %d", ErrDiverged, name, v, epoch+1)
			}
			record(&h.Figures, name, v)
		}
	}
	if l.Ended != nil {
		l.Ended(*h)
	}
	return nil
}

func record(to *map[string][]float64, name string, v float64) {
	if *to == nil {
		*to = make(map[string][]float64)
	}
	(*to)[name] = append((*to)[name], v)
}

func (l *loop) save() error {
	now := time.Now()
	state := l.state
	state.History.Seconds += now.Sub(l.began).Seconds()
	if err := saveStore(l.Dir, l.Store, &state); err != nil {
		return err
	}
	l.state.History.Seconds, l.state.Parameters = state.History.Seconds, state.Parameters
	l.began, l.saved = now, time.Now()
	return nil
}

func (l *loop) progress(epoch int, loss float64) Progress {
	p := Progress{Epoch: epoch, Epochs: l.Epochs, Step: l.state.Step, Steps: l.Epochs * l.Train.Steps(), Loss: loss}
	if l.second.IsZero() {
		l.second, l.from = time.Now(), l.state.Step
	} else {
		each := time.Since(l.second) / time.Duration(p.Step-l.from)
		p.Left = each * time.Duration(p.Steps-p.Step)
	}
	return p
}

// epochs strings the epochs together from where the run stands, telling the method of each start.
type epochs struct{ *loop }

func (e *epochs) Name() string { return e.Train.Name() }

func (e *epochs) Iter() iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		steps := e.Train.Steps()
		skip := e.state.Step % steps
		for epoch := e.state.Step / steps; epoch < e.Epochs; epoch++ {
			if m, ok := e.Method.(EpochStarter); ok && skip == 0 {
				if err := m.StartEpoch(e.Run, epoch); err != nil {
					yield(train.Batch{}, fmt.Errorf("sslkit: starting epoch %d of %T: %w", epoch+1, e.Method, err))
					return
				}
			}
			for batch, err := range e.Train.Epoch(epoch, skip) {
				if !yield(batch, err) || err != nil {
					return
				}
			}
			skip = 0
		}
	}
}
