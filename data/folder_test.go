package data

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
)

// quarters is an image whose quarters are red, green (above), blue and white.
func quarters(w, h int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{255, 0, 0, 255}
			switch right, lower := x >= w/2, y >= h/2; {
			case right && lower:
				c = color.RGBA{255, 255, 255, 255}
			case right:
				c = color.RGBA{0, 255, 0, 255}
			case lower:
				c = color.RGBA{0, 0, 255, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func encode(t *testing.T, img image.Image, format string) []byte {
	t.Helper()
	var b bytes.Buffer
	var err error
	switch format {
	case "png":
		err = png.Encode(&b, img)
	case "jpeg":
		err = jpeg.Encode(&b, img, &jpeg.Options{Quality: 95})
	case "gif":
		err = gif.Encode(&b, img, nil)
	case "bmp":
		err = bmp.Encode(&b, img)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func writeFiles(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, b := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// letters says what is in the corners: upper left, upper right, lower left,
// lower right.
func letters(pixels []uint8, size int) string {
	s := ""
	for _, p := range [][2]int{{1, 1}, {size - 2, 1}, {1, size - 2}, {size - 2, size - 2}} {
		c := pixels[3*(p[1]*size+p[0]):]
		bit := func(k int) int {
			if c[k] > 128 {
				return 1
			}
			return 0
		}
		s += string("?bg?r??w"[4*bit(0)+2*bit(1)+bit(2)])
	}
	return s
}

// corners are the letters of an image file.
func corners(t *testing.T, file []byte) string {
	t.Helper()
	img, err := decodeImage(file)
	if err != nil {
		t.Fatal(err)
	}
	pixels := make([]uint8, 16*16*3)
	rgb(img.square(16), pixels)
	return letters(pixels, 16)
}

func paths(src Source) []string {
	var all []string
	for _, f := range src.(*folder).files {
		all = append(all, f.path)
	}
	return all
}

func TestFolderOfClasses(t *testing.T) {
	dir := t.TempDir()
	img := encode(t, quarters(8, 8), "png")
	files := map[string][]byte{"cat/.hidden.png": img, ".git/x.png": img, "cat/notes.txt": nil}
	for i := range 50 {
		files[fmt.Sprintf("cat/%02d.png", i)] = img
		files[fmt.Sprintf("dog/deep/er/%02d.PNG", i)] = img
	}
	writeFiles(t, dir, files)
	train, test, err := Open("folder:"+dir+"/", OpenOptions{Size: 8})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(train.Classes(), []string{"cat", "dog"}) || !slices.Equal(test.Classes(), train.Classes()) {
		t.Errorf("classes %v and %v", train.Classes(), test.Classes())
	}
	// A fifth of 100, give or take 2.5 standard deviations of 4.
	if train.Len()+test.Len() != 100 || test.Len() < 10 || test.Len() > 30 {
		t.Errorf("%d and %d images", train.Len(), test.Len())
	}
	all := slices.Concat(paths(train), paths(test))
	slices.Sort(all)
	if len(slices.Compact(all)) != 100 {
		t.Error("an image is in both splits")
	}
	for _, src := range []Source{train, test} {
		if !slices.IsSorted(paths(src)) {
			t.Errorf("order of %s: %v", src.Name(), paths(src))
		}
		for i, p := range paths(src) {
			if want := map[byte]int32{'c': 0, 'd': 1}[p[0]]; src.Label(i) != want {
				t.Errorf("label of %s is %d", p, src.Label(i))
			}
		}
	}

	// What was in a split stays there when images come or go.
	before := paths(test)
	writeFiles(t, dir, map[string][]byte{"bird/new.png": img, "cat/new.png": img})
	_, test, err = Open("folder:"+dir, OpenOptions{Size: 8})
	if err != nil {
		t.Fatal(err)
	}
	after := slices.DeleteFunc(paths(test), func(p string) bool { return strings.Contains(p, "new") })
	if !slices.Equal(before, after) {
		t.Error("new images move others to another split")
	}
}

func TestFolderWithGivenSplits(t *testing.T) {
	img := encode(t, quarters(8, 8), "png")
	for _, split := range []string{"test", "val"} {
		dir := t.TempDir()
		writeFiles(t, dir, map[string][]byte{
			"train/cat/1.png": img, "train/dog/1.png": img, "train/dog/2.png": img, split + "/dog/1.png": img,
		})
		train, test, err := Open("folder:"+dir, OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if train.Len() != 3 || test.Len() != 1 || !slices.Equal(train.Classes(), []string{"cat", "dog"}) || test.Label(0) != 1 {
			t.Errorf("%s: %d and %d images of %v, label %d", split, train.Len(), test.Len(), train.Classes(), test.Label(0))
		}
	}
}

func TestFlatFolderHasNoLabels(t *testing.T) {
	dir := t.TempDir()
	img := encode(t, quarters(8, 8), "png")
	writeFiles(t, dir, map[string][]byte{"a.png": img, "b.png": img})
	train, test, err := Open("folder:"+dir, OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 1 || test.Len() != 1 || train.Classes() != nil || train.Label(0) != -1 {
		t.Errorf("%d and %d images, classes %v, label %d", train.Len(), test.Len(), train.Classes(), train.Label(0))
	}
}

// A WebP image of one transparent pixel.
const clearWebP = "UklGRhoAAABXRUJQVlA4TA0AAAAvAAAAEAcQERGIiP4HAA=="

func TestFolderFormats(t *testing.T) {
	dir := t.TempDir()
	webp, err := base64.StdEncoding.DecodeString(clearWebP)
	if err != nil {
		t.Fatal(err)
	}
	wide := quarters(200, 100) // the centre crop is 100x100
	// Left and right of the crop is what must not be seen.
	for y := range 100 {
		for x := range 200 {
			if x < 50 || x >= 150 {
				wide.SetRGBA(x, y, color.RGBA{0, 0, 0, 255})
			}
		}
	}
	sixteen := image.NewRGBA64(wide.Rect)
	for y := range 100 {
		for x := range 200 {
			sixteen.Set(x, y, wide.At(x, y))
		}
	}
	clear := image.NewNRGBA(image.Rect(0, 0, 10, 10)) // transparent black
	writeFiles(t, dir, map[string][]byte{
		"train/a.png": encode(t, wide, "png"), "train/b.jpg": encode(t, wide, "jpeg"), "train/c.gif": encode(t, wide, "gif"),
		"train/d.bmp": encode(t, wide, "bmp"), "train/e.png": encode(t, sixteen, "png"), "train/f.jpeg": encode(t, quarters(5, 9), "jpeg"),
		"train/y.png": encode(t, clear, "png"), "train/z.webp": webp, "test/a.png": encode(t, wide, "png"),
	})
	train, _, err := Open("folder:"+dir, OpenOptions{Size: 16})
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 { // the second time from memory
		for i, p := range paths(train) {
			pixels := make([]uint8, 16*16*3)
			if err := train.Read(i, pixels); err != nil {
				t.Fatal(err)
			}
			want := "rgbw"
			if p == "train/y.png" || p == "train/z.webp" {
				want = "wwww" // transparent is white
			}
			if got := letters(pixels, 16); got != want {
				t.Errorf("round %d: corners of %s are %s, want %s", round, p, got, want)
			}
		}
	}
}

// withExif puts an Exif segment with the orientation into a JPEG.
var bigEndian binary.AppendByteOrder = binary.BigEndian

func withExif(file []byte, orientation uint16, order binary.AppendByteOrder) []byte {
	tiff := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		tiff = []byte("MM\x00*")
	}
	tiff = order.AppendUint32(tiff, 8)
	tiff = order.AppendUint16(tiff, 2)
	for _, entry := range [][2]uint16{{0x0100, 7}, {0x0112, orientation}} {
		tiff = order.AppendUint16(tiff, entry[0])
		tiff = order.AppendUint16(tiff, 3) // SHORT
		tiff = order.AppendUint32(tiff, 1)
		tiff = order.AppendUint16(tiff, entry[1])
		tiff = order.AppendUint16(tiff, 0)
	}
	exif := append([]byte("Exif\x00\x00"), tiff...)
	segment := binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(2+len(exif)))
	return slices.Concat(file[:2], segment, exif, file[2:])
}

// The stored image is what the camera saw; shown as the orientation says, its
// upper left is red, and so on (Exif 2.3, 4.6.4 A: which side of the scene the
// 0th row and the 0th column are).
func TestFolderTurnsImagesUpright(t *testing.T) {
	upright := quarters(32, 32)
	for orientation, stored := range map[uint16]string{1: "rgbw", 2: "grwb", 3: "wbgr", 4: "bwrg", 5: "rbgw", 6: "gwrb", 7: "wgbr", 8: "brwg"} {
		// Put the quarters where the camera stored them.
		img := image.NewRGBA(upright.Rect)
		for q := range 4 {
			from := strings.IndexByte("rgbw", stored[q])
			for y := range 16 {
				for x := range 16 {
					img.SetRGBA(q%2*16+x, q/2*16+y, upright.RGBAAt(from%2*16+x, from/2*16+y))
				}
			}
		}
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			if got := corners(t, withExif(encode(t, img, "jpeg"), orientation, order)); got != "rgbw" {
				t.Errorf("orientation %d, %v: corners are %s, want rgbw", orientation, order, got)
			}
		}
	}
}

// Whatever stands in the header, the orientation is found or taken for 1.
func TestExifOfDamagedFiles(t *testing.T) {
	good := withExif(encode(t, quarters(4, 4), "jpeg"), 6, binary.BigEndian)
	if o := jpegOrientation(good); o != 6 {
		t.Fatalf("orientation %d, want 6", o)
	}
	for n := range 60 {
		jpegOrientation(good[:n])
		for _, b := range []byte{0, 1, 0x7f, 0xff} {
			bad := slices.Clone(good)
			bad[n] = b
			if o := jpegOrientation(bad); o < 1 || o > 8 {
				t.Errorf("byte %d as %#x gives orientation %d", n, b, o)
			}
		}
	}
}

// hugePNG is a header of a PNG image and nothing else.
func hugePNG(w, h uint32) []byte {
	chunk := []byte("IHDR")
	chunk = binary.BigEndian.AppendUint32(chunk, w)
	chunk = binary.BigEndian.AppendUint32(chunk, h)
	chunk = append(chunk, 8, 2, 0, 0, 0)
	b := append([]byte("\x89PNG\r\n\x1a\n"), 0, 0, 0, 13)
	b = append(b, chunk...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk))
}

func TestDecodeRefuses(t *testing.T) {
	good := encode(t, quarters(64, 64), "png")
	photo := encode(t, quarters(64, 64), "jpeg")
	for _, test := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"200 megapixels", hugePNG(20000, 10000), "image of 20000x10000 pixels of 4 bytes is over the limit of 256 MB"},
		{"overflow", hugePNG(1<<22, 1<<22), "over the limit"},
		{"just within the limit, but without pixels", hugePNG(8192, 8192), "truncated file"},
		{"truncated PNG", good[:len(good)/2], "not enough pixel data"},
		{"truncated JPEG", photo[:len(photo)/2], "truncated file: unexpected EOF"},
		{"empty", nil, "the file is empty"},
		{"text", []byte("hello"), "not a JPEG, PNG, GIF, WebP, TIFF, BMP or PNM image, or damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := decodeImage(test.content)
			wantError(t, err, test.want)
		})
	}
}

func TestOpenFolderRefuses(t *testing.T) {
	img := encode(t, quarters(8, 8), "png")
	empty, mixed, single, file := t.TempDir(), t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "a.png")
	writeFiles(t, empty, map[string][]byte{"cat/readme.txt": nil})
	writeFiles(t, mixed, map[string][]byte{"cat/1.png": img, "stray.png": img})
	writeFiles(t, single, map[string][]byte{"cat/1.png": img})
	writeFiles(t, filepath.Dir(file), map[string][]byte{"a.png": img})
	for path, want := range map[string]string{
		empty:                        "no images in " + empty + ": it needs files that end in .jpg, .jpeg, .png, .ppm, ",
		mixed:                        "some images are in subfolders and some, like stray.png, are not",
		single:                       "1 training and 0 test images: both splits need one",
		file:                         "is not a folder",
		filepath.Join(empty, "none"): "no such file or directory",
	} {
		_, _, err := Open("folder:"+path, OpenOptions{})
		wantError(t, err, want)
	}
}

