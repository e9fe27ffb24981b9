package data

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Of all targets the seeds are in testdata/fuzz, or testdata/sounds; make fuzz runs each for a
// while. None may panic, hang, or take memory out of proportion.

func FuzzIdx(f *testing.F) {
	f.Fuzz(func(t *testing.T, content []byte, compressed bool) {
		const limit = 1 << 16
		path := "some"
		if compressed {
			path += ".gz"
		}
		part := idxPart{path, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, ""}
		for dimensions := 1; dimensions <= 3; dimensions += 2 {
			dims, data, err := readIdx(t.Context(), part, dimensions, limit)
			if err != nil {
				continue
			}
			size := 1
			for _, d := range dims {
				size *= d
			}
			if len(dims) != dimensions || size != len(data) || size > limit {
				t.Errorf("%d bytes in %v", len(data), dims)
			}
		}
	})
}

// smallRecords reads content as records of 2x2 pixels.
func smallRecords(t *testing.T, dir string, content []byte, layout records) *records {
	if err := os.WriteFile(filepath.Join(dir, "records"), content, 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := layout.open(t.Context(), dir, "fuzz", []member{{name: "records", sum: sum256(content)}}, OpenOptions{})
	if err != nil {
		return nil
	}
	if r.Len() != len(content)/int(r.size()) {
		t.Fatalf("%d records of %d bytes", r.Len(), len(content))
	}
	pixels := make([]uint8, 12)
	for i := range r.Len() {
		if err := r.Read(i, pixels); err != nil {
			t.Fatal(err)
		}
		if l := r.Label(i); int(l) >= len(r.classes) {
			t.Fatalf("label %d", l)
		}
	}
	return r
}

func FuzzCIFARBinary(f *testing.F) {
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte, header uint8) {
		smallRecords(t, dir, content, records{classes: []string{"a", "b", "c"}, side: 2, header: 1 + int(header)%2})
	})
}

func FuzzCIFARPickle(f *testing.F) {
	f.Fuzz(func(t *testing.T, content []byte) {
		for header := 1; header <= 2; header++ {
			batch, err := cifarRecords(content, header)
			if err == nil && (len(batch) == 0 || len(batch)%(header+3072) != 0 || len(batch) > 2*len(content)) {
				t.Errorf("%d bytes of a pickle of %d", len(batch), len(content))
			}
		}
	})
}

func FuzzSTL(f *testing.F) {
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, images, labels []byte) {
		r := smallRecords(t, dir, images, records{classes: stlClasses, side: 2, columns: true})
		if r == nil {
			return
		}
		if err := os.WriteFile(filepath.Join(dir, "labels"), labels, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := r.readLabels(t.Context(), dir, member{name: "labels", sum: sum256(labels)}); err != nil {
			return
		}
		for i := range r.Len() {
			if l := r.Label(i); l != int32(labels[i])-1 || l < 0 || l > 9 {
				t.Errorf("label %d", l)
			}
		}
	})
}

func FuzzDigests(f *testing.F) {
	name := filepath.Join(f.TempDir(), "list")
	f.Fuzz(func(t *testing.T, text []byte, count uint8) {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			t.Fatal(err)
		}
		digests, err := readDigests(name, "head\n", int(count))
		if err == nil && !bytes.Equal(bytes.ToLower(text), formatDigests("head\n", digests)) {
			t.Errorf("another list of %d", len(digests))
		}
	})
}

// fuzzCaptions checks what all forms have in common, on to the search for the
// images, of which only 1.png is there.
func fuzzCaptions(f *testing.F, parse func(text []byte) ([]captionEntry, error)) {
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "1.png"), nil, 0o644); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !utf8.Valid(text) {
			return // refused before
		}
		entries, err := parse(text)
		if err != nil {
			return
		}
		for _, e := range entries {
			if !strings.HasPrefix(e.where, "line ") {
				t.Errorf("%+v is nowhere", e)
			}
		}
		s, err := captionSplitOf(filepath.Join(dir, "captions"), entries)
		if err != nil {
			return
		}
		for image, captions := range s.captions {
			if image != "1.png" || slices.Contains(captions, "") {
				t.Errorf("%q: %q", image, captions)
			}
		}
	})
}

func FuzzCaptionsCSV(f *testing.F)   { fuzzCaptions(f, captionsCSV) }
func FuzzCaptionsTSV(f *testing.F)   { fuzzCaptions(f, captionsTSV) }
func FuzzCaptionsToken(f *testing.F) { fuzzCaptions(f, captionsToken) }
func FuzzCaptionsPipe(f *testing.F)  { fuzzCaptions(f, captionsPipe) }
func FuzzCaptionsJSON(f *testing.F)  { fuzzCaptions(f, captionsJSON) }

func FuzzSound(f *testing.F) {
	for _, name := range []string{"8.wav", "float.wav", "ext.wav", "8.flac", "stereo.flac"} {
		f.Add(soundFile(f, name))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		s, err := decodeSound(file)
		if err != nil {
			return
		}
		if n := len(s.samples); n == 0 || n > maxSamples || s.usable() != nil {
			t.Fatalf("%d samples, %d a second, in %d channels", n, s.rate, s.channels)
		}
		for _, v := range s.samples {
			if !(math.Abs(v) <= 100) {
				t.Fatalf("a sample of %g", v)
			}
		}
	})
}

func FuzzTokenizer(f *testing.F) {
	f.Fuzz(func(t *testing.T, caption, text string, vocabulary, length uint8) {
		src := &captioned{folder: newFolder("", "train", 1, nil, []folderFile{{path: "a"}}), captions: map[string][]string{"a": {caption}}}
		tokenizer, err := NewTokenizer(src, int(vocabulary), int(length))
		if err != nil {
			return
		}
		for _, s := range []string{caption, text} {
			tokens := tokenizer.Encode(s)
			end := slices.Index(tokens, tokenEnd)
			if len(tokens) != int(length) || tokens[0] != tokenStart || end < 1 {
				t.Fatalf("%q is %v", s, tokens)
			}
			for i, token := range tokens {
				if token < 0 || token >= int32(vocabulary) || (token == tokenPadding) != (i > end) {
					t.Fatalf("%q is %v", s, tokens)
				}
			}
		}
	})
}
