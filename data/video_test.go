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
	if b.Tracks(0, id); id[0] != 0 || b.Label(0) != -1 || b.Classes() != nil {
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
