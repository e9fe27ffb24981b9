package mlflow

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// server is what a client relies on of an MLflow server, with one experiment.
type server struct {
	t       *testing.T
	created bool // the experiment
	runs    []map[string]any
	metrics map[string]float64 // "name step"
	params  map[string]string
	status  string
	auth    string
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.auth = r.Header.Get("Authorization")
	var body struct {
		Name, Filter, Status string
		Tags, Params         []struct{ Key, Value string }
		Metrics              []struct {
			Key   string
			Value float64
			Step  int
		}
	}
	if r.Method == http.MethodPost {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			s.t.Error(err)
		}
	}
	answer := func(v any) { json.NewEncoder(w).Encode(v) }
	switch strings.TrimPrefix(r.URL.Path, "/api/2.0/mlflow/") {
	case "experiments/get-by-name":
		if !s.created || r.URL.Query().Get("experiment_name") != "a course" {
			w.WriteHeader(http.StatusNotFound)
			answer(map[string]string{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No Experiment"})
			return
		}
		answer(map[string]any{"experiment": map[string]string{"experiment_id": "7"}})
	case "experiments/create":
		s.created = body.Name == "a course"
		answer(map[string]string{"experiment_id": "7"})
	case "runs/search":
		var found []map[string]any
		for _, run := range s.runs {
			if strings.Contains(body.Filter, "'"+run["key"].(string)+"'") {
				last := 0
				for name := range s.metrics {
					var step int
					if n, _ := fmt.Sscanf(name, "loss %d", &step); n == 1 {
						last = max(last, step)
					}
				}
				found = append(found, map[string]any{"info": map[string]string{"run_id": "r1"},
					"data": map[string]any{"metrics": []map[string]any{{"key": "loss", "step": fmt.Sprint(last)}}}})
			}
		}
		answer(map[string]any{"runs": found})
	case "runs/create":
		s.runs = append(s.runs, map[string]any{"key": body.Tags[0].Value})
		answer(map[string]any{"run": map[string]any{"info": map[string]string{"run_id": "r1"}}})
	case "runs/log-batch":
		if len(body.Params) > 100 || len(body.Metrics) > 1000 {
			s.t.Errorf("%d params and %d metrics in one request", len(body.Params), len(body.Metrics))
		}
		for _, m := range body.Metrics {
			s.metrics[fmt.Sprint(m.Key, " ", m.Step)] = m.Value
		}
		for _, p := range body.Params {
			s.params[p.Key] = p.Value
		}
		answer(struct{}{})
	case "runs/update":
		s.status = body.Status
		answer(struct{}{})
	default:
		s.t.Errorf("an unknown path: %s", r.URL.Path)
	}
}

func TestRun(t *testing.T) {
	s := &server{t: t, metrics: map[string]float64{}, params: map[string]string{}}
	at := httptest.NewServer(s)
	defer at.Close()
	t.Setenv("MLFLOW_TRACKING_URI", at.URL+"/")
	t.Setenv("MLFLOW_EXPERIMENT_NAME", "a course")
	t.Setenv("MLFLOW_TRACKING_TOKEN", "")
	t.Setenv("MLFLOW_TRACKING_USERNAME", "ada")
	t.Setenv("MLFLOW_TRACKING_PASSWORD", "x")
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	params := map[string]string{"long": strings.Repeat("ä", 600)}
	for i := range 150 {
		params[fmt.Sprint("p", i)] = "1"
	}
	for i := range 2 { // the second time the run is found
		r, err := c.Open(t.Context(), "41f0", "rotation", params, "loss")
		if err != nil {
			t.Fatal(err)
		}
		if r.Steps != i {
			t.Errorf("the server has %d steps, want %d", r.Steps, i)
		}
		if err := r.Log(t.Context(), time.Now(), i+1, map[string]float64{"loss": 0.5, "report/accuracy": 0.25}); err != nil {
			t.Fatal(err)
		}
		if err := r.End(t.Context(), Finished); err != nil {
			t.Fatal(err)
		}
	}
	if want := map[string]float64{"loss 1": 0.5, "loss 2": 0.5, "report/accuracy 1": 0.25, "report/accuracy 2": 0.25}; !reflect.DeepEqual(s.metrics, want) {
		t.Errorf("metrics %v, want %v", s.metrics, want)
	}
	if len(s.runs) != 1 || len(s.params) != 151 || len([]rune(s.params["long"])) != 500 || s.status != Finished || !strings.HasPrefix(s.auth, "Basic ") {
		t.Errorf("%d runs, %d params, status %s, authorization %q", len(s.runs), len(s.params), s.status, s.auth)
	}
}

func TestMistakes(t *testing.T) {
	for _, uri := range []string{"", "localhost:5000", "file:///tmp/x"} {
		t.Setenv("MLFLOW_TRACKING_URI", uri)
		if _, err := New(); err == nil || !strings.Contains(err.Error(), "set it to the address of a server") {
			t.Errorf("%q: %v", uri, err)
		}
	}
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `{"message": "not yours"}`)
	}))
	t.Setenv("MLFLOW_TRACKING_URI", at.URL)
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Open(t.Context(), "k", "n", nil, "loss"); err == nil || !strings.Contains(err.Error(), "403 Forbidden not yours") {
		t.Errorf("of a server that refuses: %v", err)
	}
	at.Close()
	if _, err := c.Open(t.Context(), "k", "n", nil, "loss"); err == nil || !strings.Contains(err.Error(), "start the server") {
		t.Errorf("of a server that is gone: %v", err)
	}
}
