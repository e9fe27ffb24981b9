package cli

import (
	"encoding/json"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/sslkit/lab/sslkit/study"
)

func TestAblate(t *testing.T) {
	if testing.Short() {
		t.Skip("trains three networks")
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	svg := filepath.Join(t.TempDir(), "rate.svg")
	line := "ablate --vary rate=0.01,0.1 --seeds 4 --json --svg " + svg
	out, _ := must(t, line, tiny...)
	var result study.Comparison
	decode(t, out, &result)
	var names []string
	for _, r := range result.Rows {
		names = append(names, r.Name)
	}
	if want := []string{"rate 0.01", "rate 0.1", "random init", "random, norms fitted", "supervised"}; !reflect.DeepEqual(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
	if reflect.DeepEqual(result.Rows[0].Linear, result.Rows[1].Linear) {
		t.Errorf("a tenth of the rate changes nothing: %+v", result.Rows[0])
	}
	wantAll(t, "the figure", read(t, svg), "<svg", "rate; ", "0.01", "linear probe", "random init")
}

func TestAblateMistakes(t *testing.T) {
	for _, test := range []struct{ words, want string }{
		{"ablate", "write FIELD=VALUE"},
		{"ablate --vary rate", "write FIELD=VALUE"},
		{"ablate --vary rats=1,2", `did you mean "optimizer.rate"`},
		{"ablate --vary rate=0.1,-1", "rate -1: sslkit: learning rate -1"},
		{"ablate --vary rate=0.1,0.2 --vary width", "write FIELD=VALUE"},
		{"ablate --vary rate=0.1 --vary optimizer.rate=0.2", "optimizer.rate is varied twice"},
		{"ablate --vary rate=0.1 --vary depth=3,7", "rate 0.1, depth 7: nn: a nin's depth"},
		{"ablate --vary rate=0.1 --parallel 0", "--parallel 0: choose at least 1"},
	} {
		code, _, errs := call(test.words)
		if code != exitUsage {
			t.Errorf("%s: exit code %d", test.words, code)
		}
		wantAll(t, test.words, errs, test.want)
	}
}

func TestValues(t *testing.T) {
	got, err := json.Marshal(values("[0,90],[90,270],3,x"))
	if want := `[[0,90],[90,270],3,"x"]`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
