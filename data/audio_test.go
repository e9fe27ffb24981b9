package data

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func soundFile(t testing.TB, name string) []byte {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("testdata", "sounds", name))
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// Cepstra and bands are those of librosa 0.11.0, see testdata/sounds/make.py.
func TestLibrosa(t *testing.T) {
	var tones []struct {
		Rate, Samples   int
		LogMel, Cepstra [][]float64
	}
	if err := json.Unmarshal(soundFile(t, "librosa.json"), &tones); err != nil || len(tones) != 4 {
		t.Fatal(len(tones), err)
	}
	for _, tone := range tones {
		y := make([]float64, tone.Samples)
		for i := range y {
			s := float64(i) / float64(tone.Rate)
			y[i] = 0.3*math.Sin(2*math.Pi*440*s) + 0.1*math.Cos(2*math.Pi*1900*s+1) + 0.02*math.Sin(2*math.Pi*(300*s+8000*s*s))
		}
		check := func(what string, got [][]float32, err error, want [][]float64) {
			t.Helper()
			if err != nil || len(got) != len(want) {
				t.Fatalf("%s at %d: %d frames, want %d, %v", what, tone.Rate, len(got), len(want), err)
			}
			for n, frame := range got {
				for c, v := range frame {
					// float32, a file of five digits, and librosa's triangles, which are float32: 1e-4 of a sum of 26 and more. As
					// planted, a symmetric window, Slaney's scale and a floor of 1e-9 are all off by more than 1e-2.
					if len(frame) != len(want[n]) || math.Abs(float64(v)-want[n][c]) > 1e-3 {
						t.Errorf("%s at %d: number %d of frame %d is %g, librosa has %g", what, tone.Rate, c, n, v, want[n][c])
					}
				}
			}
		}
		bands, err := LogMel(y, tone.Rate, 40)
		check("bands", bands, err, tone.LogMel)
		cepstra, err := Cepstra(y, tone.Rate, 13)
		check("cepstra", cepstra, err, tone.Cepstra)
	}
	for bands, want := range map[int]string{0: "choose at least 1", 128: "128 bands are too many for 8000"} {
		_, err := LogMel(make([]float64, 1000), 8000, bands)
		wantError(t, err, want)
	}
}

// What libsndfile wrote is read as it was: half of a tone of 440 Hz.
func TestSoundsAreReadAsWritten(t *testing.T) {
	for name, c := range map[string]struct {
		size, within float64
		channels     int
	}{
		"8.wav": {1, 1. / 128, 1}, "16.wav": {1, 1. / 32768, 1}, "24.wav": {1, 1. / (1 << 23), 1}, "32.wav": {1, 1e-9, 1},
		"float.wav": {1, 1e-7, 1}, "double.wav": {1, 1e-13, 1}, "ext.wav": {0.25, 1. / (1 << 23), 2},
		"8.flac": {1, 1. / 128, 1}, "24.flac": {1, 1. / (1 << 23), 1}, "stereo.flac": {0.25, 1. / 32768, 2},
	} {
		s, err := decodeSound(soundFile(t, name))
		if err != nil || s.rate != 8000 || s.channels != c.channels || len(s.samples) != 800 {
			t.Errorf("%s: %+v, %v", name, s, err)
			continue
		}
		for i, v := range s.samples {
			if want := c.size * 0.5 * math.Sin(2*math.Pi*440*float64(i)/8000); math.Abs(v-want) > c.within {
				t.Errorf("%s: sample %d is %g, want %g", name, i, v, want)
				break
			}
		}
	}
}

// riff is a WAV file of these parts, each with a name of four letters in front.
func riff(parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p[:4]...)
		body = binary.LittleEndian.AppendUint32(body, uint32(len(p)-4))
		body = append(body, p[4:]...)
		body = append(body, make([]byte, len(p)%2)...)
	}
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)+4)), append([]byte("WAVE"), body...)...)
}

