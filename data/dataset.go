// Package data feeds images to training and evaluation: datasets as uint8
// pixels and indices, in an order that only the seed and the epoch decide.
//
// A [Source] is random access to one split of one dataset; [Open] finds it by
// name, in the binary, on this machine or at its usual public address.
// [Batches] makes a [Loader] of it, a GoMLX train.Dataset that decodes ahead
// of the training step. Labels come along only where they are asked for, so
// that a self-supervised method has none to look at.
package data

import (
	"errors"
	"fmt"
	"iter"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
)

// Source is random access to the examples of one split of a dataset.
// All methods are safe for concurrent use.
type Source interface {
	// Name tells dataset and split, "fashion-mnist/train".
	Name() string
	// Len is the number of examples.
	Len() int
	// Shape of every image: height, width and channels (1 or 3); all 0 of texts.
	Shape() (height, width, channels int)
	// Read fills pixels (height*width*channels, row by row, channels last)
	// with example i, 0 <= i < Len; for [Clips] frame after frame.
	Read(i int, pixels []uint8) error
	// Label of example i, an index of Classes; -1 where there is none.
	Label(i int) int32
	// Classes are the names of the labels; nil without labels.
	Classes() []string
}

// Options say how [Batches] walks over a source.
type Options struct {
	Batch    int   // examples a batch
	Seed     int64 // of the order; only with Shuffle
	Shuffle  bool  // a new order each epoch; else the order of the source
	KeepLast bool  // also yield the last, smaller batch; by default it is dropped
	Labels   bool  // yield labels, for evaluation
	Workers  int   // batches decoded at the same time, ahead of the consumer; default min(4, GOMAXPROCS)

	// Text, if set, yields the captions of a [Captioned] source as its tokens:
	// the first of each example, or with Shuffle one that is drawn anew each
	// epoch.
	Text *Tokenizer
}

// Loader is a train.Dataset over a [Source]. Its batches have
//
//	Inputs: images uint8 [N, H, W, C], of [Clips] [N, T, H, W, C], or the
//	        tokens int32 [N, L] of [Tokenized] texts,
//	        index int32 [N] (position in the source),
//	        and with Options.Text tokens int32 [N, L]
//	Labels: int32 [N] with Options.Labels, else none
//
// in tensors of their own, which belong to the consumer. A Loader has no
// state: iterators don't disturb each other.
type Loader struct {
	src      Source
	o        Options
	captions func(i int) []string // with Options.Text
}

var _ train.Dataset = (*Loader)(nil)

// Batches returns the loader of src. It refuses a batch size which would
// never be reached and labels which src does not have.
func Batches(src Source, o Options) (*Loader, error) {
	if o.Workers == 0 {
		o.Workers = min(4, runtime.GOMAXPROCS(0))
	}
	n := src.Len()
	switch {
	case o.Batch < 1:
		return nil, fmt.Errorf("data: batch size %d: choose at least 1", o.Batch)
	case o.Workers < 1:
		return nil, fmt.Errorf("data: %d workers: choose at least 1, or 0 for the default", o.Workers)
	case n == 0:
		return nil, fmt.Errorf("data: %s has no examples", src.Name())
	case o.Batch > n && !o.KeepLast:
		return nil, fmt.Errorf("data: a batch of %d is larger than the %d examples of %s: choose a batch of at most %d, or keep the last, smaller one",
			o.Batch, n, src.Name(), n)
	case o.Labels && len(src.Classes()) == 0:
		return nil, fmt.Errorf("data: labels asked for, but %s has none", src.Name())
	}
	if _, tokens := src.(*Tokenized); IsText(src) && !tokens {
		return nil, fmt.Errorf("data: %s has texts, which are read as tokens: see Tokenized", src.Name())
	}
	l := &Loader{src: src, o: o}
	if o.Text != nil {
		c, ok := src.(Captioned)
		if !ok {
			return nil, fmt.Errorf("data: captions asked for, but %s has none", src.Name())
		}
		l.captions = c.Captions
	}
	return l, nil
}

// Name of the source.
func (l *Loader) Name() string { return l.src.Name() }

