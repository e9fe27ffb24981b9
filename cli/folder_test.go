package cli

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/runs"
)

// own is a folder of 120 pictures of 16x16 pixels in three classes, without splits: what somebody brings.
func own(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 120 {
		class := i % 3
		img := image.NewRGBA(image.Rect(0, 0, 16, 16))
		for y := range 16 {
			for x := range 16 {
				v := uint8(rnd.IntN(100))
				if x/5 == class {
					v += 120
				}
				img.Set(x, y, color.RGBA{v, v / 2, uint8(rnd.IntN(256)), 255})
			}
		}
		path := filepath.Join(dir, fmt.Sprint("kind", class), strconv.Itoa(i)+".png")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := png.Encode(file, img); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return "folder:" + dir
}

// small keeps a preset's numbers of images, batch and epochs, which is what is tested, and makes its network small.
var small = []string{"--arch", "nin", "--depth", "3", "--width", "6", "--set", "size=16"}

// The first command on one's own images works: a preset's 2,000 images and its batch of 128 are at most so many.
func TestOwnImages(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network")
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	folder := own(t)
	out, _ := must(t, "pretrain --json --method simclr --data", append([]string{folder, "--epochs", "1"}, small...)...)
	var r runs.Record
	decode(t, out, &r)
	if r.Config.Data.Train != 0 || r.Config.Data.Test != 0 || r.Config.Batch != 96 || r.Inventory.Train != 96 || r.Inventory.Test != 24 || !r.Done {
		t.Errorf("trained on %d in batches of %d, tested on %d; the folder has %d and %d", r.Config.Data.Train, r.Config.Batch, r.Config.Data.Test, r.Inventory.Train, r.Inventory.Test)
	}
	out, _ = must(t, "evaluate --quiet --baselines=false --method simclr --data", append([]string{folder, "--epochs", "1"}, small...)...)
	wantAll(t, "evaluate", out, "run "+r.Key, "96 training and 24 test examples")
}

// The first command on one's own sounds works, too. Here they are high and low tones of 8 kHz, some longer than others.
func TestOwnSounds(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network")
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	dir := t.TempDir()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 60 {
		class := i % 2
		hertz, samples := float64(300+900*class+rnd.IntN(300)), 1500+rnd.IntN(1000)
		file := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(36+2*samples))
		file = append(file, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\x02\x00\x10\x00data"...)
		file = binary.LittleEndian.AppendUint32(file, uint32(2*samples))
		for k := range samples {
			v := 9000*math.Sin(2*math.Pi*hertz*float64(k)/8000) + 500*rnd.NormFloat64()
			file = binary.LittleEndian.AppendUint16(file, uint16(int16(v)))
		}
		path := filepath.Join(dir, fmt.Sprint("kind", class), strconv.Itoa(i)+".wav")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	network := strings.Fields("--epochs 1 --set backbone.width=8 --set state=8 --method cpc --data audio:" + dir)
	out, said := must(t, "pretrain --json", network...)
	var r runs.Record
	decode(t, out, &r)
	if r.Config.Batch != 45 || r.Inventory.Train != 45 || r.Inventory.Test != 15 || !r.Done || !strings.HasPrefix(r.Inventory.Digest, "sha256:") || len(r.History.Reports["accuracy"]) != 1 {
		t.Errorf("trained on %d in batches of %d: %+v", r.Inventory.Train, r.Config.Batch, r.History)
	}
	wantAll(t, "pretrain", said, "of 8000 samples a second, in ")
	out, _ = must(t, "evaluate --quiet --baselines=false", network...)
	wantAll(t, "evaluate", out, "run "+r.Key, "45 training and 15 test examples")
	out, _ = must(t, "pretrain --json --set frames=6", network...)
	var cut runs.Record
	decode(t, out, &cut)
	if cut.Key == r.Key || cut.Config.Data.Frames != 6 || !strings.Contains(cut.Inventory.Line(), "are longer, and cut") {
		t.Errorf("cut: %s, %+v", cut.Key, cut.Inventory)
	}
	wantMistakes(t, []mistake{{"pretrain --quiet --method order --data audio:" + dir, 1, "order learns from films"}})
}

// A number of images that a folder has not is refused in a line that names the flag.
func TestTooManyImages(t *testing.T) {
	folder := own(t)
	wantMistakes(t, []mistake{
		{"pretrain --quiet --train 5000 --data " + folder, 1, "--train"},
		{"pretrain --quiet --test 5000 --data " + folder, 1, "--test"},
	})
}

// What never ends is not read for ever, and numbers that no run needs are not trained.
func TestEndless(t *testing.T) {
	wantMistakes(t, []mistake{
		{"pretrain --epochs 9223372036854775807", 2, "choose at most 1000000 (--epochs)"},
		{"pretrain --epochs 9223372036854775808", 2, "--epochs cannot be"},
		{"pretrain --batch 9223372036854775807", 2, "(--batch)"},
	})
	if _, err := os.Stat("/dev/zero"); err == nil {
		wantMistakes(t, []mistake{{"pretrain --config /dev/zero", 2, "/dev/zero: "}})
	}
	file := filepath.Join(t.TempDir(), "long.json")
	text, err := json.Marshal(strings.Repeat("a", 2<<20))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	wantMistakes(t, []mistake{{"pretrain --config " + file, 2, file + ": "}})
}