// Past the memory for small images they are decoded each time, to the same.
func TestFolderWithoutRoom(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string][]byte{"a.png": encode(t, quarters(8, 8), "png"), "b.png": encode(t, quarters(9, 9), "png")})
	train, _, err := Open("folder:"+dir, OpenOptions{Size: 8})
	if err != nil {
		t.Fatal(err)
	}
	f := train.(*folder)
	f.room.Store(0)
	for range 2 {
		pixels := make([]uint8, 8*8*3)
		if err := f.Read(0, pixels); err != nil || letters(pixels, 8) != "rgbw" {
			t.Errorf("%s, error %v", letters(pixels, 8), err)
		}
		if f.kept[0].Load() != nil {
			t.Error("kept though there is no room")
		}
	}
}

// folderOf writes a small image for each name and opens the folder.
func folderOf(t *testing.T, names ...string) (dir string, train, test Source, err error) {
	t.Helper()
	dir = t.TempDir()
	files := map[string][]byte{}
	for i, n := range names {
		img := image.NewRGBA(image.Rect(0, 0, 2, 2))
		for k := range img.Pix {
			img.Pix[k] = uint8(50 + 3*i)
		}
		files[n] = encode(t, img, "png")
	}
	writeFiles(t, dir, files)
	train, test, err = Open("folder:"+dir, OpenOptions{})
	return dir, train, test, err
}

