package runs

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/internal/sealed"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
)

// Every method trains through the store, at its smallest, and is found again by its own key.
func TestEveryMethod(t *testing.T) {
	if testing.Short() {
		t.Skip("trains each method")
	}
	s, _ := newStore(t)
	keys := make(map[string]string)
	for _, r := range sslkit.Registered() {
		if r.Role == sslkit.Labelled || r.Role == sslkit.Untrained {
			continue
		}
		c, err := recipe.Preset(t.Context(), r.Name, sslkit.Smoke, "")
		if err != nil {
			t.Fatal(err)
		}
		c.Epochs, c.Batch, c.Optimizer.Warmup = 1, 16, 0
		switch r.Needs {
		case sslkit.Moving:
			c.Data = sslkit.Data{Name: "clips", Size: 16, Train: 32, Test: 16}
		case sslkit.Written:
			c.Data.Train, c.Data.Test = 64, 32 // of the embedded glosses
		case sslkit.Captions:
			c.Data.Train, c.Data.Test = 64, 32 // of the embedded emoji
		default:
			c.Data = sslkit.Data{Name: labtest.Folder(t, true), Size: 24}
		}
		c = shrunk(c)
		switch m := c.Method.(type) { // for images of 24 pixels
		case *sslkit.DenseCL:
			m.Grid = 2
		case *sslkit.SwAV:
			m.SmallCrops, m.SmallSize = 1, 12
		}
		if err := s.Trainable(t.Context(), c); err != nil {
			t.Errorf("%s is not trainable: %v", r.Name, err)
		}
		record, err := s.Pretrain(t.Context(), c)
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		if !record.Done || len(record.History.Loss) != 1 || record.History.Figures["knn"] == nil && r.Needs != sslkit.Moving {
			t.Errorf("%s: %+v", r.Name, record.History)
		}
		if other, taken := keys[record.Key]; taken {
			t.Errorf("%s has the key of %s", r.Name, other)
		}
		keys[record.Key] = r.Name
		if again, err := s.Pretrain(t.Context(), c); err != nil || !again.Finished.Equal(record.Finished) {
			t.Errorf("%s: asked again it is another run: %v", r.Name, err)
		}
	}
}

// A run of a method that another program has is neither damaged nor touched.
func TestUnknownMethod(t *testing.T) {
	s, news := newStore(t)
	known := put(t, s, keyB, 0)
	for name, write := range map[string]func(path string, v any) error{
		"sealed": sealed.Write,
		"of before there were checksums": func(path string, v any) error {
			text, err := sealed.Marshal(v)
			if err != nil {
				return err
			}
			_, rest, _ := strings.Cut(string(text), ",\n") // after the checksum
			return os.WriteFile(path, []byte("{\n"+rest), 0o644)
		},
	} {
		put(t, s, keyA, 0)
		path := s.path(keyA, "record.json")
		var tree map[string]any
		if err := sealed.Read(path, &tree); err != nil {
			t.Fatal(err)
		}
		delete(tree, "sha256")
		config := tree["config"].(map[string]any)
		config["method"] = map[string]any{"rotatoin": map[string]any{"whatever": 1}}
		if err := write(path, tree); err != nil {
			t.Fatal(err)
		}
		before, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		says := []string{"run " + keyA + " was made with a method that this program does not have, and is left alone", `no method is called "rotatoin"; did you mean "rotation"?`}
		all, err := s.List()
		labtest.WantError(t, name+": List", err, says...)
		if len(all) != 1 || all[0].Key != known.Key {
			t.Errorf("%s: %d other records", name, len(all))
		}
		_, got := s.Get(keyA[:4])
		labtest.WantError(t, name+": Get", got, says...)
		_, of := s.Scores(keyA)
		labtest.WantError(t, name+": Scores", of, says...)
		for _, err := range []error{err, got, of} {
			if errors.Is(err, ErrDamaged) || !errors.Is(err, sslkit.ErrUnknownMethod) || strings.Contains(err.Error(), "damaged") || strings.Contains(err.Error(), "begins it again") {
				t.Errorf("%s: %v", name, err)
			}
		}
		if after, err := os.ReadFile(path); err != nil || string(after) != string(before) {
			t.Errorf("%s: it is another file now, %v", name, err)
		}
	}
	if key, err := s.Delete(keyA); err != nil || key != keyA { // by who knows what it is
		t.Errorf("deleted %s, %v", key, err)
	}
	if _, err := os.Stat(s.path(keyA)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if news.String() != "" {
		t.Errorf("news %q", news)
	}
}
