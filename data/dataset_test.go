package data

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/train"
)

// numbered is a source whose example i has the pixels i, i+1, ..., and the
// label i%classes.
type numbered struct {
	n, classes int
	fail       int // example that cannot be read; 0 for none
	slow       func(i int)
	reads      atomic.Int64
}

func (s *numbered) Name() string                         { return "numbered" }
func (s *numbered) Len() int                             { return s.n }
func (s *numbered) Shape() (height, width, channels int) { return 2, 3, 1 }
func (s *numbered) Classes() []string                    { return strings.Split("abcdefghij", "")[:s.classes] }

func (s *numbered) Label(i int) int32 {
	if s.classes == 0 {
		return -1
	}
	return int32(i % s.classes)
}

func (s *numbered) Read(i int, pixels []uint8) error {
	s.reads.Add(1)
	if s.slow != nil {
		s.slow(i)
	}
	if i > 0 && i == s.fail {
		return errors.New("bad sector")
	}
	for k := range pixels {
		pixels[k] = uint8(i + k)
	}
	return nil
}

func load(t *testing.T, src Source, o Options) *Loader {
	t.Helper()
	l, err := Batches(src, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func values[T int32 | uint8](t *testing.T, x *tensors.Tensor) []T {
	t.Helper()
	v, err := tensors.CopyFlatData[T](x)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// indices drains an iteration: the indices of each batch.
func indices(t *testing.T, l *Loader, epoch, skip int) [][]int32 {
	t.Helper()
	var all [][]int32
	for b, err := range l.Epoch(epoch, skip) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, values[int32](t, b.Inputs[1]))
	}
	return all
}

func TestEpochYieldsEachExampleOnce(t *testing.T) {
	src := &numbered{n: 100, classes: 10}
	for _, test := range []struct {
		o     Options
		steps int
		last  int // size of the last batch
		seen  int
	}{
		{Options{Batch: 32, Shuffle: true}, 3, 32, 96},
		{Options{Batch: 32, Shuffle: true, KeepLast: true}, 4, 4, 100},
		{Options{Batch: 25, KeepLast: true}, 4, 25, 100},
		{Options{Batch: 100}, 1, 100, 100},
		{Options{Batch: 128, KeepLast: true}, 1, 100, 100},
	} {
		l := load(t, src, test.o)
		batches := indices(t, l, 3, 0)
		if l.Steps() != test.steps || len(batches) != test.steps {
			t.Errorf("%+v: Steps is %d and there are %d batches, want %d", test.o, l.Steps(), len(batches), test.steps)
		}
		if n := len(batches[len(batches)-1]); n != test.last {
			t.Errorf("%+v: last batch has %d examples, want %d", test.o, n, test.last)
		}
		all := slices.Concat(batches...)
		slices.Sort(all)
		if len(all) != test.seen || len(slices.Compact(all)) != test.seen {
			t.Errorf("%+v: %d examples, want %d, each once", test.o, len(all), test.seen)
		}
	}
	if got := slices.Concat(indices(t, load(t, src, Options{Batch: 10}), 5, 0)...); !slices.IsSorted(got) {
		t.Errorf("order without Shuffle is %v", got)
	}
}

func TestBatchHoldsItsExamples(t *testing.T) {
	src := &numbered{n: 50, classes: 7}
	for b, err := range load(t, src, Options{Batch: 8, Shuffle: true, Seed: 4, Labels: true}).Iter() {
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Inputs[0].Shape().String(); got != "(Uint8)[8, 2, 3, 1]" {
			t.Fatalf("images have shape %s", got)
		}
		if got := b.Inputs[1].Shape().String(); got != "(Int32)[8]" {
			t.Fatalf("index has shape %s", got)
		}
		pixels, index, labels := values[uint8](t, b.Inputs[0]), values[int32](t, b.Inputs[1]), values[int32](t, b.Labels[0])
		for n, i := range index {
			for k := range 6 {
				if pixels[6*n+k] != uint8(int(i)+k) {
					t.Fatalf("pixel %d of example %d is %d", k, i, pixels[6*n+k])
				}
			}
			if labels[n] != i%7 {
				t.Errorf("label of example %d is %d", i, labels[n])
			}
		}
	}
	for b, err := range load(t, src, Options{Batch: 8}).Iter() {
		if err != nil || len(b.Labels) != 0 {
			t.Fatalf("%d labels that were not asked for, error %v", len(b.Labels), err)
		}
	}
}

// The order must never change, or a resumed run sees other batches than the
// one that was killed by an older version.
func TestOrderIsPureFunctionOfSeedAndEpoch(t *testing.T) {
	l := load(t, &numbered{n: 10}, Options{Batch: 10, Shuffle: true, Seed: 1})
	want := []int32{7, 1, 2, 3, 9, 5, 6, 0, 8, 4}
	for range 2 {
		if got := indices(t, l, 2, 0)[0]; !slices.Equal(got, want) {
			t.Errorf("order of seed 1, epoch 2 is %v, want %v", got, want)
		}
	}
	orders := map[string]string{}
	for seed := range int64(20) {
		l := load(t, &numbered{n: 100}, Options{Batch: 100, Shuffle: true, Seed: seed})
		for epoch := range 20 {
			order, key := fmt.Sprint(indices(t, l, epoch, 0)), fmt.Sprintf("seed %d, epoch %d", seed, epoch)
			if other, ok := orders[order]; ok {
				t.Errorf("%s has the order of %s", key, other)
			}
			orders[order] = key
		}
	}
}

// Each example is equally likely at each place: chi-squared of 10x10 counts,
// 81 degrees of freedom, whose 0.9999 quantile is 137.
func TestOrderIsUniform(t *testing.T) {
	const epochs = 5000
	var count [10][10]float64
	l := load(t, &numbered{n: 10}, Options{Batch: 10, Shuffle: true})
	for epoch := range epochs {
		for place, i := range l.order(epoch) {
			count[place][i]++
		}
	}
	chi := 0.0
	for _, row := range count {
		for _, n := range row {
			chi += (n - epochs/10) * (n - epochs/10) / (epochs / 10)
		}
	}
	if chi > 137 {
		t.Errorf("chi-squared is %.0f", chi)
	}
}

func TestSkipEqualsDropping(t *testing.T) {
	src := &numbered{n: 100}
	l := load(t, src, Options{Batch: 16, Shuffle: true, Seed: 9, KeepLast: true})
	all := indices(t, l, 4, 0)
	for skip := range 9 {
		src.reads.Store(0)
		got := indices(t, l, 4, skip)
		want := all[min(skip, len(all)):]
		if !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("skip %d: %v, want %v", skip, got, want)
		}
		if reads := src.reads.Load(); reads != int64(len(slices.Concat(want...))) {
			t.Errorf("skip %d: %d examples were decoded for %d", skip, reads, len(slices.Concat(want...)))
		}
	}
	for _, err := range l.Epoch(0, -1) {
		if err == nil {
			t.Error("a negative skip is accepted")
		}
	}
}