func TestSplitsByTheirUsualNames(t *testing.T) {
	for _, train := range []string{"train", "Training", "TRAIN", "train_set", "train2017"} {
		for _, test := range []string{"test", "Testing", "val", "VALID", "validation", "dev", "eval", "test set", "val2017", "test_images"} {
			_, a, b, err := folderOf(t, train+"/cat/1.png", train+"/dog/2.png", test+"/cat/3.png", test+"/dog/4.png", test+"/dog/5.png")
			if err != nil {
				t.Errorf("%s and %s: %v", train, test, err)
				continue
			}
			if a.Len() != 2 || b.Len() != 3 || !slices.Equal(a.Classes(), []string{"cat", "dog"}) {
				t.Errorf("%s and %s: %d and %d images of %v", train, test, a.Len(), b.Len(), a.Classes())
			}
		}
	}
	// A common prefix, as some datasets have it; without a pair it is a class.
	_, a, b, err := folderOf(t, "seg_train/cat/1.png", "seg_test/cat/2.png")
	if err != nil || a.Len() != 1 || b.Len() != 1 || a.Classes()[0] != "cat" {
		t.Errorf("with a prefix: %v", err)
	}
	_, a, _, err = folderOf(t, "bullet train/1.png", "bullet train/2.png", "bus/1.png", "bus/2.png")
	if err != nil || !slices.Equal(a.Classes(), []string{"bullet train", "bus"}) {
		t.Errorf("a class called bullet train: %v", err)
	}
}

