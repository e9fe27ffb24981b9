// Package mlflow logs runs to an MLflow server by its REST API.
package mlflow

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Client talks to one server.
type Client struct {
	uri, experiment string
	http            http.Client
	header          http.Header
}

// New is the client of $MLFLOW_TRACKING_URI, with the user, password or token and the experiment that MLflow's own variables name;
// without one the experiment is "sslkit".
func New() (*Client, error) {
	uri := os.Getenv("MLFLOW_TRACKING_URI")
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("mlflow: MLFLOW_TRACKING_URI is %q: set it to the address of a server, such as http://localhost:5000, which 'mlflow server' starts", uri)
	}
	c := &Client{uri: strings.TrimRight(uri, "/"), experiment: os.Getenv("MLFLOW_EXPERIMENT_NAME"), header: http.Header{}, http: http.Client{Timeout: 30 * time.Second}}
	if c.experiment == "" {
		c.experiment = "sslkit"
	}
	if token := os.Getenv("MLFLOW_TRACKING_TOKEN"); token != "" {
		c.header.Set("Authorization", "Bearer "+token)
	} else if user := os.Getenv("MLFLOW_TRACKING_USERNAME"); user != "" {
		r := http.Request{Header: c.header}
		r.SetBasicAuth(user, os.Getenv("MLFLOW_TRACKING_PASSWORD"))
	}
	return c, nil
}

// Run is one of the server.
type Run struct {
	c     *Client
	id    string
	Steps int // that it has of the metric it was opened by
}

// Status of a run, as the server names it.
const (
	Running  = "RUNNING"
	Finished = "FINISHED"
	Failed   = "FAILED"
	Killed   = "KILLED"
)

// Limits of one request and of a parameter: of the API, and of servers before MLflow 2.
const (
	maxMetrics = 1000
	maxParams  = 100
	maxValue   = 500
)

type pair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func pairs(of map[string]string) []pair {
	out := []pair{}
	for _, key := range slices.Sorted(maps.Keys(of)) {
		value := of[key]
		if r := []rune(value); len(r) > maxValue {
			value = string(r[:maxValue-1]) + "…"
		}
		out = append(out, pair{key, value})
	}
	return out
}

// keyTag is the tag by which a run is found again.
const keyTag = "sslkit.key"

// Open finds the run of a key, or creates it with this name and these parameters; counted is the metric that tells how far it is.
func (c *Client) Open(ctx context.Context, key, name string, params map[string]string, counted string) (*Run, error) {
	experiment, err := c.experimentID(ctx)
	if err != nil {
		return nil, err
	}
	var found struct {
		Runs []struct {
			Info struct {
				ID string `json:"run_id"`
			} `json:"info"`
			Data struct {
				Metrics []struct {
					Key  string      `json:"key"`
					Step json.Number `json:"step"` // a number or, as protocol buffers have it, a string
				} `json:"metrics"`
			} `json:"data"`
		} `json:"runs"`
	}
	err = c.call(ctx, http.MethodPost, "runs/search", map[string]any{"experiment_ids": []string{experiment}, "max_results": 1,
		"filter": fmt.Sprintf("tags.`%s` = '%s'", keyTag, key)}, &found)
	if err != nil {
		return nil, err
	}
	if len(found.Runs) > 0 {
		r := &Run{c: c, id: found.Runs[0].Info.ID}
		for _, m := range found.Runs[0].Data.Metrics {
			if step, err := m.Step.Int64(); m.Key == counted && err == nil {
				r.Steps = int(step)
			}
		}
		return r, r.update(ctx, Running, time.Time{})
	}
	var created struct {
		Run struct {
			Info struct {
				ID string `json:"run_id"`
			} `json:"info"`
		} `json:"run"`
	}
	err = c.call(ctx, http.MethodPost, "runs/create", map[string]any{"experiment_id": experiment, "run_name": name,
		"start_time": time.Now().UnixMilli(), "tags": []pair{{keyTag, key}}}, &created)
	if err != nil {
		return nil, err
	}
	r := &Run{c: c, id: created.Run.Info.ID}
	for some := range slices.Chunk(pairs(params), maxParams) {
		if err := c.call(ctx, http.MethodPost, "runs/log-batch", map[string]any{"run_id": r.id, "params": some}, nil); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// experimentID finds the client's experiment, or creates it.
func (c *Client) experimentID(ctx context.Context) (string, error) {
	var found struct {
		Experiment struct {
			ID string `json:"experiment_id"`
		} `json:"experiment"`
	}
	err := c.call(ctx, http.MethodGet, "experiments/get-by-name?experiment_name="+url.QueryEscape(c.experiment), nil, &found)
	if err == nil {
		return found.Experiment.ID, nil
	}
	var answer *answerError
	if !errors.As(err, &answer) || answer.status != http.StatusNotFound {
		return "", err
	}
	var created struct {
		ID string `json:"experiment_id"`
	}
	err = c.call(ctx, http.MethodPost, "experiments/create", map[string]string{"name": c.experiment}, &created)
	return created.ID, err
}

// Log sends the metrics of a step.
func (r *Run) Log(ctx context.Context, at time.Time, step int, metrics map[string]float64) error {
	type metric struct {
		Key       string  `json:"key"`
		Value     float64 `json:"value"`
		Timestamp int64   `json:"timestamp"`
		Step      int     `json:"step"`
	}
	var all []metric
	for _, key := range slices.Sorted(maps.Keys(metrics)) {
		all = append(all, metric{key, metrics[key], at.UnixMilli(), step})
	}
	for some := range slices.Chunk(all, maxMetrics) {
		if err := r.c.call(ctx, http.MethodPost, "runs/log-batch", map[string]any{"run_id": r.id, "metrics": some}, nil); err != nil {
			return err
		}
	}
	return nil
}

// End says how the run ended.
func (r *Run) End(ctx context.Context, status string) error { return r.update(ctx, status, time.Now()) }

func (r *Run) update(ctx context.Context, status string, ended time.Time) error {
	body := map[string]any{"run_id": r.id, "status": status}
	if !ended.IsZero() {
		body["end_time"] = ended.UnixMilli()
	}
	return r.c.call(ctx, http.MethodPost, "runs/update", body, nil)
}

// answerError is what a server says in place of an answer.
type answerError struct {
	status int
	text   string
}

func (e *answerError) Error() string { return e.text }

const maxAnswer = 8 << 20

func (c *Client) call(ctx context.Context, method, path string, body, answer any) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("mlflow: %s: %w", c.uri, err)
		}
	}()
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.uri+"/api/2.0/mlflow/"+path, content)
	if err != nil {
		return err
	}
	request.Header = c.header.Clone()
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("no answer: start the server, or leave --tracker out: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		var said struct {
			Message string `json:"message"`
		}
		_ = json.Unmarshal(text, &said) // of who says something else the status is told
		return &answerError{response.StatusCode, strings.TrimSpace(fmt.Sprintf("%s: %s %s", path, response.Status, said.Message))}
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s: the answer is not MLflow's: %w", path, err)
	}
	return nil
}
