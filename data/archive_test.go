package data

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// served returns s with content as its archive, on the loopback.
func served(t *testing.T, s *archiveSet, content []byte) (*archiveSet, *site) {
	site := newSite(t, content)
	c := *s
	c.archive = site.asset()
	c.archive.name = s.archive.name
	return &c, site
}

// An archive that somebody put into the cache is used, and left there.
func TestArchiveGiven(t *testing.T) {
	s, site := served(t, cifar10, cifar10Archive(t))
	o := OpenOptions{Dir: t.TempDir(), Offline: true}
	given := filepath.Join(o.Dir, "cifar10", s.archive.name)
	if err := os.MkdirAll(filepath.Dir(given), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(given, site.content[:1000], 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.open(t.Context(), o)
	wantError(t, err, "damaged or truncated")
	checkOnly(t, filepath.Dir(given), s.archive.name)
	if err := os.WriteFile(given, site.content, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	checkOnly(t, filepath.Dir(given), s.archive.name, "unpacked")
}

func TestArchiveCancelled(t *testing.T) {
	s, _ := served(t, cifar10, cifar10Archive(t))
	ctx, cancel := context.WithCancel(t.Context())
	o := OpenOptions{Dir: t.TempDir(), Progress: func(string, int64, int64) { cancel() }}
	if _, _, err := s.open(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "cifar10", "unpacked")); err == nil {
		t.Error("there is a folder as if complete")
	}
	o.Progress = nil
	if _, _, err := s.open(t.Context(), o); err != nil {
		t.Errorf("after the cancellation: %v", err)
	}
}

func TestRecordsRefuse(t *testing.T) {
	layout := records{classes: []string{"a", "b"}, side: 32, header: 1}
	dir := t.TempDir()
	for _, test := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"truncated", cifarRecord(0, 0)[:3000], "has 3000 bytes, not a multiple of 3073"},
		{"empty", nil, "has 0 bytes"},
		{"label", slices.Concat(cifarRecord(0, 1), cifarRecord(0, 2)), "label 2 of example 1 is out of range: there are 2 classes"},
	} {
		if err := os.WriteFile(filepath.Join(dir, test.name), test.content, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := layout.open(dir, "set/train", []string{test.name})
		wantError(t, err, test.want)
	}
	// Cut while it is in use.
	name := filepath.Join(dir, "shrinks")
	if err := os.WriteFile(name, slices.Concat(cifarRecord(0, 0), cifarRecord(0, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := layout.open(dir, "set/train", []string{"shrinks"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, 4000); err != nil {
		t.Fatal(err)
	}
	wantError(t, src.Read(1, make([]uint8, 3072)), "unexpected EOF")
}
