package data

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// faultCase is a dataset whose files are about to be damaged.
type faultCase struct {
	name   string
	set    dataset
	files  map[string][]byte // in the cache, by path
	record int               // bytes of a record of most of the files
	use    bool              // damaged while in use instead of before
	online bool
}

// faults are the ways of damage. Each changes files, which has the name.
var faults = []struct {
	name   string
	damage func(r *rand.Rand, c *faultCase, files map[string][]byte, name string)
}{
	{"bit flipped", func(r *rand.Rand, _ *faultCase, files map[string][]byte, name string) {
		files[name][r.IntN(len(files[name]))] ^= 1 << r.IntN(8)
	}},
	{"zeros", func(r *rand.Rand, _ *faultCase, files map[string][]byte, name string) {
		b := files[name][r.IntN(len(files[name])):]
		clear(b[:1+r.IntN(min(len(b), 4096))])
	}},
	{"noise", func(r *rand.Rand, _ *faultCase, files map[string][]byte, name string) {
		b := files[name][r.IntN(len(files[name])):]
		for i := range b[:1+r.IntN(min(len(b), 4096))] {
			b[i] = byte(r.Uint32())
		}
	}},
	{"cut", func(r *rand.Rand, _ *faultCase, files map[string][]byte, name string) {
		files[name] = files[name][:r.IntN(len(files[name]))]
	}},
	{"cut at a record", func(r *rand.Rand, c *faultCase, files map[string][]byte, name string) {
		n := len(files[name]) / c.record
		files[name] = files[name][:c.record*r.IntN(max(n, 1))]
	}},
	{"record twice", func(r *rand.Rand, c *faultCase, files map[string][]byte, name string) {
		b := files[name]
		files[name] = append(b, b[:min(c.record, len(b))]...)
	}},
	{"records swapped", func(r *rand.Rand, c *faultCase, files map[string][]byte, name string) {
		b := files[name]
		if n := len(b) / c.record; n > 1 {
			i, k := c.record*r.IntN(n), c.record*r.IntN(n)
			first := slices.Clone(b[i : i+c.record])
			copy(b[i:], b[k:k+c.record])
			copy(b[k:], first)
		}
	}},
	{"files swapped", func(r *rand.Rand, _ *faultCase, files map[string][]byte, name string) {
		names := slices.Sorted(maps.Keys(files))
		other := names[r.IntN(len(names))]
		files[name], files[other] = files[other], files[name]
	}},
	{"emptied", func(_ *rand.Rand, _ *faultCase, files map[string][]byte, name string) { files[name] = nil }},
	{"missing", func(_ *rand.Rand, _ *faultCase, files map[string][]byte, name string) { delete(files, name) }},
}

