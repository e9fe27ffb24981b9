package data

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"testing"
)

// served returns s with content as the archive of its first form, on the
// loopback, and as members of the others, under their known names.
func served(t *testing.T, s *archiveSet, content []byte) (*archiveSet, *site) {
	site := newSite(t, content)
	c := *s
	c.forms = nil
	for i, f := range s.forms {
		of := *f
		if i == 0 {
			of.archive = site.asset()
			of.archive.name = f.archive.name
			of.members = pinned(f.members, untarred(t, content))
		}
		c.forms = append(c.forms, &of)
	}
	return &c, site
}

// pinned are members with the checksums of these files.
func pinned(members []member, files map[string][]byte) (all []member) {
	for _, m := range members {
		m.sum = sum256(files[m.name])
		all = append(all, m)
	}
	return all
}

// untarred are the files of an archive by the last element of their path.
func untarred(t *testing.T, archive []byte) map[string][]byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if files[path.Base(header.Name)], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
}

// An archive that somebody put into the cache is used, and left there.
func TestArchiveGiven(t *testing.T) {
	s, site := served(t, cifar10, cifar10Archive(t))
	o := OpenOptions{Dir: t.TempDir(), Offline: true}
	given := filepath.Join(o.Dir, "cifar10", s.forms[0].archive.name)
	if err := os.MkdirAll(filepath.Dir(given), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(given, site.content[:1000], 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err := s.open(t.Context(), o)
	wantError(t, err, "damaged or truncated")
	checkOnly(t, filepath.Dir(given), s.forms[0].archive.name)
	if err := os.WriteFile(given, site.content, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	checkOnly(t, filepath.Dir(given), s.forms[0].archive.name, "unpacked")
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
		_, err := layout.open(t.Context(), dir, "set/train", []member{{name: test.name, sum: sum256(test.content)}}, OpenOptions{})
		wantError(t, err, test.want)
	}
	// Changed and cut while it is in use.
	name := filepath.Join(dir, "changes")
	content := slices.Concat(cifarRecord(0, 0), cifarRecord(0, 1))
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := layout.open(t.Context(), dir, "set/train", []member{{name: "changes", sum: sum256(content)}}, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]uint8, 3072)
	content[100] ^= 1
	if err := os.WriteFile(name, content, 0o644); err != nil {
		t.Fatal(err)
	}
	wantError(t, src.Read(0, pixels), "changes: wrong checksum of example 0")
	if err := src.Read(1, pixels); err != nil {
		t.Error(err)
	}
	if err := os.Truncate(name, 4000); err != nil {
		t.Fatal(err)
	}
	wantError(t, src.Read(1, pixels), "unexpected EOF")
}

// What is damaged in the cache is unpacked anew where its archive is, and else
// told, but not downloaded unasked.
func TestArchiveDamagedMember(t *testing.T) {
	s, site := served(t, cifar10, cifar10Archive(t))
	o := OpenOptions{Dir: t.TempDir()}
	if _, _, err := s.open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	cached := filepath.Join(o.Dir, "cifar10")
	batch := filepath.Join(cached, "unpacked", "data_batch_3.bin")
	whole, err := os.ReadFile(batch)
	if err != nil {
		t.Fatal(err)
	}
	stat, err := os.Stat(batch)
	if err != nil {
		t.Fatal(err)
	}
	damage := func() {
		t.Helper()
		b := slices.Clone(whole)
		b[5000] ^= 4
		if err := os.WriteFile(batch, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(batch, stat.ModTime(), stat.ModTime()); err != nil { // nothing else tells
			t.Fatal(err)
		}
	}
	damage()
	_, _, err = s.open(t.Context(), o)
	wantError(t, err, batch+": wrong checksum")
	wantError(t, err, "delete "+filepath.Dir(batch)+" and try again")
	if len(site.ranges) != 1 {
		t.Error("downloaded again")
	}
	// A record less is no longer the set either.
	if err := os.WriteFile(batch, whole[:2*3073], 0o644); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.open(t.Context(), o)
	wantError(t, err, batch+": wrong checksum")

	damage()
	if err := os.WriteFile(filepath.Join(cached, "cifar-10-binary.tar.gz"), site.content, 0o644); err != nil {
		t.Fatal(err)
	}
	o.Offline = true
	if _, _, err := s.open(t.Context(), o); err != nil {
		t.Error(err)
	}
	checkContent(t, batch, whole)
}

// Copies of other programs' are found, and damaged ones passed over.
func TestArchiveFoundElsewhere(t *testing.T) {
	content := cifar10Archive(t)
	files := untarred(t, content)
	for _, below := range []string{"cifar-10-batches-bin", "cifar10/cifar-10-batches-bin", "."} {
		t.Run(below, func(t *testing.T) {
			s, site := served(t, cifar10, content)
			home := t.TempDir()
			otherPlaces = func() []string { return []string{filepath.Join(home, "none"), home} }
			defer func() { otherPlaces = func() []string { return nil } }()
			if below == "." {
				writeFiles(t, home, map[string][]byte{"cifar-10-binary.tar.gz": content})
			}
			for name, b := range files {
				if below != "." {
					writeFiles(t, filepath.Join(home, below), map[string][]byte{name: b})
				}
			}
			o := OpenOptions{Dir: t.TempDir(), Offline: true}
			train, _, err := s.open(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			checkCIFAR(t, train, 14, 44, 4)
			if info := s.info(o.Dir); !info.Present && below != "." || info.Download != 0 {
				t.Errorf("%+v", info)
			}
			if below == "." {
				checkOnly(t, home, "cifar-10-binary.tar.gz")
				return
			}
			if err := os.Truncate(filepath.Join(home, below, "test_batch.bin"), 3073); err != nil {
				t.Fatal(err)
			}
			_, _, err = s.open(t.Context(), o)
			wantError(t, err, "test_batch.bin: wrong checksum")
			wantError(t, err, "Offline forbids")
			o.Offline = false
			if _, _, err = s.open(t.Context(), o); err != nil || len(site.ranges) != 1 {
				t.Errorf("%d downloads, error %v", len(site.ranges), err)
			}
		})
	}
}

func TestUserPlaces(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", "")
	t.Setenv("TORCH_HOME", "/torch")
	t.Setenv("KERAS_HOME", "")
	got := userPlaces()
	for _, want := range []string{"data", "/torch", filepath.Join(home, ".cache"), filepath.Join(home, ".keras", "datasets"), filepath.Join(home, "data")} {
		if !slices.Contains(got, filepath.FromSlash(want)) {
			t.Errorf("not looked for in %s but in %v", want, got)
		}
	}
}
