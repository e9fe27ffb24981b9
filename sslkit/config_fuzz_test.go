package sslkit_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
)

// What is read as a configuration is valid, and is written as what it was read from: its key is that of the file.
func FuzzReadConfig(f *testing.F) {
	for _, method := range []string{"rotation", "simclr", "mae", "random"} {
		c, err := recipe.Preset(f.Context(), method, sslkit.Smoke, "")
		if err != nil {
			f.Fatal(err)
		}
		text, err := json.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"method":{"rotation":{}},"data":{"name":"photos"},"epochs":1e400}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := sslkit.ReadConfig(bytes.NewReader(text))
		if err != nil {
			return
		}
		again, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := sslkit.ReadConfig(bytes.NewReader(again)); err != nil || back.Key() != c.Key() {
			t.Errorf("%s is read as %s, whose key is another: %v", text, again, err)
		}
	})
}