// Batches stay in order however long each takes.
func TestOrderedAcrossWorkers(t *testing.T) {
	src := &numbered{n: 64, slow: func(i int) { time.Sleep(time.Duration((64-i)%7) * 100 * time.Microsecond) }}
	got := slices.Concat(indices(t, load(t, src, Options{Batch: 2, Workers: 8}), 0, 0)...)
	if !slices.Equal(got, identity(64)) {
		t.Errorf("order is %v", got)
	}
}

// While the consumer holds a batch, the next Workers ones are decoded, no more.
func TestDecodesAheadWithinBounds(t *testing.T) {
	src := &numbered{n: 100}
	for _, err := range load(t, src, Options{Batch: 10, Workers: 3}).Iter() {
		if err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(5 * time.Second)
		for src.reads.Load() < 40 && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
		if reads := src.reads.Load(); reads != 40 {
			t.Errorf("%d examples were decoded, want 10 and 30 ahead", reads)
		}
		break
	}
}

func TestGoroutinesEndWithTheIteration(t *testing.T) {
	before := runtime.NumGoroutine()
	release := make(chan struct{})
	var once sync.Once
	src := &numbered{n: 1000, slow: func(i int) {
		if i >= 20 {
			<-release // busy when the consumer leaves
		}
	}}
	l := load(t, src, Options{Batch: 10, Workers: 4})
	for range l.Iter() {
		time.AfterFunc(20*time.Millisecond, func() { once.Do(func() { close(release) }) })
		break
	}
	// The iterator waits for its goroutines, so there is nothing to wait for.
	if after := runtime.NumGoroutine(); after > before+1 { // the timer may be one
		t.Errorf("%d goroutines before, %d after a break", before, after)
	}
	if reads := src.reads.Load(); reads > 10+4*10 {
		t.Errorf("%d examples were decoded though the consumer left", reads)
	}

	func() {
		defer func() { _ = recover() }()
		for range l.Iter() {
			panic("consumer")
		}
	}()
	time.Sleep(20 * time.Millisecond)
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after a panic", before, after)
	}
}