// faultCases are all kinds of files that are downloaded or kept. A case's sets
// are small, with the checksums of their own files.
func faultCases(t *testing.T) []*faultCase {
	under := func(dir string, files map[string][]byte, members []member) map[string][]byte {
		out := map[string][]byte{}
		for _, m := range members {
			out[filepath.Join(dir, m.name)] = files[m.name]
		}
		return out
	}
	idx, packed := smallSet()
	idx.torch = "Small"
	plain := map[string][]byte{}
	for name, b := range packed {
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		if plain["Small/raw/"+strings.TrimSuffix(name, ".gz")], err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	compressed := map[string][]byte{}
	for name, b := range packed {
		compressed["small/"+name] = b
	}

	tgz := cifar10Archive(t)
	ten, _ := served(t, cifar10, tgz)
	tenFiles := under("cifar10/unpacked", untarred(t, tgz), ten.forms[0].members)
	archive := map[string][]byte{"cifar10/" + ten.forms[0].archive.name: tgz}
	both := maps.Clone(tenFiles)
	maps.Copy(both, archive)
	part := map[string][]byte{"cifar10/" + ten.forms[0].archive.name + ".part": tgz[:len(tgz)/2]}

	pickles := map[string][]byte{}
	for name, b := range untarred(t, tgz) {
		if stem, ok := strings.CutSuffix(name, ".bin"); ok {
			pickles[stem] = repickled(b, 1)
		}
	}
	python := pythonCIFAR(cifar10, pickles, 1)

	hundredTgz := tarball(t, map[string][]byte{
		"train.bin": slices.Concat(cifarRecord(1, 19, 99), cifarRecord(2, 3, 0)), "test.bin": cifarRecord(3, 4, 55),
	})
	hundred, _ := served(t, cifar100, hundredTgz)

	stlTgz := tarball(t, stlFiles())
	stl, _ := served(t, stl10, stlTgz)
	unlabelled, _ := served(t, stl10Unlabelled, stlTgz)
	stlUnpacked := under("stl10/unpacked", untarred(t, stlTgz), stl.forms[0].members)
	large := maps.Clone(stlUnpacked)
	images := stlFiles()["stl10_binary/unlabeled_X.bin"]
	var digests []digest
	for r := range slices.Chunk(images, 27648) {
		digests = append(digests, sha256.Sum256(r))
	}
	large["stl10/unlabeled_X.bin.sha256"] = formatDigests(fmt.Sprintf("SHA-256 of each 27648 bytes of %d, %s\n", len(images), sum256(images)), digests)

	return []*faultCase{
		{name: "idx, compressed", set: idx, files: compressed, record: 16},
		{name: "idx, of torchvision", set: idx, files: plain, record: 16},
		{name: "CIFAR-10, binary", set: ten, files: tenFiles, record: 3073},
		{name: "CIFAR-10, with its archive", set: ten, files: both, record: 3073},
		{name: "CIFAR-10, archive", set: ten, files: archive, record: 512},
		{name: "CIFAR-10, half downloaded", set: ten, files: part, record: 512, online: true},
		{name: "CIFAR-10, pickles", set: python, files: under("cifar-10-batches-py", pickles, python.forms[1].members), record: 3072},
		{name: "CIFAR-10, while in use", set: ten, files: tenFiles, record: 3073, use: true},
		{name: "CIFAR-100, binary", set: hundred, files: under("cifar-100-binary", untarred(t, hundredTgz), hundred.forms[0].members), record: 3074},
		{name: "STL-10", set: stl, files: stlUnpacked, record: 27648},
		{name: "STL-10, large, with digests", set: unlabelled, files: large, record: 27648},
	}
}

// contentOf is a digest of all that two splits tell.
func contentOf(train, test Source) (digest, error) {
	h := sha256.New()
	for _, src := range []Source{train, test} {
		height, width, channels := src.Shape()
		fmt.Fprintln(h, src.Name(), src.Len(), height, width, channels, src.Classes())
		pixels := make([]uint8, height*width*channels)
		for i := range src.Len() {
			if err := src.Read(i, pixels); err != nil {
				return digest{}, err
			}
			fmt.Fprintln(h, src.Label(i))
			h.Write(pixels)
		}
	}
	return digest(h.Sum(nil)), nil
}

// run damages a copy of the files and opens the set: the outcome is "right",
// "made anew", "error", or else what must not be.
func (c *faultCase) run(t *testing.T, r *rand.Rand, dir string, want digest, damage func(r *rand.Rand, c *faultCase, files map[string][]byte, name string)) (outcome string) {
	files := map[string][]byte{}
	for name, b := range c.files {
		files[name] = slices.Clone(b)
	}
	names := slices.Sorted(maps.Keys(files))
	damage(r, c, files, names[r.IntN(len(names))])

	// All have the same time, which tells nothing.
	at := time.Unix(1e9, 0)
	write := func(files map[string][]byte) {
		for _, name := range names {
			path := filepath.Join(dir, name)
			b, ok := files[name]
			if !ok {
				if err := os.RemoveAll(path); err != nil {
					t.Fatal(err)
				}
				continue
			}
			writeFiles(t, dir, map[string][]byte{name: b})
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("panic: %v", p)
			outcome = "panic"
		}
	}()
	o := OpenOptions{Dir: dir, Offline: !c.online}
	var train, test Source
	var err error
	if c.use {
		write(c.files)
		if train, test, err = c.set.open(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		write(files)
	} else {
		write(files)
		if train, test, err = c.set.open(t.Context(), o); err != nil {
			return c.told(t, dir, err)
		}
	}
	got, err := contentOf(train, test)
	switch {
	case err != nil:
		return c.told(t, dir, err)
	case got != want:
		return "wrong"
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if damaged, ok := files[name]; err == nil && (!ok || !bytes.Equal(b, damaged)) {
			return "made anew"
		}
	}
	return "right"
}

// told checks that an error says which file is meant.
func (c *faultCase) told(t *testing.T, dir string, err error) string {
	if s := err.Error(); !strings.Contains(s, dir) && !strings.Contains(s, "it is not on this machine") {
		t.Errorf("%s: an error that names no file: %v", c.name, err)
	}
	return "error"
}

// TestFaults damages files that are downloaded or kept, as often as
// SSLKIT_FAULTS tells: the data are right, made anew, or refused.
func TestFaults(t *testing.T) {
	count := 110
	if s := os.Getenv("SSLKIT_FAULTS"); s != "" {
		var err error
		if count, err = strconv.Atoi(s); err != nil || count < 1 {
			t.Fatalf("SSLKIT_FAULTS is %q, not a number from 1", s)
		}
	}
	old := largeFile
	largeFile = 2 * 27648 // of unlabelled images
	defer func() { largeFile = old }()

	cases := faultCases(t)
	want := make([]digest, len(cases))
	for i, c := range cases {
		dir := t.TempDir()
		writeFiles(t, dir, c.files)
		train, test, err := c.set.open(t.Context(), OpenOptions{Dir: dir, Offline: !c.online})
		if err != nil {
			t.Fatalf("%s, undamaged: %v", c.name, err)
		}
		if want[i], err = contentOf(train, test); err != nil {
			t.Fatal(err)
		}
	}
	outcomes := []string{"right", "made anew", "error", "wrong", "panic"}
	counts := map[string]map[string]int{}
	for n := range count {
		c := cases[n%len(cases)]
		fault := faults[n/len(cases)%len(faults)]
		r := rand.New(rand.NewPCG(18, uint64(n)))
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		outcome := c.run(t, r, dir, want[n%len(cases)], fault.damage)
		if outcome == "wrong" || outcome == "panic" {
			t.Errorf("number %d: %s, %s: %s", n, c.name, fault.name, outcome)
		}
		for _, row := range []string{c.name, "   " + fault.name} {
			if counts[row] == nil {
				counts[row] = map[string]int{}
			}
			counts[row][outcome]++
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "files\tdamages\t"+strings.Join(outcomes, "\t"))
	row := func(name string) {
		total := 0
		var cells []string
		for _, o := range outcomes {
			total += counts[name][o]
			cells = append(cells, strconv.Itoa(counts[name][o]))
		}
		fmt.Fprintf(w, "%s\t%d\t%s\n", strings.TrimSpace(name), total, strings.Join(cells, "\t"))
	}
	for _, c := range cases {
		row(c.name)
	}
	fmt.Fprintln(w, "\t\t\t\t\t\t")
	for _, f := range faults {
		row("   " + f.name)
	}
	w.Flush()
	t.Logf("%d damages\n%s", count, &b)
}
