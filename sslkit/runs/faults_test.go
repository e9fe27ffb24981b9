package runs

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/recipe"
)

// harm is a way to damage a file. It returns false where the file is as before.
type harm struct {
	name string
	do   func(rnd *rand.Rand, data []byte) []byte
}

var harms = []harm{
	{"bit flipped", func(rnd *rand.Rand, data []byte) []byte {
		data[rnd.IntN(len(data))] ^= 1 << rnd.IntN(8)
		return data
	}},
	{"digit changed", func(rnd *rand.Rand, data []byte) []byte {
		for range 1000 {
			if i := rnd.IntN(len(data)); data[i] >= '0' && data[i] <= '9' {
				data[i] = '0' + (data[i]-'0'+byte(1+rnd.IntN(9)))%10
				break
			}
		}
		return data
	}},
	{"zeros", func(rnd *rand.Rand, data []byte) []byte {
		from := rnd.IntN(len(data))
		clear(data[from:min(len(data), from+1+rnd.IntN(512))])
		return data
	}},
	{"cut", func(rnd *rand.Rand, data []byte) []byte { return data[:rnd.IntN(len(data))] }},
	{"grown", func(rnd *rand.Rand, data []byte) []byte { return append(data, data[:1+rnd.IntN(len(data))]...) }},
	{"lines exchanged", func(rnd *rand.Rand, data []byte) []byte {
		lines := bytes.SplitAfter(data, []byte("\n"))
		i, j := rnd.IntN(len(lines)), rnd.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]
		return bytes.Join(lines, nil)
	}},
	{"another run's", nil}, // the file of the same name beside another run
	{"removed", nil},
}

