package data

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func check(t *testing.T, name string) *Inventory {
	t.Helper()
	v, err := Check(context.Background(), name, OpenOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// speckled is an image that no other seed gives.
func speckled(seed, size int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, size, size))
	r := newStream(uint64(seed), 7)
	for i := range img.Pix {
		if img.Pix[i] = uint8(r.below(256)); i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	return img
}

// oddities is a folder with one of each.
func oddities(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	png := func(img image.Image) []byte { return encode(t, img, "png") }
	grey := image.NewGray(image.Rect(0, 0, 8, 8))
	sixteen, low := image.NewGray16(grey.Rect), image.NewGray16(grey.Rect)
	dark, flat := image.NewRGBA(grey.Rect), image.NewRGBA(grey.Rect)
	for i := range 64 {
		x, y := i%8, i/8
		grey.Pix[i] = uint8(4 * i)
		sixteen.SetGray16(x, y, color.Gray16{uint16(1000 * i)})
		low.SetGray16(x, y, color.Gray16{uint16(60 * i)})
		dark.SetRGBA(x, y, color.RGBA{uint8(i % 8), 9, 3, 255})
		flat.SetRGBA(x, y, color.RGBA{200, 10, 10, 255})
	}
	writeFiles(t, dir, map[string][]byte{
		"train/cat/0.png": png(speckled(0, 8)), "train/cat/1.png": png(speckled(1, 8)), "train/dog/2.png": png(speckled(2, 8)),
		"train/cat/grey.png": png(grey), "train/cat/sixteen.png": png(sixteen), "train/cat/low.png": png(low),
		"train/cat/dark.png": png(dark), "train/cat/flat.png": png(flat),
		"train/dog/turned.jpg": withExif(encode(t, speckled(3, 8), "jpeg"), 6, bigEndian),
		"test/cat/copy.png":    png(speckled(0, 8)), "test/cat/same.bmp": encode(t, speckled(1, 8), "bmp"), "test/emu/4.png": png(speckled(4, 8)),
		"train/cat/notes.txt": []byte("x"), "train/cat/x.heic": []byte("x"),
	})
	return dir
}

func TestInventory(t *testing.T) {
	dir := oddities(t)
	v := check(t, "folder:"+dir)
	for _, c := range []struct {
		kind      string
		got, want int
		files     string
	}{
		{"gray", v.Gray, 3, "train/cat/grey.png train/cat/low.png train/cat/sixteen.png"},
		{"sixteen", v.Deep, 2, "train/cat/low.png train/cat/sixteen.png"},
		{"low_of_16", v.Low, 1, "train/cat/low.png"},
		{"near_black", v.Dark, 2, "train/cat/dark.png train/cat/low.png"},
		{"constant", v.Constant, 1, "train/cat/flat.png"},
		{"turned", v.Turned, 1, "train/dog/turned.jpg"},
	} {
		if files := strings.Join(v.Files[c.kind], " "); c.got != c.want || files != c.files {
			t.Errorf("%s: %d, %s; want %d, %s", c.kind, c.got, files, c.want, c.files)
		}
	}
	want := []ClassCount{{"cat", 7, 2}, {"dog", 2, 0}, {"emu", 0, 1}}
	if !slices.Equal(v.Classes, want) || v.Train != 9 || v.Test != 3 {
		t.Errorf("%d and %d examples of %v", v.Train, v.Test, v.Classes)
	}
	pairs := []Duplicate{{"train/cat/0.png", "test/cat/copy.png", true}, {"train/cat/1.png", "test/cat/same.bmp", false}}
	if v.Duplicates != 2 || !slices.Equal(v.DuplicatePairs, pairs) {
		t.Errorf("duplicates %v", v.DuplicatePairs)
	}
	line, text := v.Line(), v.String()
	if strings.Contains(line, "\n") {
		t.Error("a line of several")
	}
	for _, want := range []string{
		"9 training and 3 test examples, 3 classes", "2 test images are in the training split too", "1 of 16 bits that use 12 or fewer", "2 nearly black",
		"1 of one colour throughout", "3 grey", "2 of 16 bits", "1 turned by their Exif orientation", "1 passed over: images of a kind that is not read (.heic)",
		"classes without a test image: dog", "classes without a training image: emu",
	} {
		if !strings.Contains(line, want) || !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s\nor not in\n%s", want, line, text)
		}
	}
	if !strings.Contains(line, "1 other files passed over") || !strings.Contains(text, "train/cat/notes.txt") {
		t.Errorf("notes.txt is not passed over in\n%s\n%s", line, text)
	}
	// Its JSON is what records keep.
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var back Inventory
	if err := json.Unmarshal(b, &back); err != nil || back.String() != text {
		t.Errorf("JSON loses something: %v\n%s", err, b)
	}
	// An ordinary folder has nothing to say.
	plain := t.TempDir()
	writeFiles(t, plain, map[string][]byte{"a/1.png": encode(t, speckled(1, 4), "png"), "a/2.png": encode(t, speckled(2, 4), "png")})
	if line := check(t, "folder:"+plain).Line(); line != "folder:"+plain+": 1 training and 1 test examples, 1 classes" {
		t.Error(line)
	}
}

