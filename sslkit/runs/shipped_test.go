package runs

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/internal/sealed"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/pjrt"
)

// shippedRun trains and ships a small run.
func shippedRun(t *testing.T, method string) (s *Store, records string, r *Record, o eval.Options) {
	t.Helper()
	s, _ = newStore(t)
	c := small(t, method)
	o = labtest.Quick()
	o.NonLinear = nil
	if _, err := s.Evaluate(t.Context(), c, o); err != nil {
		t.Fatal(err)
	}
	r, err := s.Find(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	records = filepath.Join(t.TempDir(), "records")
	if err := s.Ship(t.Context(), records, r.Key[:6]); err != nil {
		t.Fatal(err)
	}
	return s, records, r, o
}

// What only training needs is not shipped, and is not missed by what measures the encoder.
func TestShippedWithoutScaffold(t *testing.T) {
	at, records, r, o := shippedRun(t, "moco")
	o.K = 3
	want, err := at.Evaluate(t.Context(), r.Config, o)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := newStore(t)
	s.Shipped = records
	got, err := s.Evaluate(t.Context(), r.Config, o)
	if err != nil || !sameJSON(got, want) {
		t.Errorf("scores of the shipped encoder are %+v, %v, want %+v", got, err, want)
	}
	text, err := os.ReadFile(filepath.Join(records, r.Key, shippedFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte(`"/encoder/`)) || bytes.Contains(text, []byte(`"/key/`)) || bytes.Contains(text, []byte(`"/queue/`)) {
		t.Error("of a MoCo the slow encoder or the queue is shipped, or the encoder is not")
	}
}

// A run that came with the checkout is found, says so, and is probed further without a step of training; what is shipped stays
// as it was.
func TestShippedRunsAreFound(t *testing.T) {
	at, records, r, o := shippedRun(t, "rotation")
	want, err := at.Evaluate(t.Context(), r.Config, o)
	if err != nil {
		t.Fatal(err)
	}
	other := o
	other.K = 3
	wantOther, err := at.Evaluate(t.Context(), r.Config, other)
	if err != nil {
		t.Fatal(err)
	}
	before := contents(t, records)

	s, news := newStore(t)
	s.Shipped = records
	c := small(t, "rotation")
	got, err := s.Evaluate(t.Context(), c, o)
	if err != nil || !sameJSON(got, want) {
		t.Errorf("shipped scores are %+v, %v, want %+v", got, err, want)
	}
	for range 2 { // measured, and then remembered
		got, err = s.Evaluate(t.Context(), c, other)
		if err != nil || !sameJSON(got, wantOther) {
			t.Errorf("scores of the shipped encoder are %+v, %v, want %+v", got, err, wantOther)
		}
	}
	found, err := s.Pretrain(t.Context(), c)
	if err != nil || found.Key != r.Key || found.Shipped == nil || !sameFigures(found, r) {
		t.Errorf("found %+v, %v", found, err)
	}
	if !strings.Contains(news.String(), "of this checkout, computed on "+machine()) || news.Steps > 0 {
		t.Errorf("%d steps were taken; said was %q", news.Steps, news)
	}
	if listed, err := s.List(); err != nil || len(listed) != 1 || listed[0].Origin() == "" {
		t.Errorf("listed are %v, %v", listed, err)
	}
	if all, err := s.Scores(r.Key); err != nil || len(all) != 2 {
		t.Errorf("%d scores, %v, want the shipped and the new one", len(all), err)
	}
	if err := s.Ship(t.Context(), t.TempDir(), r.Key); err == nil || !strings.Contains(err.Error(), "came with this checkout") {
		t.Errorf("shipping it on: %v", err)
	}
	if _, err := s.Repair(t.Context(), r.Key); err == nil {
		t.Error("a shipped run was repaired")
	}
	if after := contents(t, records); after != before {
		t.Error("the shipped records were changed")
	}

	// A store without them makes its own.
	plain, news := newStore(t)
	if made := pretrain(t, plain, c); made.Shipped != nil || news.Steps == 0 {
		t.Errorf("without shipped records %+v was found", made)
	}
}

// It is found on any backend, and never taken for this machine's.
func TestShippedRunsOfAnotherBackend(t *testing.T) {
	_, records, r, o := shippedRun(t, "rotation")
	elsewhere := *r
	elsewhere.Config.Backend = "xla:elsewhere"
	elsewhere.Key = elsewhere.Config.KeyAt(elsewhere.Revision)
	var shipped Record
	if err := sealed.Read(filepath.Join(records, r.Key, "record.json"), &shipped); err != nil {
		t.Fatal(err)
	}
	elsewhere.Shipped = shipped.Shipped
	if err := os.Rename(filepath.Join(records, r.Key), filepath.Join(records, elsewhere.Key)); err != nil {
		t.Fatal(err)
	}
	if err := write(filepath.Join(records, elsewhere.Key, "record.json"), &elsewhere); err != nil {
		t.Fatal(err)
	}
	s, news := newStore(t)
	s.Shipped = records
	found, err := s.Pretrain(t.Context(), small(t, "rotation"))
	if err != nil || found.Key != elsewhere.Key || found.Config.Backend != "xla:elsewhere" || news.Steps > 0 {
		t.Errorf("found %+v, %v, after %d steps", found, err, news.Steps)
	}
	// Its scores are of another key, and are measured again.
	if _, err := s.Evaluate(t.Context(), small(t, "rotation"), o); err != nil || news.Steps > 0 {
		t.Errorf("%v, after %d steps", err, news.Steps)
	}
	// A run that was made here goes before.
	own, _ := newStore(t)
	made := pretrain(t, own, small(t, "rotation"))
	own.Shipped = records
	if found, err := own.Pretrain(t.Context(), small(t, "rotation")); err != nil || found.Key != made.Key {
		t.Errorf("found %+v, %v, and not the store's own", found, err)
	}
}

func TestDamagedShipment(t *testing.T) {
	_, records, r, o := shippedRun(t, "rotation")
	o.K = 3
	flip(t, filepath.Join(records, r.Key, shippedFile))
	s, _ := newStore(t)
	s.Shipped = records
	if _, err := s.Evaluate(t.Context(), r.Config, o); err == nil || !strings.Contains(err.Error(), "bring the file back") {
		t.Errorf("probing a damaged encoder: %v", err)
	}
	flip(t, filepath.Join(records, r.Key, "record.json"))
	s, news := newStore(t)
	s.Shipped = records
	if made := pretrain(t, s, small(t, "rotation")); made.Shipped != nil || news.Steps == 0 || !strings.Contains(news.String(), "it is not used") {
		t.Errorf("of a damaged record came %+v and %q", made, news)
	}
}

func TestShipRefuses(t *testing.T) {
	s, _ := newStore(t)
	r := pretrain(t, s, labtest.Tiny(t))
	half := small(t, "rotation")
	if _, err := s.Pretrain(stopAt(s, 1), half); err == nil {
		t.Fatal("it was not interrupted")
	}
	for key, want := range map[string]string{r.Key: "files that others do not have", keyOf(t, s, half): "not finished", "ffffffffff": "no run's key"} {
		dir := t.TempDir()
		if err := s.Ship(context.Background(), dir, key); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
		if left := contents(t, dir); left != "" {
			t.Errorf("left is %q", left)
		}
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		text[len(text)/2] ^= 1
		err = os.WriteFile(path, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// contents of all files under dir.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var out strings.Builder
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		out.WriteString(path + "\n" + string(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What is shipped names no path of the machine that made it.
func TestShippedRecordsHaveNoPaths(t *testing.T) {
	s, _, r, _ := shippedRun(t, "rotation")
	r.Backend.Config = "xla:/home/somebody/plugin_cpu.so"
	r.Backend.Tried = []pjrt.Attempt{{Candidate: "xla:/home/somebody/broken.so"}}
	if err := s.write(r); err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	if err := s.Ship(t.Context(), to, r.Key); err != nil {
		t.Fatal(err)
	}
	if text := contents(t, to); strings.Contains(text, "somebody") || !strings.Contains(text, r.Key) {
		t.Errorf("shipped is %.2000s", text)
	}
}
