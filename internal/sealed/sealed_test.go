package sealed

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

type figures struct {
	Step int       `json:"step"`
	Loss []float64 `json:"loss"`
}

var some = figures{24, []float64{0.1, 1e-300, 3}}

func TestReadsBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "state.json")
	if err := Write(path, some); err != nil {
		t.Fatal(err)
	}
	var got figures
	if err := Read(path, &got); err != nil || got.Step != 24 || len(got.Loss) != 3 || got.Loss[1] != 1e-300 {
		t.Fatalf("%+v, %v", got, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var plain map[string]any // any other program's view
	if err := json.Unmarshal(text, &plain); err != nil || plain["step"] != 24.0 || len(plain["sha256"].(string)) != 64 {
		t.Errorf("%v, %v", plain, err)
	}
}

// Every single bit counts, and every length.
func TestAnyChangeIsDamage(t *testing.T) {
	text, err := Marshal(some)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, at int, changed []byte) {
		var got figures
		if err := Unmarshal(changed, &got); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrUnsealed) {
			t.Errorf("%s at %d: %+v, %v", what, at, got, err)
		}
	}
	for i := range text {
		for bit := range 8 {
			changed := bytes.Clone(text)
			changed[i] ^= 1 << bit
			refused("a flipped bit", i, changed)
		}
		refused("a cut", i, text[:i])
	}
	refused("an added byte", len(text), append(bytes.Clone(text), '\n'))
}

func TestUnsealed(t *testing.T) {
	var got figures
	if err := Unmarshal([]byte(`{"step": 3}`), &got); !errors.Is(err, ErrUnsealed) {
		t.Errorf("error %v", err)
	}
	for _, v := range []any{3, struct{}{}, []int{1}} {
		if text, err := Marshal(v); err == nil {
			t.Errorf("%v was sealed: %s", v, text)
		}
	}
}