func TestSplitsThatAreNotUnderstoodAreNamed(t *testing.T) {
	for _, test := range []struct {
		names []string
		want  string
	}{
		{[]string{"train/cat/1.png", "holdout/cat/2.png"}, "train is a split by its name, but what is holdout beside it?"},
		{[]string{"train/cat/1.png", "test/cat/2.png", "unlabeled/3.png"}, "what is unlabeled beside it?"},
		{[]string{"val/cat/1.png", "cat/1.png"}, "what is cat beside it?"},
		{[]string{"train/cat/1.png", "Train/cat/2.png", "test/cat/3.png"}, "Train and train mean the same split"},
		{[]string{"train/cat/1.png", "training/cat/2.png", "test/cat/3.png"}, "train and training mean the same split"},
		{[]string{"test/cat/1.png", "val/cat/2.png"}, "it has the split test but no train"},
		{[]string{"data/train/cat/1.png", "data/val/cat/2.png"}, "the splits train and val are within data: give the path of that folder"},
		{[]string{"cat/train/1.png", "cat/test/2.png", "dog/train/1.png", "dog/test/2.png"}, "the splits train and test are within cat"},
		{[]string{"train/cat/1.png", "train/2.png", "test/cat/3.png"}, "some images are in subfolders and some, like train/2.png, are not"},
	} {
		_, _, _, err := folderOf(t, test.names...)
		wantError(t, err, test.want)
	}
}