func wavFormat(format, channels, rate, bits int) []byte {
	le, b := binary.LittleEndian, []byte("fmt ")
	b = le.AppendUint16(le.AppendUint16(b, uint16(format)), uint16(channels))
	b = le.AppendUint32(le.AppendUint32(b, uint32(rate)), uint32(rate*channels*bits/8))
	return le.AppendUint16(le.AppendUint16(b, uint16(channels*bits/8)), uint16(bits))
}

// wav is a file of 16 bits.
func wav(rate int, samples ...float64) []byte {
	body := []byte("data")
	for _, v := range samples {
		body = binary.LittleEndian.AppendUint16(body, uint16(int16(math.Round(32767*v))))
	}
	return riff(wavFormat(1, 1, rate, 16), body)
}

// tone is so many seconds of a tone.
func tone(hertz, seconds float64, rate int) []byte {
	samples := make([]float64, int(seconds*float64(rate)))
	for i := range samples {
		samples[i] = 0.5 * math.Sin(2*math.Pi*hertz*float64(i)/float64(rate))
	}
	return wav(rate, samples...)
}

func TestSoundsThatAreRefused(t *testing.T) {
	whole, packed := soundFile(t, "16.wav"), soundFile(t, "stereo.flac")
	floats := func(v float64) []byte {
		return riff(wavFormat(3, 1, 8000, 32), binary.LittleEndian.AppendUint32([]byte("data"), math.Float32bits(float32(v))))
	}
	piped := slices.Clone(whole)
	binary.LittleEndian.PutUint32(piped[40:], math.MaxUint32)
	flipped := slices.Clone(packed)
	flipped[len(flipped)/2] ^= 4
	another := slices.Clone(packed)
	another[8+18] ^= 1 // of its checksum
	counted := slices.Clone(packed)
	clear(counted[8+14 : 8+18]) // of its length
	for what, c := range map[string]struct {
		file []byte
		want string
	}{
		"empty":              {nil, "the file is empty"},
		"text":               {[]byte("these are no samples at all"), "neither WAV nor FLAC"},
		"git":                {[]byte("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"},
		"mp3":                {[]byte("ID3\x03\x00\x00\x00\x00\x00\x00\xff\xfb"), "neither WAV nor FLAC"},
		"mu-law":             {soundFile(t, "mu-law.wav"), "not read (format 7, mu-law): convert it to PCM"},
		"12 bits":            {riff(wavFormat(1, 1, 8000, 12), []byte("data\x00\x00")), "(format 1, 12 bits)"},
		"cut":                {whole[:len(whole)-100], "truncated file: 1500 of 1600 bytes"},
		"cut in its head":    {whole[:20], "truncated file"},
		"without samples":    {riff(wavFormat(1, 1, 8000, 16)), "ends before its samples"},
		"of no length":       {riff(wavFormat(1, 1, 8000, 16), []byte("data")), "it has no samples"},
		"within a sample":    {riff(wavFormat(1, 2, 8000, 16), []byte("data\x00\x00\x00\x00\x00\x00")), "ends within a sample"},
		"data first":         {riff([]byte("data\x00\x00"), wavFormat(1, 1, 8000, 16)), "come before their format"},
		"piped":              {piped, "written into a pipe"},
		"slow":               {wav(100, 0, 0), "100 samples a second"},
		"no channel":         {riff(wavFormat(1, 0, 8000, 16), []byte("data")), "0 channels"},
		"not a number":       {floats(math.NaN()), "a sample of NaN"},
		"not scaled":         {floats(12345), "a sample of 12345"},
		"FLAC cut":           {packed[:len(packed)-1], "truncated file: 0 of 800"},
		"FLAC's head":        {packed[:20], "damaged FLAC file: truncated"},
		"FLAC flipped":       {flipped, "damaged FLAC file: "},
		"FLAC, another sum":  {another, "not those of its checksum"},
		"FLAC of any length": {counted, "does not tell its length"},
		"RF64":               {[]byte("RF64\xff\xff\xff\xffWAVE"), "not read (RF64)"},
	} {
		_, err := decodeSound(c.file)
		t.Run(what, func(t *testing.T) { wantError(t, err, c.want) })
	}
	// A part of an odd length is padded, and others are passed over.
	if s, err := decodeSound(riff([]byte("LIST123"), wavFormat(1, 1, 8000, 16), []byte("fact\x01"), []byte("data\x00\x40"))); err != nil || !slices.Equal(s.samples, []float64{.5}) {
		t.Errorf("%+v, %v", s, err)
	}
}

// tones is a folder of two classes, low and high, of which some are longer.
func tones(t *testing.T) string {
	dir := t.TempDir()
	files := map[string][]byte{}
	for i := range 10 {
		seconds := 0.1 + 0.02*float64(i)
		files[fmt.Sprintf("low/%d.wav", i)] = tone(300+10*float64(i), seconds, 8000)
		files[fmt.Sprintf("high/%d.wav", i)] = tone(2000+40*float64(i), seconds, 8000)
	}
	writeFiles(t, dir, files)
	return dir
}

func TestFolderOfSounds(t *testing.T) {
	dir := tones(t)
	for name, width := range map[string]int{"audio:": 13, "logmel:": 40} {
		train, test, err := Open(name+dir, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if h, w, c := train.Shape(); h != 1 || w != width || c != 1 || !slices.Equal(train.Classes(), []string{"high", "low"}) ||
			train.Name() != name+dir+"/train" || train.Len()+test.Len() != 20 || train.(Clips).Frames() != 13 { // of 0.28 s
			t.Errorf("%s: %dx%dx%d, %v, %d and %d of %d frames", train.Name(), h, w, c, train.Classes(), train.Len(), test.Len(), train.(Clips).Frames())
		}
		least, most := byte(255), byte(0)
		for _, src := range []Source{train, test} {
			for i := range src.Len() {
				pixels := slices.Repeat([]uint8{9}, 13*width)
				if err := src.Read(i, pixels); err != nil {
					t.Fatal(err)
				}
				var number int
				if _, err := fmt.Sscanf(filepath.Base(File(src, i)), "%d.wav", &number); err != nil {
					t.Fatal(err)
				}
				// 0.032 s and 0.02 more a frame: where the sound has ended all are 0, and before none is.
				end := width * (number + 4)
				if slices.Contains(pixels[:end], 0) || slices.Max(append(pixels[end:], 0)) != 0 {
					t.Errorf("%s: sound %d ends elsewhere than at %d: %v", src.Name(), number, end, pixels)
				}
				least, most = min(least, slices.Min(pixels[:end])), max(most, slices.Max(pixels[:end]))
				if want := filepath.Base(filepath.Dir(File(src, i))); src.Classes()[src.Label(i)] != want {
					t.Errorf("%s is in class %d", File(src, i), src.Label(i))
				}
			}
		}
		if least != 1 || most != 255 {
			t.Errorf("%s is in steps of %d to %d", name, least, most)
		}
	}
	v := check(t, "audio:"+dir)
	if want := "sounds of 0.10 to 0.28 s, of 8000 samples a second, in 13 frames"; v.Err() != nil || !slices.Contains(v.Notes, want) {
		t.Errorf("%v, notes %q", v.Err(), v.Notes)
	}
	cut, _, v, err := Inspect(context.Background(), "audio:"+dir, OpenOptions{Frames: 8})
	if err != nil || cut.(Clips).Frames() != 8 || !slices.Contains(v.Notes, "10 are longer, and cut") {
		t.Errorf("8 frames: %v, notes %q", err, v.Notes)
	}
	if err := cut.Read(cut.Len()-1, make([]uint8, 8*13)); err != nil {
		t.Error(err)
	}
}

func TestSoundsWithoutClasses(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{"a.wav": tone(300, .1, 8000), "b.FLAC": soundFile(t, "stereo.flac"), "c.mp3": nil, "d.txt": nil})
	train, test, v, err := Inspect(context.Background(), "audio:"+dir, OpenOptions{})
	if err != nil || train.Classes() != nil || train.Label(0) != -1 || train.Len() != 1 || test.Len() != 1 {
		t.Fatalf("%v, %v", train, err)
	}
	for _, want := range []string{"1 passed over: sounds of a kind that is not read (.mp3)", "1 other files passed over", "1 have several channels, which are averaged"} {
		if !strings.Contains(v.Line(), want) {
			t.Errorf("%q does not say %q", v.Line(), want)
		}
	}
}

// What follows from other sounds has another digest, and the kind of numbers counts, too.
func TestDigestOfSounds(t *testing.T) {
	dir, o := tones(t), OpenOptions{Dir: t.TempDir()}
	first := mustDigest(t, "audio:"+dir, o)
	if mustDigest(t, "audio:"+dir, o) != first || check(t, "audio:"+dir).Digest != first {
		t.Error("the same files have another digest")
	}
	if mustDigest(t, "logmel:"+dir, o) == first {
		t.Error("bands have the digest of cepstra")
	}
	writeFiles(t, dir, map[string][]byte{"low/0.wav": tone(301, 0.1, 8000)})
	if mustDigest(t, "audio:"+dir, o) == first {
		t.Error("another sound, the same digest")
	}
}

func TestFoldersOfSoundsThatAreRefused(t *testing.T) {
	_, _, err := Open("audio:"+filepath.Join(t.TempDir(), "nowhere"), OpenOptions{})
	wantError(t, err, "data: folder of sounds: ")
	_, _, err = Open("audio:"+t.TempDir(), OpenOptions{})
	wantError(t, err, "it needs files that end in .wav, .wave, .flac")
	_, _, err = Open("audio:"+tones(t), OpenOptions{Frames: 501})
	wantError(t, err, "sounds of 501 frames: choose 2 to 500")
	for what, c := range map[string]struct {
		file []byte
		want string
	}{
		"another rate": {tone(300, .1, 16000), "low/odd.wav: 16000 samples a second, where the most have 8000: resample it"},
		"too long":     {tone(300, 11, 8000), "low/odd.wav: 11.0 s is too long: 500 frames are read at most"},
		"too short":    {tone(300, .03, 8000), "low/odd.wav: 0.030 s is too short"},
		"damaged":      {tone(300, .1, 8000)[:500], "low/odd.wav: truncated file"},
	} {
		dir := tones(t)
		writeFiles(t, dir, map[string][]byte{"low/odd.wav": c.file})
		_, _, err := Open("audio:"+dir, OpenOptions{})
		t.Run(what, func(t *testing.T) {
			wantError(t, err, "1 of the sounds of audio:"+dir+" cannot be read")
			wantError(t, err, c.want)
		})
		if what == "too long" {
			if _, _, err := Open("audio:"+dir, OpenOptions{Frames: 20}); err != nil {
				t.Errorf("cut: %v", err)
			}
		}
	}
	// What changes between the look and the reading is not used.
	dir := tones(t)
	train, _, err := Open("audio:"+dir, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string][]byte{"low/3.wav": tone(300, .3, 8000)})
	wantError(t, train.Read(0, make([]uint8, 13*13)), "low/3.wav: it has changed")
}

// The same tone is found in both splits, in whatever file; a file without a sound in it is told.
func TestOddSounds(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{
		"train/a/1.wav": soundFile(t, "16.wav"), "train/a/silent.wav": wav(8000, make([]float64, 900)...),
		"test/a/2.wav": bytes.Replace(soundFile(t, "16.wav"), []byte("WAVE"), []byte("WAVELIST\x00\x00\x00\x00"), 1),
	})
	v := check(t, "audio:"+dir)
	for _, want := range []string{"1 test sounds are in the training split too", "1 silent throughout"} {
		if !strings.Contains(v.Line(), want) {
			t.Errorf("%q does not say %q", v.Line(), want)
		}
	}
}
