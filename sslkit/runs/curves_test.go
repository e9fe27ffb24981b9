package runs

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sslkit/lab/internal/labtest"
)

// A run that is stopped within its second epoch and goes on has the curves of its record, and one file of events that holds both
// epochs.
func TestCurves(t *testing.T) {
	defer func(every time.Duration) { saveEvery = every }(saveEvery)
	s, _ := newStore(t)
	c := labtest.Tiny(t)
	if _, err := s.Pretrain(stopAt(s, 7), c); err == nil {
		t.Fatal("it was not interrupted")
	}
	dir := filepath.Join(s.Dir, keyOf(t, s, c))
	first := eventsIn(t, dir)
	if lines := readCSV(t, dir); len(lines) != 2 {
		t.Errorf("after one epoch the table is %v", lines)
	}
	s.Report = nil
	r := pretrain(t, s, c)
	second := eventsIn(t, dir)
	if second == first {
		t.Error("what went on writes to the file of who was stopped")
	}
	content, err := os.ReadFile(second)
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"loss", "rate", "seconds", "report/accuracy", "figure/knn", "figure/feature_std"} {
		if n := bytes.Count(content, []byte(tag)); n < 2 {
			t.Errorf("%q is %d times in the events, want once an epoch", tag, n)
		}
	}
	lines := readCSV(t, dir)
	if want := []string{"epoch", "loss", "rate", "seconds", "report/accuracy"}; len(lines) != 3 || !reflect.DeepEqual(lines[0][:5], want) {
		t.Fatalf("the table is %v, want a head of %v and two epochs", lines, want)
	}
	for epoch, line := range lines[1:] {
		loss, err := strconv.ParseFloat(line[1], 64)
		if err != nil || line[0] != strconv.Itoa(epoch+1) || loss != r.History.Loss[epoch] {
			t.Errorf("epoch %d is %v, want the loss %g; %v", epoch+1, line, r.History.Loss[epoch], err)
		}
		knn := slices.Index(lines[0], "figure/knn")
		if v, err := strconv.ParseFloat(line[knn], 64); err != nil || v != r.History.Figures["knn"][epoch] {
			t.Errorf("k-NN of epoch %d is %q, want %g", epoch+1, line[knn], r.History.Figures["knn"][epoch])
		}
	}
}

// That curves cannot be written stops no run.
func TestCurvesInTheWay(t *testing.T) {
	s, notes := newStore(t)
	c := labtest.Tiny(t)
	if err := os.MkdirAll(filepath.Join(s.Dir, keyOf(t, s, c), "metrics.csv"), 0o755); err != nil { // in the file's place
		t.Fatal(err)
	}
	if r := pretrain(t, s, c); !r.Done {
		t.Error("the run is not done")
	}
	if n := strings.Count(notes.String(), "the curves cannot be written"); n != 1 {
		t.Errorf("it is said %d times, want once:\n%s", n, notes)
	}
}

// A tracking server that fails for an epoch gets that one later; a finished run is told again, and has nothing new.
func TestTracker(t *testing.T) {
	var fails atomic.Bool
	logged, status := map[string]int{}, ""
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Status  string
			Metrics []struct {
				Key  string
				Step int
			}
		}
		json.NewDecoder(r.Body).Decode(&body)
		switch path := r.URL.Path; {
		case strings.HasSuffix(path, "log-batch") && len(body.Metrics) > 0:
			if fails.CompareAndSwap(true, false) {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			for _, m := range body.Metrics {
				logged[fmt.Sprint(m.Key, m.Step)]++
			}
		case strings.HasSuffix(path, "update"):
			status = body.Status
		case strings.HasSuffix(path, "search") && len(logged) > 0:
			fmt.Fprint(w, `{"runs": [{"info": {"run_id": "r"}, "data": {"metrics": [{"key": "loss", "step": 2}]}}]}`)
			return
		}
		fmt.Fprint(w, `{"experiment": {"experiment_id": "1"}, "run": {"info": {"run_id": "r"}}}`)
	}))
	defer at.Close()
	t.Setenv("MLFLOW_TRACKING_URI", at.URL)
	s, notes := newStore(t)
	var err error
	if s.Tracker, err = OpenTracker("mlflow"); err != nil {
		t.Fatal(err)
	}
	fails.Store(true)
	pretrain(t, s, labtest.Tiny(t))
	for range 2 {
		if logged["loss1"] != 1 || logged["loss2"] != 1 || logged["report/accuracy2"] != 1 || status != "FINISHED" {
			t.Errorf("the server has %v and the status %q", logged, status)
		}
		pretrain(t, s, labtest.Tiny(t))
	}
	if !strings.Contains(notes.String(), "502 Bad Gateway") {
		t.Errorf("it was not said that the server failed:\n%s", notes)
	}
	if _, err := OpenTracker("wandb"); err == nil {
		t.Error("an unknown tracker passes")
	}
}

func eventsIn(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files of events: %v, want one; %v", files, err)
	}
	return files[0]
}

func readCSV(t *testing.T, dir string) [][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "metrics.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return lines
}
