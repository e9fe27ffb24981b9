package data

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// few are some sounds of all kinds.
var few = speechSet{words: []string{"one", "seven"}, accents: []string{"en-us", "en-029"}, voices: []string{"m1", "f2"}, pitches: []int{40, 60}, speeds: []int{160, 220}}

func needSpeech(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		t.Skip(err)
	}
}

func TestSpeech(t *testing.T) {
	needSpeech(t)
	o := OpenOptions{Dir: t.TempDir()}
	train, test, err := few.open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 16 || test.Len() != 16 || train.(Clips).Frames() != speechFrames {
		t.Errorf("%d and %d of %d frames", train.Len(), test.Len(), train.(Clips).Frames())
	}
	distinct := map[string]bool{}
	for _, src := range []Source{train, test} {
		if kinds := Kinds(src); !slices.Equal(kinds, []string{"word", "voice", "accent"}) {
			t.Fatalf("kinds %v", kinds)
		}
		for _, kind := range Kinds(src) { // half of each
			by, err := By(src, kind)
			if err != nil {
				t.Fatal(err)
			}
			sum := 0
			for _, label := range Labels(by) {
				sum += int(label)
			}
			if sum != 8 || len(by.Classes()) != 2 {
				t.Errorf("%s: %d of 16 are %v", kind, sum, by.Classes())
			}
		}
		for i := range src.Len() {
			pixels := make([]byte, speechFrames*digitCepstra)
			if err := src.Read(i, pixels); err != nil {
				t.Fatal(err)
			}
			end := slices.Index(pixels, 0)
			if end < 15*digitCepstra || end%digitCepstra != 0 || slices.Max(pixels[end:]) != 0 { // none takes less than 0.3 s, or is cut
				t.Errorf("sound %d ends at %d", i, end)
			}
			distinct[string(pixels)] = true
		}
	}
	if len(distinct) != 32 {
		t.Errorf("%d of 32 sounds are different", len(distinct))
	}

	// What is in the cache is what would be made, and is made again where it is damaged.
	digest, err := few.digest(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(o.Dir, "espeak", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(whole)
	damaged[len(damaged)/2]++
	if err := os.WriteFile(files[0], damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	if again, err := few.digest(t.Context(), o); err != nil || again != digest {
		t.Errorf("damaged: %s, was %s, %v", again, digest, err)
	}
	if now, err := os.ReadFile(files[0]); err != nil || !bytes.Equal(now, whole) {
		t.Errorf("damaged, it was not made again: %v", err)
	}
	other := few
	other.speeds = []int{160, 230}
	if d, err := other.digest(t.Context(), o); err != nil || d == digest {
		t.Errorf("at another speed: %s, was %s, %v", d, digest, err)
	}
}

// Who lacks a voice or an accent takes another in silence: espeak-ng does.
func TestSpeechIsWhatItSays(t *testing.T) {
	needSpeech(t)
	for _, c := range []struct {
		change func(s *speechSet)
		want   string
	}{
		{func(s *speechSet) { s.accents = []string{"en-us", "en-nowhere"} }, "no accent en-nowhere"},
		{func(s *speechSet) { s.voices = []string{"m1", "m99"} }, "no voice m99"},
	} {
		s := few
		c.change(&s)
		_, _, err := s.open(t.Context(), OpenOptions{Dir: t.TempDir()})
		wantError(t, err, c.want)
	}
	heads := few.heads()
	digests := make([][32]byte, len(heads))
	for n, head := range heads { // two accents that are one
		digests[n] = [32]byte{head[0], 0, head[2], head[3], head[4]}
	}
	wantError(t, few.distinct(heads, digests), "en-029+m1 sounds as en-us+m1 does")
}

func TestNoSpeech(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, info := range Names() {
		if info.Name == "espeak" && (info.Present || info.Train != 720 || info.Test != 360) {
			t.Errorf("%+v", info)
		}
	}
	_, _, err := Open("espeak", OpenOptions{Dir: t.TempDir()})
	wantError(t, err, "cannot open espeak: its sounds are made by espeak-ng, which is not on the PATH: install it")
	_, err = Digest(t.Context(), "espeak", OpenOptions{Dir: t.TempDir()})
	wantError(t, err, "install it")
}

// Each pitch and each speed is in both splits, and no pair of them.
func TestSpeechSplits(t *testing.T) {
	var pairs [2][][2]byte
	for _, head := range speech.heads() {
		k := 0
		if speech.tests(head) {
			k = 1
		}
		if pair := [2]byte{head[3], head[4]}; !slices.Contains(pairs[k], pair) {
			pairs[k] = append(pairs[k], pair)
		}
	}
	if len(pairs[0]) != 6 || len(pairs[1]) != 3 {
		t.Errorf("%v", pairs)
	}
	for k := range pairs {
		for v := range byte(3) {
			if !slices.ContainsFunc(pairs[k], func(p [2]byte) bool { return p[0] == v }) || !slices.ContainsFunc(pairs[k], func(p [2]byte) bool { return p[1] == v }) {
				t.Errorf("split %d lacks pitch or speed %d", k, v)
			}
		}
	}
}
