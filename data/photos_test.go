package data

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

func TestPhotos(t *testing.T) {
	all, err := Photos()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 191 {
		t.Errorf("%d photos, want 191", len(all))
	}
	type count struct{ train, test int }
	counts := map[string]count{}
	for _, p := range all {
		c := counts[p.Class]
		if p.Test {
			c.test++
		} else {
			c.train++
		}
		counts[p.Class] = c
		if p.Author == "" || !strings.HasPrefix(p.Source, "http") || !strings.HasPrefix(p.Class, strings.SplitN(p.Name, "_", 2)[0]) {
			t.Errorf("manifest of %s: %+v", p.Name, p)
		}
		if l := strings.ToLower(p.Licence); l != "public domain" && l != "cc0-1.0" {
			t.Errorf("%s has licence %s", p.Name, p.Licence)
		}
		if b := p.Image.Bounds(); min(b.Dx(), b.Dy()) < 100 {
			t.Errorf("%s has %v pixels", p.Name, b)
		}
	}
	// A fifth of each class, rounded.
	want := map[string]count{"animal": {23, 6}, "building": {55, 14}, "energy": {10, 3}, "fish": {22, 6}, "tool": {30, 8}, "windmill": {11, 3}}
	for class, w := range want {
		if counts[class] != w {
			t.Errorf("%s: %+v, want %+v", class, counts[class], w)
		}
	}
	if len(counts) != len(want) {
		t.Errorf("classes %v", counts)
	}
}

func TestCropsAreFixedBySeed(t *testing.T) {
	read := func(o OpenOptions, i int) []uint8 {
		t.Helper()
		train, test, err := Open("photos", o)
		if err != nil {
			t.Fatal(err)
		}
		src := train
		if i < 0 {
			src, i = test, -i
		}
		h, w, c := src.Shape()
		pixels := make([]uint8, h*w*c)
		if err := src.Read(i, pixels); err != nil {
			t.Fatal(err)
		}
		return pixels
	}
	a := read(OpenOptions{PerPhoto: 10}, 57)
	if !bytes.Equal(a, read(OpenOptions{PerPhoto: 10}, 57)) {
		t.Error("a crop differs when it is read again")
	}
	if !bytes.Equal(a, read(OpenOptions{PerPhoto: 20}, 107)) {
		t.Error("crop 7 of photo 5 depends on the number of crops")
	}
	if bytes.Equal(a, read(OpenOptions{PerPhoto: 10, Seed: 1}, 57)) {
		t.Error("another seed gives the same crop")
	}
	if bytes.Equal(a, read(OpenOptions{PerPhoto: 10}, 58)) {
		t.Error("two crops of a photo are the same")
	}
	if n := len(read(OpenOptions{Size: 48}, -3)); n != 48*48*3 {
		t.Errorf("a crop of 48 pixels has %d bytes", n)
	}
}

func TestCropsAreSplitByPhoto(t *testing.T) {
	train, test, err := Open("photos", OpenOptions{PerPhoto: 3})
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 3*151 || test.Len() != 3*40 {
		t.Errorf("%d and %d crops, want 3 of each of 151 and 40 photos", train.Len(), test.Len())
	}
	seen := map[string]string{}
	for _, src := range []Source{train, test} {
		for i := range src.Len() {
			p := src.(*crops).photos[i/3]
			if split, ok := seen[p.Name]; ok && split != src.Name() {
				t.Errorf("%s is in both splits", p.Name)
			}
			seen[p.Name] = src.Name()
			if class := src.Classes()[src.Label(i)]; class != p.Class {
				t.Errorf("crop %d of %s, of class %s, has label %s", i, src.Name(), p.Class, class)
			}
		}
	}
}