func TestAllUnreadableFilesAreListed(t *testing.T) {
	dir := t.TempDir()
	files := map[string][]byte{"a/good.png": encode(t, speckled(1, 4), "png"), "a/good2.png": encode(t, speckled(2, 4), "png")}
	for i := range 14 {
		files[fmt.Sprintf("a/bad%02d.png", i)] = fmt.Appendf(nil, "no image %d", i)
	}
	writeFiles(t, dir, files)
	link(t, "nowhere", filepath.Join(dir, "a", "gone.png"))
	v := check(t, "folder:"+dir)
	if len(v.Unreadable) != 15 || v.Train+v.Test != 17 {
		t.Fatalf("%d unreadable of %d", len(v.Unreadable), v.Train+v.Test)
	}
	_, _, err := Open("folder:"+dir, OpenOptions{})
	wantError(t, err, "15 of the images of folder:"+dir+" cannot be read: mend them or move them away; 'sslkit data check' lists all\n")
	wantError(t, err, ".png: not a JPEG, PNG")
	wantError(t, err, "and 5 more")
	if !slices.ContainsFunc(v.Unreadable, func(u Unreadable) bool { return u == Unreadable{"a/gone.png", "no such file or directory"} }) {
		t.Errorf("%v", v.Unreadable)
	}
}

func TestCheckOfBuiltInSets(t *testing.T) {
	v := check(t, "fashion-mnist-10k")
	if v.Digest != "v1" || v.Train != 10000 || v.Gray != 12000 || len(v.Classes) != 10 || v.Classes[0].Train == 0 || v.Classes[9].Test == 0 {
		t.Errorf("%+v", v)
	}
	_, err := Digest(context.Background(), "fasion-mnist", OpenOptions{})
	wantError(t, err, "did you mean")
}

func mustDigest(t *testing.T, name string, o OpenOptions) string {
	t.Helper()
	d, err := Digest(context.Background(), name, o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDigestIsOfNamesAndContents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "before")
	o := OpenOptions{Dir: t.TempDir()}
	a, b, c := encode(t, speckled(1, 4), "png"), encode(t, speckled(2, 4), "png"), encode(t, speckled(3, 4), "png")
	fill := func() {
		os.RemoveAll(dir)
		writeFiles(t, dir, map[string][]byte{"train/x/1.png": a, "train/x/2.png": b, "test/x/1.png": c})
	}
	fill()
	first := mustDigest(t, "folder:"+dir, o)
	if !strings.HasPrefix(first, "sha256:") || len(first) != 71 {
		t.Fatal(first)
	}
	same := func(what string) {
		t.Helper()
		if d := mustDigest(t, "folder:"+dir, o); d != first {
			t.Errorf("%s: another digest", what)
		}
		if v, err := Check(context.Background(), "folder:"+dir, o); err != nil || v.Digest != first {
			t.Errorf("%s: the inventory has another one, error %v", what, err)
		}
	}
	same("again")
	writeFiles(t, dir, map[string][]byte{"train/x/notes.txt": a, ".hidden.png": a})
	same("with files that are passed over")
	now := time.Now().Add(time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "train/x/1.png"), now, now); err != nil {
		t.Fatal(err)
	}
	same("touched")
	moved := dir + "-moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if d := mustDigest(t, "folder:"+moved, o); d != first {
		t.Error("moved: another digest")
	}
	for what, change := range map[string]func(){
		"another content":    func() { writeFiles(t, dir, map[string][]byte{"train/x/1.png": c}) },
		"another name":       func() { os.Rename(dir+"/train/x/1.png", dir+"/train/x/3.png") },
		"one more":           func() { writeFiles(t, dir, map[string][]byte{"test/x/2.png": a}) },
		"one fewer":          func() { os.Remove(dir + "/train/x/1.png") },
		"another class":      func() { os.Rename(dir+"/train/x", dir+"/train/y") },
		"two exchanged":      func() { writeFiles(t, dir, map[string][]byte{"train/x/1.png": b, "train/x/2.png": a}) },
		"moved to the other": func() { os.Rename(dir+"/train/x/2.png", dir+"/test/x/2.png") },
	} {
		fill()
		if d := mustDigest(t, "folder:"+dir, o); d != first {
			t.Fatal("the same files have another digest")
		}
		change()
		if d := mustDigest(t, "folder:"+dir, o); d == first {
			t.Errorf("%s: the same digest", what)
		}
	}
}