func TestReadErrorNamesTheExample(t *testing.T) {
	before := runtime.NumGoroutine()
	l := load(t, &numbered{n: 100, fail: 37}, Options{Batch: 10, Workers: 2})
	good, bad := 0, 0
	for b, err := range l.Iter() {
		if err == nil {
			good++
			continue
		}
		bad++
		if want := "data: example 37 of numbered: bad sector"; err.Error() != want {
			t.Errorf("error is %q, want %q", err, want)
		}
		if len(b.Inputs) != 0 {
			t.Error("a batch beside the error")
		}
	}
	if good != 3 || bad != 1 {
		t.Errorf("%d batches and %d errors, want 3 and 1", good, bad)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines before, %d after an error", before, after)
	}
}

// The trainer finalises the tensors of each batch.
func TestBatchesDontShareTensors(t *testing.T) {
	l := load(t, &numbered{n: 20}, Options{Batch: 5})
	var kept []train.Batch
	for b, err := range l.Iter() {
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, b)
	}
	if err := kept[0].Finalize(); err != nil {
		t.Fatal(err)
	}
	if got := values[int32](t, kept[1].Inputs[1]); !slices.Equal(got, []int32{5, 6, 7, 8, 9}) {
		t.Errorf("second batch is %v after the first was finalised", got)
	}
	if got := indices(t, l, 0, 0)[0]; !slices.Equal(got, []int32{0, 1, 2, 3, 4}) {
		t.Errorf("first batch is %v after it was finalised", got)
	}
}

func TestBatchesRefuses(t *testing.T) {
	for _, test := range []struct {
		src  *numbered
		o    Options
		want string
	}{
		{&numbered{n: 10}, Options{}, "batch size 0: choose at least 1"},
		{&numbered{n: 10}, Options{Batch: 11}, "a batch of 11 is larger than the 10 examples of numbered: choose a batch of at most 10"},
		{&numbered{n: 10}, Options{Batch: 5, Labels: true}, "labels asked for, but numbered has none"},
		{&numbered{n: 10}, Options{Batch: 5, Workers: -1}, "-1 workers"},
		{&numbered{}, Options{Batch: 5, KeepLast: true}, "numbered has no examples"},
	} {
		_, err := Batches(test.src, test.o)
		wantError(t, err, test.want)
	}
}

func wantError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, want %q", want)
	} else if !strings.Contains(err.Error(), want) {
		t.Errorf("error is %q, want %q", err, want)
	}
}

func TestSubsetIsBalanced(t *testing.T) {
	src := &numbered{n: 1000, classes: 10}
	for _, n := range []int{3, 100, 105, 1000} {
		s, err := Subset(src, n, 1)
		if err != nil {
			t.Fatal(err)
		}
		if s.Len() != n {
			t.Errorf("subset of %d has %d examples", n, s.Len())
		}
		count := make([]int, 10)
		for _, l := range Labels(s) {
			count[l]++
		}
		if slices.Max(count)-slices.Min(count) > 1 {
			t.Errorf("subset of %d has %v of each class", n, count)
		}
	}
}

