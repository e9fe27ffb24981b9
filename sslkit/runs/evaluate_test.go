package runs

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
)

func TestEvaluateOnce(t *testing.T) {
	s, notes := newStore(t)
	c, o := labtest.Tiny(t), labtest.Quick()
	first, err := s.Evaluate(context.Background(), c, o)
	if err != nil {
		t.Fatal(err)
	}
	if first.Pretext == nil || first.EndToEnd != nil || len(first.Stages) != 3 || first.Stages[1].NonLinear == nil {
		t.Errorf("scores %+v", first)
	}
	steps := notes.Steps
	again, err := s.Evaluate(context.Background(), c, o)
	if err != nil || !reflect.DeepEqual(again, first) || notes.Steps != steps {
		t.Errorf("the second time %+v, %v, and %d more steps", again, err, notes.Steps-steps)
	}

	// Damaged scores are measured again, to the same.
	r, err := s.Find(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	path := s.path(r.Key, "scores-"+sslkit.Hash(o)+".json")
	for _, text := range []string{"", "{}", `{"train": 80, "stages"`} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if again, err = s.Evaluate(context.Background(), c, o); err != nil || !reflect.DeepEqual(again, first) {
			t.Errorf("after damage %q: %+v, %v", text, again, err)
		}
	}
	if all, err := s.Scores(r.Key); err != nil || len(all) != 1 || !reflect.DeepEqual(all[0], first) {
		t.Errorf("kept are %+v, %v", all, err)
	}

	o.K = 3
	if other, err := s.Evaluate(context.Background(), c, o); err != nil || other.Options.K != 3 || notes.Steps != steps {
		t.Errorf("other options: %+v, %v, and %d more steps", other, err, notes.Steps-steps)
	}

	if err := os.RemoveAll(s.path(r.Key, "checkpoints")); err != nil {
		t.Fatal(err)
	}
	o.K = 4
	_, err = s.Evaluate(context.Background(), c, o)
	labtest.WantError(t, "without checkpoints", err, "cannot be read", "sslkit runs repair "+r.Key)
}

func TestEvaluateBaselines(t *testing.T) {
	s, _ := newStore(t)
	random, err := s.Evaluate(context.Background(), recipe.RandomInit(labtest.Tiny(t)), labtest.Quick())
	if err != nil || random.Pretext != nil || random.EndToEnd != nil {
		t.Errorf("random: %+v, %v", random, err)
	}
	supervised, err := s.Evaluate(context.Background(), labelled(t), labtest.Quick())
	if err != nil || supervised.Pretext != nil || supervised.EndToEnd == nil {
		t.Errorf("supervised: %+v, %v", supervised, err)
	}
	for _, c := range []sslkit.Config{recipe.RandomInit(labtest.Tiny(t)), labelled(t)} { // baselines are runs too
		if r, err := s.Find(context.Background(), c); err != nil || !r.Done {
			t.Errorf("%s: record %+v, %v", sslkit.NameOf(c.Method), r, err)
		}
	}
}

func TestEvaluateInterrupted(t *testing.T) {
	s, _ := newStore(t)
	pretrain(t, s, labtest.Tiny(t))
	ctx, cancel := context.WithCancel(context.Background())
	s.Report = func(Progress) { cancel() } // with the news that it begins to probe
	if _, err := s.Evaluate(ctx, labtest.Tiny(t), labtest.Quick()); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Errorf("error %v, want ErrInterrupted", err)
	}
	s.Report = nil
	if _, err := s.Evaluate(context.Background(), labtest.Tiny(t), labtest.Quick()); err != nil {
		t.Error(err)
	}
}

// Data without labels is refused at once, not after the training.
func TestEvaluateUnlabelled(t *testing.T) {
	s, notes := newStore(t)
	c := labtest.Tiny(t)
	c.Data.Name = labtest.Folder(t, false)
	_, err := s.Evaluate(context.Background(), c, labtest.Quick())
	labtest.WantError(t, "no labels", err, c.Data.Name, "has no labels")
	if notes.Steps > 0 {
		t.Errorf("it trained %d steps before", notes.Steps)
	}
	if r := pretrain(t, s, c); !r.Done || r.History.Figures != nil {
		t.Errorf("trained without labels: %+v", r)
	}
}

// The same relative path is another folder elsewhere.
func TestRelativeFolder(t *testing.T) {
	s, _ := newStore(t)
	c := labtest.Tiny(t)
	whole := c.Data.Name
	t.Chdir(labtest.Images)
	c.Data.Name = "folder:labelled"
	r := pretrain(t, s, c)
	if r.Config.Data.Name != whole {
		t.Errorf("the record has %s, want %s", r.Config.Data.Name, whole)
	}
	if err := os.Mkdir("elsewhere", 0o755); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(labtest.Images, "elsewhere"))
	if _, err := s.Find(context.Background(), c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("from another folder: %v, want ErrNotExist", err)
	}
	c.Data.Name = whole
	if again, err := s.Find(context.Background(), c); err != nil || again.Key != r.Key {
		t.Errorf("by its whole path: %+v, %v", again, err)
	}
}