func TestWhichSplitIsTheTest(t *testing.T) {
	for _, test := range []struct {
		names []string
		train []string
		test  []string
		note  string
	}{
		{[]string{"train/a/1.png", "val/a/2.png", "test/a/3.png"}, []string{"train/a/1.png"}, []string{"test/a/3.png"}, "val is left out (1 images): the test split is test"},
		{[]string{"train/a/1.png", "val/a/2.png", "test/3.png"}, []string{"train/a/1.png"}, []string{"val/a/2.png"}, "test is left out: its 1 images are in no class"},
		{[]string{"train/a/1.png", "train/a/2.png"}, nil, nil, "there is no test split: a fifth of train is held out for it"},
		{[]string{"train/a/1.png", "test/a/2.png", "figure.png"}, []string{"train/a/1.png"}, []string{"test/a/2.png"}, "1 passed over: images beside the splits"},
	} {
		dir, a, b, err := folderOf(t, test.names...)
		if err != nil {
			t.Fatal(err)
		}
		if test.train != nil && (!slices.Equal(paths(a), test.train) || !slices.Equal(paths(b), test.test)) {
			t.Errorf("%v: %v and %v", test.names, paths(a), paths(b))
		}
		if a.Len() != 1 || b.Len() != 1 {
			t.Errorf("%v: %d and %d", test.names, a.Len(), b.Len())
		}
		if line := check(t, "folder:"+dir).Line(); !strings.Contains(line, test.note) {
			t.Errorf("%v: %s, want %q", test.names, line, test.note)
		}
	}
}

// Each class is split, whatever its size; what is added moves nothing.
func TestRareClassesAreInBothSplits(t *testing.T) {
	var names []string
	for c := range 20 {
		for i := range 2 + c%3 {
			names = append(names, fmt.Sprintf("c%02d/%d.png", c, i))
		}
	}
	dir, _, _, err := folderOf(t, append(names, "lonely/1.png")...)
	if err != nil {
		t.Fatal(err)
	}
	v := check(t, "folder:"+dir)
	for _, c := range v.Classes {
		if c.Name != "lonely" && (c.Train == 0 || c.Test == 0) {
			t.Errorf("class %s has %d and %d images", c.Name, c.Train, c.Test)
		}
	}
	if line := v.Line(); !strings.Contains(line, "classes without a test image: lonely") {
		t.Errorf("%s", line)
	}
}

// Systems compose é in two ways; it is one class.
func TestClassesThatLookTheSameAreTheSame(t *testing.T) {
	_, a, b, err := folderOf(t, "train/cafe\u0301/1.png", "test/caf\u00e9/2.png")
	if err != nil || len(a.Classes()) != 1 || a.Label(0) != 0 || b.Label(0) != 0 {
		t.Errorf("classes %q, error %v", a.Classes(), err)
	}
}

func TestClassOfUnreadImagesIsNamed(t *testing.T) {
	dir, _, _, err := folderOf(t, "cat/1.png", "cat/2.png")
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string][]byte{"dog/1.avif": {1}, "dog/2.avif": {2}})
	if line := check(t, "folder:"+dir).Line(); !strings.Contains(line, "2 passed over: images of a kind that is not read (.avif); dog is no class: its 2 images are of a kind that is not read") {
		t.Errorf("%s", line)
	}
}

func TestChangedFilesAreNotRead(t *testing.T) {
	dir, a, _, err := folderOf(t, "train/a/1.png", "test/a/2.png")
	if err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, map[string][]byte{"train/a/1.png": encode(t, quarters(9, 9), "png")})
	err = a.Read(0, make([]uint8, 32*32*3))
	wantError(t, err, "1.png: it has changed since the images were looked at")
}