func TestSubsetKeepsExamplesTogether(t *testing.T) {
	src := &numbered{n: 200, classes: 5}
	s, err := Subset(src, 50, 2)
	if err != nil {
		t.Fatal(err)
	}
	last := -1
	for i := range s.Len() {
		pixels := make([]uint8, 6)
		if err := s.Read(i, pixels); err != nil {
			t.Fatal(err)
		}
		if int(pixels[0]) <= last {
			t.Errorf("example %d comes after %d", pixels[0], last)
		}
		last = int(pixels[0])
		if s.Label(i) != int32(last%5) {
			t.Errorf("example %d has label %d", last, s.Label(i))
		}
	}
	again, _ := Subset(src, 50, 2)
	if !slices.Equal(again.(*subset).index, s.(*subset).index) || again.Name() != s.Name() {
		t.Error("the same seed draws another subset")
	}
	other, _ := Subset(src, 50, 3)
	if slices.Equal(other.(*subset).index, s.(*subset).index) || other.Name() == s.Name() {
		t.Error("another seed draws the same subset or gives it the same name")
	}
}

func TestSubsetRefuses(t *testing.T) {
	_, err := Subset(&numbered{n: 10}, 11, 0)
	wantError(t, err, "a subset of 11 examples of numbered: choose 1 to 10")
	_, err = Subset(&numbered{n: 10}, 0, 0)
	wantError(t, err, "choose 1 to 10")
	_, err = Subset(&numbered{n: 13, classes: 10}, 13, 0) // three classes have 2
	if err != nil {
		t.Error(err)
	}
	uneven := &memory{name: "uneven", height: 1, width: 1, channels: 1, pixels: make([]uint8, 9), labels: []uint8{0, 0, 0, 0, 0, 0, 1, 1, 1}, classes: []string{"many", "few"}}
	_, err = Subset(uneven, 8, 0)
	wantError(t, err, `needs 4 of each class, but "few" has 3: choose at most 6`)
	if s, err := Subset(&numbered{n: 10}, 4, 0); err != nil || s.Len() != 4 {
		t.Errorf("subset without labels: %v", err)
	}
}

func ExampleBatches() {
	images, _, err := Open("fashion-mnist-10k", OpenOptions{})
	if err != nil {
		panic(err)
	}
	loader, err := Batches(images, Options{Batch: 256, Shuffle: true, Seed: 1})
	if err != nil {
		panic(err)
	}
	fmt.Println(loader.Name(), loader.Steps(), "steps")
	for batch, err := range loader.Epoch(0, 38) { // a run resumed before its last step
		if err != nil {
			panic(err)
		}
		fmt.Println(batch.Inputs[0].Shape(), batch.Inputs[1].Shape(), len(batch.Labels), "labels")
	}
	// Output:
	// fashion-mnist-10k/train 39 steps
	// (Uint8)[256, 28, 28, 1] (Int32)[256] 0 labels
}

func TestProportional(t *testing.T) {
	src := &memory{name: "uneven", height: 1, width: 1, channels: 1, pixels: make([]uint8, 100),
		labels: slices.Concat(make([]uint8, 45), bytes.Repeat([]byte{1}, 45), bytes.Repeat([]byte{2}, 10)), classes: []string{"a", "b", "c"}}
	all, err := Proportional(src, 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	have := make([]int, 3)
	for _, l := range Labels(all) {
		have[l]++
	}
	if all.Len() != 20 || have[2] < 1 || have[2] > 6 || have[0] < 5 || have[1] < 5 {
		t.Errorf("%d examples, of each class %v", all.Len(), have)
	}
	again, _ := Proportional(src, 20, 1)
	if !slices.Equal(Labels(again), Labels(all)) {
		t.Error("another draw with the same seed")
	}
	for _, n := range []int{2, 101} {
		if _, err := Proportional(src, n, 1); err == nil {
			t.Errorf("%d of 100 in 3 classes: no error", n)
		}
	}
}