func TestDigestOfCaptions(t *testing.T) {
	dir := t.TempDir()
	o := OpenOptions{Dir: t.TempDir()}
	img := encode(t, speckled(1, 4), "png")
	captions := []byte("image,caption\na.png,one\nb.png,two\n")
	writeFiles(t, dir, map[string][]byte{"a.png": img, "b.png": img, "other.png": img, "c.csv": captions})
	name := "captions:" + filepath.Join(dir, "c.csv")
	first := mustDigest(t, name, o)
	writeFiles(t, dir, map[string][]byte{"other.png": nil})
	if mustDigest(t, name, o) != first {
		t.Error("an image without a caption changes the digest")
	}
	writeFiles(t, dir, map[string][]byte{"b.png": encode(t, speckled(2, 4), "png")})
	if mustDigest(t, name, o) == first {
		t.Error("another image, the same digest")
	}
	writeFiles(t, dir, map[string][]byte{"b.png": img, "c.csv": []byte("image,caption\na.png,one\nb.png,three\n")})
	if mustDigest(t, name, o) == first {
		t.Error("another caption, the same digest")
	}
}

// large is a folder worth remembering, old enough to be trusted.
func large(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{"a/1.bmp": encode(t, speckled(1, 500), "bmp"), "a/2.bmp": encode(t, speckled(2, 500), "bmp")})
	return dir
}

// age makes the ledger believe that it read the files later than it did.
func age(t *testing.T, o OpenOptions, by time.Duration) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(o.Dir, "digests", "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d ledgers, error %v", len(files), err)
	}
	body, err := readSealed(files[0])
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(body), "\n")
	for i, l := range lines {
		if f := strings.SplitN(l, " ", 8); f[0] == "file" {
			var read int64
			fmt.Sscan(f[4], &read)
			f[4] = fmt.Sprint(read + int64(by))
			lines[i] = strings.Join(f, " ")
		}
	}
	if err := writeSealed(files[0], []byte(strings.Join(lines, "\n"))); err != nil {
		t.Fatal(err)
	}
}

func TestContentsAreReadOnce(t *testing.T) {
	tell(t)
	dir, name := large(t), ""
	name = "folder:" + dir
	o := OpenOptions{Dir: t.TempDir()}
	read := int64(0)
	o.Progress = func(_ string, done, total int64) { read = done }
	reads := func() int64 {
		read = 0
		mustCheck := func() *Inventory {
			v, err := Check(context.Background(), name, o)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		mustCheck()
		return read
	}
	const both = 2 * (54 + 500*500*3)
	if n := reads(); n != both {
		t.Errorf("the first time %d bytes are read, want %d", n, both)
	}
	// Files changed within the clock's grain of the reading may have changed after it: they are read again.
	if n := reads(); n != both {
		t.Errorf("young files: %d bytes are read, want %d", n, both)
	}
	age(t, o, time.Minute)
	if n := reads(); n != 0 {
		t.Errorf("known files: %d bytes are read", n)
	}
	first := mustDigest(t, name, o)

	// The same size and time, but other content: ctime and inode tell.
	one := filepath.Join(dir, "a", "1.bmp")
	stat, err := os.Stat(one)
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string][]byte{"a/1.bmp": encode(t, speckled(3, 500), "bmp")})
	if err := os.Chtimes(one, stat.ModTime(), stat.ModTime()); err != nil {
		t.Fatal(err)
	}
	if (stampOf(stat).changed) != 0 && mustDigest(t, name, o) == first {
		t.Error("other content of the same size and time has the same digest")
	}

	// A damaged ledger is as good as none.
	writeFiles(t, dir, map[string][]byte{"a/1.bmp": encode(t, speckled(1, 500), "bmp")})
	reads()
	age(t, o, time.Minute)
	files, _ := filepath.Glob(filepath.Join(o.Dir, "digests", "*"))
	good, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(good); n += 13 {
		bad := slices.Clone(good)
		bad[n] ^= 1
		if err := os.WriteFile(files[0], bad, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := readSealed(files[0]); err == nil {
			t.Fatalf("a flipped bit in byte %d is taken for good", n)
		}
	}
	if d := mustDigest(t, name, o); d != first {
		t.Error("with a damaged ledger the digest is another one")
	}
}

// tell makes little reading news.
func tell(t *testing.T) {
	before := worthTelling
	worthTelling = 0
	t.Cleanup(func() { worthTelling = before })
}

func TestLookEndsWithTheContext(t *testing.T) {
	tell(t)
	ctx, cancel := context.WithCancel(context.Background())
	o := OpenOptions{Dir: t.TempDir(), Progress: func(string, int64, int64) { cancel() }}
	_, err := Check(ctx, "folder:"+large(t), o)
	// Both files may have been begun, one by each worker, and yet the end is told.
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