// Steps is the number of batches an epoch.
func (l *Loader) Steps() int {
	if l.o.KeepLast {
		return (l.src.Len() + l.o.Batch - 1) / l.o.Batch
	}
	return l.src.Len() / l.o.Batch
}

// Iter yields the batches of epoch 0.
func (l *Loader) Iter() iter.Seq2[train.Batch, error] { return l.Epoch(0, 0) }

// Epoch yields the batches of one epoch, without the first skip of them,
// which are not decoded either. The order is a pure function of the seed and
// the epoch: a resumed run sees the batches that the killed one would have.
//
// Examples are decoded by up to Options.Workers goroutines, one a batch, while
// the consumer works on earlier batches. They have ended when the iteration
// ends, also by a break. An error names the example and ends the iteration.
func (l *Loader) Epoch(epoch, skip int) iter.Seq2[train.Batch, error] {
	return func(yield func(train.Batch, error) bool) {
		if skip < 0 {
			yield(train.Batch{}, fmt.Errorf("data: cannot skip %d batches", skip))
			return
		}
		order, steps := l.order(epoch), l.Steps()
		stop := make(chan struct{})
		var workers sync.WaitGroup
		defer workers.Wait()
		defer close(stop)

		// Batches that are being decoded, in order. Each has its own channel
		// of capacity one, so that no worker ever waits for the consumer.
		var ahead []chan decoded
		next := skip
		refill := func() {
			for ; len(ahead) < l.o.Workers && next < steps; next++ {
				index := order[next*l.o.Batch : min((next+1)*l.o.Batch, len(order))]
				c := make(chan decoded, 1)
				ahead = append(ahead, c)
				workers.Go(func() { c <- l.decode(index, stop) })
			}
		}
		for refill(); len(ahead) > 0; {
			d := <-ahead[0]
			ahead = ahead[1:]
			if d.err != nil {
				yield(train.Batch{}, d.err)
				return
			}
			refill() // before the consumer works on this batch
			if !yield(l.batch(d, epoch), nil) {
				return
			}
		}
	}
}

// decoded is one batch before it becomes tensors.
type decoded struct {
	index  []int32
	pixels []uint8
	tokens []int32 // of texts
	err    error
}

var errStopped = errors.New("data: stopped")

func (l *Loader) decode(index []int32, stop <-chan struct{}) decoded {
	if texts, ok := l.src.(*Tokenized); ok {
		d := decoded{index: index}
		for _, i := range index {
			d.tokens = append(d.tokens, texts.Tokens(int(i))...)
		}
		return d
	}
	size := 1
	for _, n := range l.dims() {
		size *= n
	}
	pixels := make([]uint8, len(index)*size)
	for n, i := range index {
		select {
		case <-stop:
			return decoded{err: errStopped}
		default:
		}
		if err := l.src.Read(int(i), pixels[n*size:(n+1)*size:(n+1)*size]); err != nil {
			return decoded{err: fmt.Errorf("data: example %d of %s: %w", i, l.src.Name(), err)}
		}
	}
	return decoded{index: index, pixels: pixels}
}

func (l *Loader) batch(d decoded, epoch int) train.Batch {
	n := len(d.index)
	var examples *tensors.Tensor
	if d.tokens != nil {
		examples = tensors.FromFlatDataAndDimensions(d.tokens, n, len(d.tokens)/n)
	} else {
		examples = tensors.FromFlatDataAndDimensions(d.pixels, append([]int{n}, l.dims()...)...)
	}
	b := train.Batch{Inputs: []*tensors.Tensor{examples, tensors.FromFlatDataAndDimensions(d.index, n)}}
	if l.o.Text != nil {
		var tokens []int32
		for _, i := range d.index {
			tokens = append(tokens, l.o.Text.Encode(l.caption(epoch, int(i)))...)
		}
		b.Inputs = append(b.Inputs, tensors.FromFlatDataAndDimensions(tokens, n, l.o.Text.Length()))
	}
	if l.o.Labels {
		labels := make([]int32, n)
		for k, i := range d.index {
			labels[k] = l.src.Label(int(i))
		}
		b.Labels = []*tensors.Tensor{tensors.FromFlatDataAndDimensions(labels, n)}
	}
	return b
}

