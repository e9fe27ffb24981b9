package data

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// film is a folder of n frames of 40x30 pixels, the k-th of grey k.
func film(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	files := map[string][]byte{}
	for k := range n {
		img := image.NewRGBA(image.Rect(0, 0, 40, 30))
		for p := range 40 * 30 {
			img.Set(p%40, p/40, color.RGBA{uint8(k), uint8(k), uint8(k), 255})
		}
		files[fmt.Sprintf("frame%04d.png", k)] = encode(t, img, "png")
	}
	writeFiles(t, dir, files)
	return dir
}

// frames are the greys of a clip's frames.
func frames(t *testing.T, src Clips, i int) []uint8 {
	t.Helper()
	h, w, c := src.Shape()
	pixels := make([]uint8, src.Frames()*h*w*c)
	if err := src.Read(i, pixels); err != nil {
		t.Fatal(err)
	}
	var greys []uint8
	for k := range src.Frames() {
		greys = append(greys, pixels[k*h*w*c+h*w*c/2])
	}
	return greys
}

func TestVideoFolder(t *testing.T) {
	train, test, err := Open("video:"+film(t, 52), OpenOptions{Size: 12, Frames: 4})
	if err != nil {
		t.Fatal(err)
	}
	// 42 frames and 10: clips from 0, 2, ..., 38, and from 42 and 46.
	a, b := train.(Clips), test.(Clips)
	if a.Len() != 20 || b.Len() != 2 {
		t.Errorf("%d and %d clips, want 20 and 2", a.Len(), b.Len())
	}
	for _, c := range []struct {
		src  Clips
		i    int
		want []uint8
	}{{a, 0, []uint8{0, 1, 2, 3}}, {a, 19, []uint8{38, 39, 40, 41}}, {b, 0, []uint8{42, 43, 44, 45}}, {b, 1, []uint8{46, 47, 48, 49}}} {
		if got := frames(t, c.src, c.i); !bytes.Equal(got, c.want) {
			t.Errorf("clip %d of %s has the frames %v, want %v", c.i, c.src.Name(), got, c.want)
		}
	}
	id := []uint8{7}
	if b.(Tracked).Tracks(0, id); id[0] != 0 || b.Label(0) != -1 || b.Classes() != nil {
		t.Error("a video has no truth")
	}
	l, err := Batches(train, Options{Batch: 3})
	if err != nil {
		t.Fatal(err)
	}
	for batch, err := range l.Iter() {
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(batch.Inputs[0].Shape().Dimensions); got != "[3 4 12 12 3]" {
			t.Errorf("a batch of %s, want clips", got)
		}
		break
	}
}