// TestFaults damages the files of a store, one at a time, and asks for everything again: each answer is as it was, is made
// again, or is refused with an error.
func TestFaults(t *testing.T) {
	n := labtest.Faults(t, 60)
	defer func(every time.Duration) { saveEvery = every }(saveEvery)
	saveEvery = 0 // so that there are two checkpoints
	s, _ := newStore(t)
	c, other := labtest.Tiny(t), labtest.Tiny(t)
	other.Seed = 2
	o := labtest.Quick()
	o.NonLinear = nil // so that features are kept too
	answer := func(s *Store, c sslkit.Config, o eval.Options) (*Record, *Scores, *weighed, error) {
		ctx := context.Background()
		scores, err := s.Evaluate(ctx, c, o)
		if err != nil {
			return nil, nil, nil, err
		}
		weight, err := weigh(ctx, s, c)
		if err != nil {
			return nil, nil, nil, err
		}
		r, err := s.Find(ctx, c)
		if err != nil {
			return nil, nil, nil, err
		}
		// What is shown of it goes other ways.
		if listed, err := s.Get(r.Key); err != nil || !sameJSON(listed, r) {
			return nil, nil, nil, fmt.Errorf("shown is %+v, %w", listed, err)
		}
		all, err := s.Scores(r.Key)
		if err == nil && !slices.ContainsFunc(all, func(x *Scores) bool { return sameJSON(x, scores) }) {
			err = fmt.Errorf("shown are %+v", all)
		}
		return r, scores, weight, err
	}
	record, scores, weight, err := answer(s, c, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := answer(s, other, o); err != nil {
		t.Fatal(err)
	}
	// Another question, which takes the encoder or its features.
	anew := o
	anew.K = 3
	copied, _ := newStore(t)
	if err := os.CopyFS(copied.Dir, os.DirFS(s.Dir)); err != nil {
		t.Fatal(err)
	}
	_, scoresAnew, _, err := answer(copied, c, anew)
	if err != nil {
		t.Fatal(err)
	}
	// A run that was interrupted, of which a wrong state would be trained on.
	half := labtest.Tiny(t)
	half.Seed = 3
	if _, err := s.Pretrain(stopAt(s, 6), half); err == nil {
		t.Fatal("it was not interrupted")
	}
	s.Report = nil
	wholeStore, _ := newStore(t)
	wantHalf := pretrain(t, wholeStore, half)

	source := os.DirFS(s.Dir)
	var files []string
	err = fs.WalkDir(source, ".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.Contains(path, ".locks") && !strings.HasPrefix(path, keyOf(t, s, other)) &&
			!strings.Contains(path, "tfevents") && filepath.Base(path) != "metrics.csv" { // never read, see curves
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	outcomes, byHarm := map[string]map[string]int{}, map[string]map[string]int{}
	for i := range n {
		rnd := rand.New(rand.NewPCG(uint64(i), 42))
		file, how := files[i%len(files)], harms[(i/len(files))%len(harms)]
		damaged, notes := newStore(t)
		if err := os.CopyFS(damaged.Dir, source); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(damaged.Dir, file)
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case how.do != nil:
			if err := os.WriteFile(path, how.do(rnd, bytes.Clone(before)), 0o644); err != nil {
				t.Fatal(err)
			}
		case how.name == "removed":
			os.Remove(path)
		default:
			_, name, _ := strings.Cut(file, "/")
			if text, err := fs.ReadFile(source, keyOf(t, s, other)+"/"+name); err == nil {
				os.WriteFile(path, text, 0o644)
			}
		}
		result := func() (result string) {
			defer func() {
				if p := recover(); p != nil {
					result = fmt.Sprint("panic: ", p)
				}
			}()
			if strings.HasPrefix(file, wantHalf.Key) {
				got, err := damaged.Pretrain(context.Background(), half)
				switch {
				case err != nil:
					return "refused"
				case !sameFigures(got, wantHalf):
					return fmt.Sprintf("wrong: %+v", got)
				}
				return "made again"
			}
			o, want := o, scores
			if !strings.HasSuffix(file, ".json") || strings.HasSuffix(file, "state.json") {
				o, want = anew, scoresAnew
			}
			gotRecord, gotScores, gotWeight, err := answer(damaged, c, o)
			switch {
			case err != nil && strings.Contains(err.Error(), "shown"):
				return "wrong: " + err.Error()
			case err != nil:
				return "refused"
			case !sameFigures(gotRecord, record) || !sameJSON(gotScores, want) || !sameJSON(gotWeight, weight):
				return fmt.Sprintf("wrong: %+v %+v %+v", gotRecord, gotScores, gotWeight)
			case notes.Steps > 0 || strings.Contains(notes.String(), "again"):
				return "made again"
			}
			return "right"
		}()
		kind := filepath.Base(file)
		for _, k := range []string{"scores-"} {
			if strings.HasPrefix(kind, k) {
				kind = k + "*.json"
			}
		}
		if strings.HasSuffix(kind, ".features") {
			kind = "*.features"
		}
		if strings.HasPrefix(file, wantHalf.Key) {
			kind += ", unfinished"
		} else if strings.Contains(file, "checkpoints") {
			kind += ", finished"
		}
		short, _, bad := strings.Cut(result, ":")
		count(outcomes, kind, short)
		if count(byHarm, how.name, short); bad {
			t.Errorf("damage %d, %s of %s: %s", i, how.name, file, result)
		}
		os.RemoveAll(damaged.Dir)
	}
	tabulate(t, outcomes)
	tabulate(t, byHarm)
}

func count(counts map[string]map[string]int, row, column string) {
	if counts[row] == nil {
		counts[row] = make(map[string]int)
	}
	counts[row][column]++
}

// weighed stands for what packages above measure of an encoder.
type weighed struct{ Mean, Square float64 }

func weigh(ctx context.Context, s *Store, c sslkit.Config) (*weighed, error) {
	return Once(ctx, s, c, "weight.json", Labelled, func(j *Job, _ *Record) (*weighed, error) {
		w := new(weighed)
		for v := range j.Store.Scope("/encoder").IterVariables() {
			x, err := v.Value()
			if err != nil {
				return nil, err
			}
			for _, f := range tensors.MustCopyFlatData[float32](x) {
				w.Mean += float64(f)
				w.Square += float64(f) * float64(f)
			}
		}
		return w, nil
	})
}

// sameFigures compares what is not time.
func sameFigures(a, b *Record) bool {
	return a.Parameters == b.Parameters && reflect.DeepEqual(a.History.Loss, b.History.Loss) &&
		reflect.DeepEqual(a.History.Reports, b.History.Reports) && reflect.DeepEqual(a.History.Figures, b.History.Figures)
}

// sameJSON compares what is kept of values.
func sameJSON(a, b any) bool {
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

func keyOf(t testing.TB, s *Store, c sslkit.Config) string {
	t.Helper()
	j, err := s.Job(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return j.Key
}

func tabulate(t testing.TB, outcomes map[string]map[string]int) {
	t.Helper()
	columns := []string{"right", "made again", "refused", "wrong", "panic"}
	t.Logf("%-24s %s", "", strings.Join(columns, "  "))
	for _, kind := range slices.Sorted(maps.Keys(outcomes)) {
		line := fmt.Sprintf("%-24s", kind)
		for _, c := range columns {
			line += fmt.Sprintf(" %*d ", len(c), outcomes[kind][c])
		}
		t.Log(line)
	}
}

// TestKills kills processes that train and probe at random moments, again and again, until one comes to its end: the result
// is bit for bit that of an undisturbed one. Methods and backends take turns.
func TestKills(t *testing.T) {
	n := labtest.Faults(t, 6)
	n = min(n, 100) // each takes seconds
	rnd := rand.New(rand.NewPCG(7, 7))
	var methods []string
	for _, r := range sslkit.Registered() {
		if r.Role == sslkit.SelfSupervised {
			methods = append(methods, r.Name)
		}
	}
	cheap := slices.Index(methods, "rotation") // to begin with
	methods = append(methods[cheap:], methods[:cheap]...)
	backends := []string{"go"}
	if os.Getenv(labtest.BackendEnv) != "go" {
		backends = append(backends, os.Getenv(labtest.BackendEnv)) // "" is the best one
	}
	type undisturbed struct {
		record *Record
		scores *Scores
		took   time.Duration
	}
	known := map[string]*undisturbed{}
	kills := 0
	for round := 0; kills < n && round < n; round++ {
		method, backend := methods[round%len(methods)], backends[(round+round/len(methods))%len(backends)]
		c, pair := small(t, method), method+" on "+cmp.Or(backend, "the best")
		work := func(dir string, limit time.Duration) (done bool) {
			cmd := child("evaluate", dir, c)
			cmd.Env = append(cmd.Env, "GOMLX_BACKEND="+backend)
			cmd.Stderr = nil
			out := new(bytes.Buffer)
			cmd.Stdout = out
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(limit, func() { cmd.Process.Kill() })
			err := cmd.Wait()
			if timer.Stop() && err != nil {
				t.Fatalf("%s: %v: %s", pair, err, out)
			}
			return err == nil
		}
		result := func(dir string) (*Record, *Scores) {
			s := &Store{Dir: dir}
			records, err := s.List()
			if err != nil || len(records) != 1 {
				t.Fatalf("%d records, %v", len(records), err)
			}
			scores, err := s.Scores(records[0].Key)
			if err != nil || len(scores) > 1 {
				t.Fatal(scores, err)
			}
			if len(scores) == 0 {
				return records[0], nil
			}
			return records[0], scores[0]
		}
		u := known[pair]
		if u == nil {
			u = new(undisturbed)
			known[pair] = u
			dir, began := t.TempDir(), time.Now()
			if !work(dir, time.Hour) {
				t.Fatal("it did not end")
			}
			u.took = time.Since(began)
			u.record, u.scores = result(dir)
		}
		dir := t.TempDir()
		killed := 0
		for killed < 3 && !work(dir, time.Duration(rnd.Float64()*float64(u.took))) {
			killed++
		}
		if !work(dir, time.Hour) {
			t.Fatal("it did not end")
		}
		r, scores := result(dir)
		if !sameFigures(r, u.record) || !sameJSON(scores, u.scores) {
			t.Errorf("%s, killed %d times: %+v %+v, undisturbed %+v %+v", pair, killed, r, scores, u.record, u.scores)
		}
		kills += killed
	}
	t.Logf("%d kills, %d pairs of method and backend: %q", kills, len(known), slices.Sorted(maps.Keys(known)))
	if kills < n/2 {
		t.Errorf("only %d processes were killed before they came to their end", kills)
	}
}

// small is a method's smallest run that does all that it does.
func small(t testing.TB, method string) sslkit.Config {
	t.Helper()
	on := "scenes"
	if method == "tracking" {
		on = "clips"
	}
	c, err := recipe.Preset(t.Context(), method, sslkit.Smoke, on)
	if err != nil {
		t.Fatal(err)
	}
	c = shrunk(c).WithEpochs(2)
	c.Optimizer.Warmup = 0
	c.Batch, c.Data.Train, c.Data.Test = 16, 64, 30
	if on == "clips" {
		c.Data.Size, c.Data.Train, c.Data.Test = 16, 32, 16
	}
	return c
}

// shrunk is c with the smallest network of its kind, and as few as it can of what there is many of.
func shrunk(c sslkit.Config) sslkit.Config {
	switch b := sslkit.Backbone(c.Method); b.Arch {
	case "vit":
		b.Depth, b.Width = 2, 32
	case "nin":
		b.Depth, b.Width = 3, 6
	case "words":
		b.Words, b.Width = 100, 8
	case "text":
		b.Depth, b.Words, b.Width = 1, 100, 32
	case "tubes":
		b.Depth, b.Width = 1, 32
	case "frames":
		b.Depth, b.Width = 2, 8
	default:
		b.Depth, b.Width = 8, 4
	}
	for field, value := range map[string]int{"queue": 64, "clusters": 8, "prototypes": 8, "decoder_depth": 1, "decoder_width": 32} { // of those that have them
		if smaller, err := c.With(field, value); err == nil {
			c = smaller
		}
	}
	return c
}

// childEvaluate trains and probes, where there are labels.
func childEvaluate() {
	saveEvery = 0
	c, err := sslkit.ReadConfig(strings.NewReader(os.Getenv(configEnv)))
	s := &Store{Dir: os.Getenv(dirEnv)}
	if r, _ := sslkit.RegistrationOf(c.Method); err == nil && r.Needs == sslkit.Moving {
		_, err = s.Pretrain(context.Background(), c)
	} else if err == nil {
		_, err = s.Evaluate(context.Background(), c, labtest.Quick())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// A finished run whose last checkpoint is damaged is said to be so, and is repaired to the bit.
func TestRepair(t *testing.T) {
	s, notes := newStore(t)
	c := labtest.Tiny(t)
	first, err := s.Evaluate(context.Background(), c, labtest.Quick())
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Find(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	path := s.path(r.Key, "checkpoints", "step-000000010", "parameters.safetensors")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 4
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	o := labtest.Quick()
	o.K = 3
	_, err = s.Evaluate(context.Background(), c, o)
	labtest.WantError(t, "a damaged last checkpoint", err, "sslkit runs repair "+r.Key, "step-000000010")
	_, err = s.Trained(context.Background(), c)
	labtest.WantError(t, "a damaged last checkpoint", err, "sslkit runs repair "+r.Key)
	notes.Steps = 0
	repaired, err := s.Repair(context.Background(), r.Key[:6])
	if err != nil || !sameFigures(repaired, r) || notes.Steps == 0 {
		t.Fatalf("%+v, %v after %d steps, want %+v", repaired, err, notes.Steps, r)
	}
	if strings.Contains(notes.String(), "other parameters") {
		t.Error("the same parameters are called others")
	}
	steps := notes.Steps
	if again, err := s.Evaluate(context.Background(), c, labtest.Quick()); err != nil || !reflect.DeepEqual(again, first) || notes.Steps != steps {
		t.Errorf("%+v, %v", again, err)
	}
	if _, err := s.Repair(context.Background(), r.Key); err != nil || notes.Steps != steps {
		t.Errorf("a whole run: %v, %d steps", err, notes.Steps-steps)
	}
}

// A record of the time before digests is shown, and no request finds it.
func TestOldRecord(t *testing.T) {
	s, notes := newStore(t)
	c := labtest.Tiny(t)
	c.Backend = "go"
	write := func(key string, c sslkit.Config) {
		text, err := json.Marshal(map[string]any{"key": key, "config": c, "done": true, "history": map[string]any{"loss": []float64{1}, "seconds": 1}})
		if err == nil {
			err = os.MkdirAll(s.path(key), 0o755)
		}
		if err == nil {
			err = os.WriteFile(s.path(key, "record.json"), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(c.Key(), c)
	r, err := s.Get(c.Key())
	if err != nil || !r.Unchecked || !r.Done {
		t.Fatalf("%+v, %v", r, err)
	}
	got := pretrain(t, s, c)
	if got.Key == r.Key || notes.Steps != 10 || !strings.Contains(notes.String(), "run "+r.Key) {
		t.Errorf("%+v after %d steps; news %q", got, notes.Steps, notes)
	}
	c.Data.Digest = got.Config.Data.Digest
	write(c.Key(), c) // one that lost its checksum
	if _, err := s.Get(c.Key()); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("without a checksum: %v", err)
	}
	c.Data.Digest = ""
	write(keyA, c)
	if _, err := s.Get(keyA); err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("under another key: %v", err)
	}
}