// dims are those of an example: [H, W, C], of clips [T, H, W, C].
func (l *Loader) dims() []int {
	height, width, channels := l.src.Shape()
	if c, ok := l.src.(Clips); ok {
		return []int{c.Frames(), height, width, channels}
	}
	return []int{height, width, channels}
}

func (l *Loader) order(epoch int) []int32 {
	order := identity(l.src.Len())
	if l.o.Shuffle {
		newStream(uint64(l.o.Seed), uint64(epoch)).shuffle(order)
	}
	return order
}

// caption of example i in an epoch.
func (l *Loader) caption(epoch, i int) string {
	all := l.captions(i)
	if !l.o.Shuffle || len(all) == 1 {
		return all[0]
	}
	return all[newStream(mix(uint64(l.o.Seed))^uint64(epoch), uint64(i)).below(len(all))]
}

// Labels of all examples of src, in order.
func Labels(src Source) []int32 {
	labels := make([]int32, src.Len())
	for i := range labels {
		labels[i] = src.Label(i)
	}
	return labels
}

// Subset returns n examples of src, drawn by seed and in the order of src.
// Where there are labels, it has equally many of each class, give or take one.
// It fails if a class has too few examples for that. What else src is it stays:
// [Captioned], [Annotated] or [Clips].
func Subset(src Source, n int, seed int64) (Source, error) {
	if n < 1 || n > src.Len() {
		return nil, fmt.Errorf("data: a subset of %d examples of %s: choose 1 to %d", n, src.Name(), src.Len())
	}
	order := identity(src.Len())
	newStream(uint64(seed), uint64(n)).shuffle(order)
	if classes := src.Classes(); len(classes) > 0 {
		var err error
		if order, err = balanced(src, order, n); err != nil {
			return nil, err
		}
	}
	index := order[:n]
	slices.Sort(index)
	return pick(src, fmt.Sprintf("%s[%d of %d, seed %d]", src.Name(), n, src.Len(), seed), index), nil
}

// Proportional returns n examples of src, drawn by seed and in the order of src,
// of each class as many as its share, and one at least: what [Subset] cannot do
// where classes are very unequal.
func Proportional(src Source, n int, seed int64) (Source, error) {
	classes := len(src.Classes())
	if n < max(1, classes) || n > src.Len() {
		return nil, fmt.Errorf("data: a subset of %d examples of %s: choose %d to %d", n, src.Name(), max(1, classes), src.Len())
	}
	order := identity(src.Len())
	newStream(uint64(seed), uint64(n)).shuffle(order)
	// The first of each class come first, then the rest as it is drawn.
	seen := make([]bool, classes)
	var first, rest []int32
	for _, i := range order {
		if label := src.Label(int(i)); label >= 0 && int(label) < classes && !seen[label] {
			seen[label] = true
			first = append(first, i)
		} else {
			rest = append(rest, i)
		}
	}
	index := append(first, rest...)[:n]
	slices.Sort(index)
	return pick(src, fmt.Sprintf("%s[%d of %d in proportion, seed %d]", src.Name(), n, src.Len(), seed), index), nil
}

// Pick returns the examples of src that index names, in its order and under
// src's name.
func Pick(src Source, index ...int) Source {
	at := make([]int32, len(index))
	for k, i := range index {
		at[k] = int32(i)
	}
	return pick(src, src.Name(), at)
}

func pick(src Source, name string, index []int32) Source {
	s := &subset{Source: src, name: name, index: index}
	captioned, hasCaptions := src.(Captioned)
	annotated, hasObjects := src.(Annotated)
	clips, hasFrames := src.(Clips)
	tracked, hasTracks := src.(Tracked)
	tokenized, hasTokens := src.(*Tokenized)
	switch {
	case hasTracks:
		return &trackedSubset{clipsSubset{s, clips}, tracked}
	case hasFrames:
		return &clipsSubset{s, clips}
	case hasTokens:
		return &Tokenized{&captionedSubset{s, captioned}, tokenized.Tokenizer}
	case hasObjects && hasCaptions:
		return &sceneSubset{captionedSubset{s, captioned}, annotatedSubset{s, annotated}}
	case hasObjects:
		return &annotatedSubset{s, annotated}
	case hasCaptions:
		return &captionedSubset{s, captioned}
	}
	return s
}

