package eval

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestCacheKeeps(t *testing.T) {
	c := Cache{Dir: filepath.Join(t.TempDir(), "made"), Key: "abc"}
	want := [][][]float32{{{1, 2, 3}, {4, 5, -6.5}}, {}, {{7}, {8}}}
	calls := 0
	compute := func() ([][][]float32, error) { calls++; return want, nil }
	get := func(c Cache, name string) {
		t.Helper()
		got, err := c.Features(name, compute)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%v, %v", got, err)
		}
	}
	get(c, "train")
	get(c, "train")
	if calls != 1 {
		t.Errorf("computed %d times, want once", calls)
	}
	get(c, "test")
	get(Cache{c.Dir, "other"}, "train")
	if calls != 3 {
		t.Errorf("computed %d times, want once for each key and name", calls)
	}
	get(Cache{}, "train")
	get(Cache{}, "train")
	if calls != 5 {
		t.Errorf("the zero cache keeps something")
	}
	files, err := os.ReadDir(c.Dir)
	if err != nil || len(files) != 3 {
		t.Errorf("%d files, want 3 and none that is temporary: %v", len(files), err)
	}
}

func TestDamagedCacheIsComputedAnew(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(data []byte) []byte {
			data[(at+len(data))%len(data)] ^= 4
			return data
		}
	}
	for name, damage := range map[string]func([]byte) []byte{
		"truncated":       func(data []byte) []byte { return data[:len(data)/2] },
		"empty":           func([]byte) []byte { return nil },
		"too long":        func(data []byte) []byte { return append(data, 0) },
		"magic flipped":   flip(0),
		"length flipped":  flip(len(cacheMagic)),
		"value flipped":   flip(-40),
		"sum flipped":     flip(-1),
		"another's":       func([]byte) []byte { return encode([][][]float32{{{9}}}, "another's\nfeatures") },
		"something else":  func(data []byte) []byte { return make([]byte, len(data)) },
		"only a checksum": func(data []byte) []byte { return data[len(data)-32:] },
	} {
		c := Cache{Dir: t.TempDir(), Key: "k"}
		value := float32(1)
		compute := func() ([][][]float32, error) { return [][][]float32{{{value, 2}}}, nil }
		if _, err := c.Features("f", compute); err != nil {
			t.Fatal(err)
		}
		files, _ := filepath.Glob(filepath.Join(c.Dir, "*"))
		data, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files[0], damage(data), 0o644); err != nil {
			t.Fatal(err)
		}
		value = 3
		for range 2 { // computed anew, then kept
			got, err := c.Features("f", compute)
			if err != nil || got[0][0][0] != 3 {
				t.Errorf("%s: %v, %v", name, got, err)
			}
			value = 5
			compute = func() ([][][]float32, error) { return nil, errors.New("was not kept") }
		}
	}
}

func TestCacheErrors(t *testing.T) {
	c := Cache{Dir: t.TempDir(), Key: "k"}
	failing := errors.New("failing")
	if _, err := c.Features("f", func() ([][][]float32, error) { return nil, failing }); !errors.Is(err, failing) {
		t.Errorf("error %v", err)
	}
	file := filepath.Join(c.Dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Cache{Dir: file, Key: "k"}.Features("f", func() ([][][]float32, error) { return nil, nil })
	wantError(t, "a file where the folder should be", err, "keeping features")
}