func TestVideoErrors(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	file := filepath.Join(t.TempDir(), "film.avi")
	if err := os.WriteFile(file, []byte("none"), 0o644); err != nil {
		t.Fatal(err)
	}
	for want, path := range map[string]string{
		"no such file":            "/nowhere/at/all",
		"has 39 frames":           film(t, 39),
		"ffmpeg, which is not on": file,
	} {
		_, _, err := Open("video:"+path, OpenOptions{Dir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// What ffmpeg makes of a film is its frames, and is made once.
func TestVideoFile(t *testing.T) {
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		t.Skip("there is no ffmpeg")
	}
	file := filepath.Join(t.TempDir(), "film.avi")
	// Uncompressed, so that greys stay.
	out, err := exec.Command(ffmpeg, "-v", "error", "-i", filepath.Join(film(t, 52), "frame%04d.png"), "-c:v", "rawvideo", "-pix_fmt", "bgr24", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	o := OpenOptions{Size: 12, Frames: 4, Dir: t.TempDir()}
	_, test, err := Open("video:"+file, o)
	if err != nil {
		t.Fatal(err)
	}
	if got := frames(t, test.(Clips), 1); !bytes.Equal(got, []uint8{46, 47, 48, 49}) {
		t.Errorf("the last clip has the frames %v", got)
	}
	t.Setenv("PATH", t.TempDir())
	if _, _, err := Open("video:"+file, o); err != nil {
		t.Errorf("the second time: %v", err)
	}
	if _, _, err := OpenContext(context.Background(), "video:"+file, OpenOptions{Size: 16, Frames: 4, Dir: o.Dir}); err == nil {
		t.Error("another size was found in the cache")
	}
	parts, err := filepath.Glob(filepath.Join(o.Dir, "video", "part-*"))
	if err != nil || len(parts) > 0 {
		t.Errorf("left behind: %v, %v", parts, err)
	}
}

func TestFramesAreInNaturalOrder(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{}
	for k := range 24 {
		img := image.NewGray(image.Rect(0, 0, 4, 4))
		for i := range img.Pix {
			img.Pix[i] = uint8(k)
		}
		files[fmt.Sprintf("frame%d.png", k)] = encode(t, img, "png")
	}
	writeFiles(t, dir, files)
	train, test, err := Open("video:"+dir, OpenOptions{Size: 4, Frames: 4})
	if err != nil {
		t.Fatal(err)
	}
	if got := frames(t, train.(Clips), 4); !bytes.Equal(got, []uint8{8, 9, 10, 11}) {
		t.Errorf("frames %v", got)
	}
	if got := frames(t, test.(Clips), 0); !bytes.Equal(got, []uint8{20, 21, 22, 23}) {
		t.Errorf("frames %v", got)
	}
}

// standIn puts a program in ffmpeg's place that notes its arguments, writes n
// copies of a frame, and says what it is told to.
func standIn(t *testing.T, n int, says string) (arguments func() []string) {
	t.Helper()
	bin := t.TempDir()
	files := map[string][]byte{"says": []byte(says)}
	for i := range n {
		files[fmt.Sprintf("frames/%06d.png", i+1)] = encode(t, quarters(8, 8), "png")
	}
	writeFiles(t, bin, files)
	script := fmt.Sprintf(`#!/bin/sh
for a in "$@"; do printf '%%s\0' "$a"; done >>'%[1]s/arguments'
cp '%[1]s'/frames/* .
cat '%[1]s/says' >&2
echo out_time_us=4000000
`, bin)
	if err := os.WriteFile(filepath.Join(bin, "ffmpeg"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	return func() []string {
		b, err := os.ReadFile(filepath.Join(bin, "arguments"))
		if err != nil {
			return nil
		}
		return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
	}
}

func TestPathsReachFFmpegAsMeant(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"-y.mp4", "concat:a|b.mp4", "100%d.mp4", "new\nline.mp4", "http:__x"} {
		t.Run(name, func(t *testing.T) {
			writeFiles(t, dir, map[string][]byte{name: []byte("a film called " + name)})
			arguments := standIn(t, 50, "")
			if _, _, err := Open("video:"+name, OpenOptions{Size: 8, Dir: filepath.Join(t.TempDir(), "100%d")}); err != nil {
				t.Fatal(err)
			}
			got := arguments()
			input := slices.Index(got, "-i")
			if input < 2 || got[input-2] != "-protocol_whitelist" || got[input-1] != "file" || got[input+1] != "file:"+filepath.Join(dir, name) {
				t.Errorf("ffmpeg gets %q", got)
			}
			if last := got[len(got)-1]; last != "%06d.png" {
				t.Errorf("ffmpeg is to write %q", last)
			}
		})
	}
}

func TestWhatIsNotReadOfAFilmIsSaid(t *testing.T) {
	for _, test := range []struct {
		says string
		want string
	}{
		{"[info]   Duration: 00:00:04.00, start: 0\n", ""},
		{"[info]   Duration: 00:01:10.50, start: 0\n", "the film ends early: 4.0 of 70.5 seconds are read"},
		{"[mov,mp4 @ 0x55d0] [error] stream 0, offset 0x8b: partial file\n", "the film is damaged or truncated: 50 frames are read, ffmpeg says: stream 0, offset 0x8b: partial file"},
		{"[in#0/flv @ 0x55] [warning] Packet corrupt (stream = 0)\n", "ffmpeg says: Packet corrupt (stream = 0)"},
		{"[warning] deprecated pixel format\n", ""},
	} {
		standIn(t, 50, test.says)
		film := filepath.Join(t.TempDir(), "film.mp4")
		if err := os.WriteFile(film, []byte(test.says), 0o644); err != nil {
			t.Fatal(err)
		}
		v := check(t, "video:"+film)
		notes := strings.Join(v.Notes, "; ")
		if (notes == "") != (test.want == "") || !strings.Contains(notes, test.want) || !strings.Contains(v.Line(), test.want) {
			t.Errorf("%q: notes are %q, want %q", test.says, notes, test.want)
		}
	}
	dir := t.TempDir()
	packets := make([]byte, 188*4+100)
	for i := 0; i < len(packets); i += 188 {
		packets[i] = 0x47
	}
	writeFiles(t, dir, map[string][]byte{"cut.ts": packets, "list.mp4": []byte("ffconcat version 1.0\nfile a.mp4\n"), "list.m3u8": []byte("#EXTM3U\n")})
	if notes := check(t, "video:"+filepath.Join(dir, "cut.ts")).Notes; !slices.Equal(notes, []string{"the film is truncated: it ends within a packet"}) {
		t.Errorf("%q", notes)
	}
	for _, list := range []string{"list.mp4", "list.m3u8"} {
		_, _, err := Open("video:"+filepath.Join(dir, list), OpenOptions{})
		wantError(t, err, "it is a list of films, not a film")
	}
}

func TestLongFilmIsCutAndThatIsSaid(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{}
	for k := range 21 {
		files[fmt.Sprintf("%06d.png", k+1)] = nil
	}
	writeFiles(t, dir, files)
	f := &extracted{}
	if err := f.list(dir, 20); err != nil {
		t.Fatal(err)
	}
	if len(f.Frames) != 20 || !slices.Equal(f.Notes, []string{"the film is cut to its first 20 frames"}) {
		t.Errorf("%d frames, notes %q", len(f.Frames), f.Notes)
	}
}

// Frames in the cache are verified; what is damaged is extracted again.
func TestDamagedFramesAreExtractedAgain(t *testing.T) {
	arguments := standIn(t, 50, "")
	film := filepath.Join(t.TempDir(), "film.mp4")
	if err := os.WriteFile(film, []byte("a film"), 0o644); err != nil {
		t.Fatal(err)
	}
	o := OpenOptions{Size: 8, Dir: t.TempDir()}
	calls := func() int {
		t.Helper()
		before := len(arguments())
		train, _, err := Open("video:"+film, o)
		if err != nil {
			t.Fatal(err)
		}
		pixels := make([]uint8, 8*8*8*3)
		if err := train.Read(0, pixels); err != nil || letters(pixels[:8*8*3], 8) != "rgbw" {
			t.Errorf("%s, error %v", letters(pixels[:8*8*3], 8), err)
		}
		if len(arguments()) == before {
			return 0
		}
		return 1
	}
	if n := calls(); n != 1 {
		t.Fatalf("%d extractions", n)
	}
	if n := calls(); n != 0 {
		t.Errorf("%d extractions of what is there", n)
	}
	first := mustDigest(t, "video:"+film, o)
	frame, err := filepath.Glob(filepath.Join(o.Dir, "video", "*", "000007.png"))
	if err != nil || len(frame) != 1 {
		t.Fatal(frame, err)
	}
	list := filepath.Join(filepath.Dir(frame[0]), filmFile)
	for what, damage := range map[string]func() error{
		"one bit": func() error {
			b, err := os.ReadFile(frame[0])
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			return os.WriteFile(frame[0], b, 0o644)
		},
		"another image": func() error { return os.WriteFile(frame[0], encode(t, quarters(9, 9), "png"), 0o644) },
		"a frame less":  func() error { return os.Remove(frame[0]) },
		"no list":       func() error { return os.Remove(list) },
		"a cut list":    func() error { return os.Truncate(list, 300) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if n := calls(); n != 1 {
			t.Errorf("%s: %d extractions, want 1", what, n)
		}
		if d := mustDigest(t, "video:"+film, o); d != first {
			t.Errorf("%s: another digest", what)
		}
	}
	// Another film in the same place, of the same size and time.
	stat, err := os.Stat(film)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(film, []byte("b film"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(film, stat.ModTime(), stat.ModTime()); err != nil {
		t.Fatal(err)
	}
	if n := calls(); n != 1 || mustDigest(t, "video:"+film, o) == first {
		t.Error("another film is taken for the first")
	}
}