// balanced returns the first examples of order with n/classes of each class;
// the classes met first have the remainder.
func balanced(src Source, order []int32, n int) ([]int32, error) {
	classes := src.Classes()
	each, rest := n/len(classes), n%len(classes)
	have := make([]int, len(classes))
	var picked []int32
	for _, i := range order {
		label := src.Label(int(i))
		if label < 0 || int(label) >= len(classes) {
			return nil, fmt.Errorf("data: example %d of %s has label %d of %d classes", i, src.Name(), label, len(classes))
		}
		switch {
		case have[label] < each:
		case have[label] == each && rest > 0:
			rest--
		default:
			continue
		}
		have[label]++
		picked = append(picked, i)
	}
	if len(picked) < n {
		least := slices.Index(have, slices.Min(have))
		return nil, fmt.Errorf("data: a class-balanced subset of %d examples of %s needs %d of each class, but %q has %d: choose at most %d",
			n, src.Name(), each, classes[least], have[least], have[least]*len(classes))
	}
	return picked, nil
}

type subset struct {
	Source
	name  string
	index []int32
}

func (s *subset) Name() string                     { return s.name }
func (s *subset) Len() int                         { return len(s.index) }
func (s *subset) Read(i int, pixels []uint8) error { return s.Source.Read(int(s.index[i]), pixels) }
func (s *subset) Label(i int) int32                { return s.Source.Label(int(s.index[i])) }
func (s *subset) part() *subset                    { return s }

type captionedSubset struct {
	*subset
	captioned Captioned
}

func (s *captionedSubset) Captions(i int) []string { return s.captioned.Captions(int(s.index[i])) }

type annotatedSubset struct {
	*subset
	annotated Annotated
}

func (s *annotatedSubset) Objects(i int) []Object      { return s.annotated.Objects(int(s.index[i])) }
func (s *annotatedSubset) Instances(i int, id []uint8) { s.annotated.Instances(int(s.index[i]), id) }
func (s *annotatedSubset) Segments(i int, class []uint8) {
	s.annotated.Segments(int(s.index[i]), class)
}

// sceneSubset is Captioned and Annotated.
type sceneSubset struct {
	captionedSubset
	truth annotatedSubset
}

func (s *sceneSubset) Objects(i int) []Object        { return s.truth.Objects(i) }
func (s *sceneSubset) Instances(i int, id []uint8)   { s.truth.Instances(i, id) }
func (s *sceneSubset) Segments(i int, class []uint8) { s.truth.Segments(i, class) }

type clipsSubset struct {
	*subset
	clips Clips
}

func (s *clipsSubset) Frames() int { return s.clips.Frames() }

type trackedSubset struct {
	clipsSubset
	tracked Tracked
}

func (s *trackedSubset) Tracks(i int, id []uint8) { s.tracked.Tracks(int(s.index[i]), id) }

func identity(n int) []int32 {
	order := make([]int32, n)
	for i := range order {
		order[i] = int32(i)
	}
	return order
}

// stream is randomness whose values never change: PCG is fixed by its paper,
// and unlike the methods of rand.Rand those below are fixed here.
type stream struct{ *rand.PCG }

func newStream(a, b uint64) stream {
	// Seeds that differ in a bit or two would make correlated PCG states.
	return stream{rand.NewPCG(mix(a), mix(mix(a)^b))}
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// below returns a number in [0, n). Its bias is under n/2^64.
func (s stream) below(n int) int {
	hi, _ := bits.Mul64(s.Uint64(), uint64(n))
	return int(hi)
}

// unit returns a number in [0, 1).
func (s stream) unit() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// shuffle is that of Fisher and Yates.
func (s stream) shuffle(order []int32) {
	for i := len(order) - 1; i > 0; i-- {
		j := s.below(i + 1)
		order[i], order[j] = order[j], order[i]
	}
}
