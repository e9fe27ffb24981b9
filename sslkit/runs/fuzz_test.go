package runs

import (
	"os"
	"testing"

	"github.com/sslkit/lab/internal/sealed"
)

// No file is read as a record of another key, and none brings the program down.
func FuzzRecord(f *testing.F) {
	s := &Store{Dir: f.TempDir()}
	r := put(f, s, keyA, 0)
	text, err := sealed.Marshal(r)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"key": "0123456789abcdef", "done": true, "config": {"method": {"rotation": {}}}}`))
	path := s.path(keyA, "record.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := s.read(keyA)
		if err == nil && (got.Key != keyA || got.Config.KeyAt(got.Revision) != keyA) {
			t.Errorf("read %+v", got)
		}
		_, _ = s.List()
	})
}