// A crop has the mean colour of its part of the photo: what is smaller than a
// pixel is averaged, not sampled.
func TestResizeAverages(t *testing.T) {
	stripes := image.NewRGBA(image.Rect(0, 0, 160, 160))
	for y := range 160 {
		for x := range 160 {
			stripes.SetRGBA(x, y, color.RGBA{uint8(255 * (x % 2)), uint8(255 * (y % 2)), 100, 255})
		}
	}
	small := resize(stripes, image.Rect(0, 0, 160, 160), 32)
	for y := 2; y < 30; y++ {
		for x := 2; x < 30; x++ {
			// 127.5, and one more for rounding to 8 bits.
			if c := small.RGBAAt(x, y); math.Abs(float64(c.R)-127.5) > 1.6 || math.Abs(float64(c.G)-127.5) > 1.6 || c.B != 100 {
				t.Fatalf("pixel (%d,%d) is %v", x, y, c)
			}
		}
	}
}

// checkPicture compares img with a golden file, give or take 2 of 255: the
// resampling is in floating point, which architectures fuse differently.
func checkPicture(t *testing.T, name string, img *image.RGBA) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *update {
		var b bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	golden, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	if golden.Bounds() != img.Bounds() {
		t.Fatalf("%s has %v pixels, want %v: if that is right, run go test -update", name, img.Bounds(), golden.Bounds())
	}
	want := image.NewRGBA(img.Bounds())
	draw.Draw(want, want.Rect, golden, image.Point{}, draw.Src)
	for i := range want.Pix {
		if d := int(img.Pix[i]) - int(want.Pix[i]); d < -2 || d > 2 {
			t.Fatalf("%s: pixel (%d,%d) differs by %d: look at it, and if it is right, run go test -update", name, i/4%img.Rect.Dx(), i/4/img.Rect.Dx(), d)
		}
	}
}

// The contact sheet has two rows of photo crops and two of Fashion-MNIST, all
// upright and in their colours.
func TestContactSheet(t *testing.T) {
	photos, _, err := Open("photos", OpenOptions{PerPhoto: 1})
	if err != nil {
		t.Fatal(err)
	}
	clothes, _, err := Open("fashion-mnist-10k", OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sheet := image.NewRGBA(image.Rect(0, 0, 10*32, 4*32))
	draw.Draw(sheet, sheet.Rect, image.NewUniform(color.Gray{128}), image.Point{}, draw.Src)
	for n := range 40 {
		src, i := photos, n*7
		if n >= 20 {
			src, i = clothes, n-20
		}
		h, w, c := src.Shape()
		pixels := make([]uint8, h*w*c)
		if err := src.Read(i, pixels); err != nil {
			t.Fatal(err)
		}
		for k := range h * w {
			r, g, b := pixels[k*c], pixels[k*c+c/2], pixels[k*c+c-1]
			sheet.SetRGBA(n%10*32+k%w, n/10*32+k/w, color.RGBA{r, g, b, 255})
		}
	}
	checkPicture(t, "contact.png", sheet)
}

func BenchmarkCrop(b *testing.B) {
	src, _, err := Open("photos", OpenOptions{})
	if err != nil {
		b.Fatal(err)
	}
	pixels := make([]uint8, 32*32*3)
	for i := 0; b.Loop(); i++ {
		if err := src.Read(i*64%src.Len(), pixels); err != nil {
			b.Fatal(err)
		}
	}
}

// Crops of one photo are one group, in subsets as in the whole.
func TestGroups(t *testing.T) {
	train, _, err := Open("photos", OpenOptions{PerPhoto: 3})
	if err != nil {
		t.Fatal(err)
	}
	groups := Groups(train)
	if len(groups) != train.Len() || groups[0] != groups[2] || groups[2] == groups[3] {
		t.Errorf("%d groups, which begin %v, of %d crops", len(groups), groups[:4], train.Len())
	}
	if got := Groups(Pick(Pick(train, 8, 3, 4), 2, 0)); len(got) != 2 || got[0] != 1 || got[1] != 2 {
		t.Errorf("picked %v, want 1 and 2", got)
	}
	if other, _, err := Open("fashion-mnist-10k", OpenOptions{}); err != nil || Groups(other) != nil {
		t.Errorf("fashion-mnist has groups, %v", err)
	}
}
