package data

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The files of testdata/images were written by Pillow 13.0 and tifffile, or by
// hand after the formats' descriptions. Seen as they are meant all have the
// same four quarters; those called exif or xmp and imagemagick.png are stored
// on their side.
func TestImagesOfEveryKind(t *testing.T) {
	files, err := filepath.Glob("testdata/images/*")
	if err != nil || len(files) < 30 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(filepath.Base(name), func(t *testing.T) {
			if got := corners(t, file); got != "rgbw" {
				t.Errorf("corners are %s, want rgbw", got)
			}
			// Cut anywhere it is refused, or what is missing was not needed; no decoder fails.
			for n := range len(file) {
				if _, err := decodeImage(file[:n]); err != nil && strings.Contains(err.Error(), "decoder fails") {
					t.Errorf("%d of %d bytes: %v", n, len(file), err)
				}
			}
		})
	}
}

func TestRefusedKindsAreNamed(t *testing.T) {
	for name, want := range map[string]string{
		"planes.tif": "TIFF in planes",
		"big.tif":    "a BigTIFF image, which is not read: convert it to PNG or JPEG",
		"float.tif":  "TIFF of a kind that is not read (sample format)",
		"cmyk.tif":   "TIFF of a kind that is not read (color model)",
		"jpeg.tif":   "TIFF of a kind that is not read (compression value 7)",
		"x.avif":     "an AVIF image, which is not read",
	} {
		file, err := os.ReadFile(filepath.Join("testdata", "refused", name))
		if err != nil {
			t.Fatal(err)
		}
		_, err = decodeImage(file)
		wantError(t, err, want)
	}
	for text, want := range map[string]string{
		"<!DOCTYPE html><title>404</title>":                      "a text (XML, SVG or HTML), not an image",
		"version https://git-lfs.github.com/spec/v1\noid sha256": "a pointer of Git LFS in place of the file",
		"\xff\x0a\x00\x00":                                       "a JPEG XL image",
		"8BPS\x00\x01":                                           "a Photoshop image",
	} {
		_, err := decodeImage([]byte(text))
		wantError(t, err, want)
	}
}

func fixture(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Flat images of 16x16 pixels, lossy.
const (
	blackWebP = "UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoQABAAAUAmJaQAA3AA/v02aAA="
	whiteWebP = "UklGRiQAAABXRUJQVlA4IBgAAAAwAQCdASoQABAAAUAmJaQAA3AA/vz0AAA="
)

func TestLossyWebPIsOfFullRange(t *testing.T) {
	for text, want := range map[string]uint8{blackWebP: 0, whiteWebP: 255} {
		img, err := decodeImage(fixture(t, text))
		if err != nil {
			t.Fatal(err)
		}
		if got := img.square(2).Pix[:3]; got[0] != want || got[1] != want || got[2] != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
}

// ITU-R BT.601: Y' = 16 + 219 y, C = 128 + 224 c. libwebp's integers differ from
// it by 1 at most.
func TestFullRange(t *testing.T) {
	for _, c := range []struct{ r, g, b float64 }{{0, 0, 0}, {1, 1, 1}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {.2, .5, .8}, {.5, .5, .5}} {
		y := .299*c.r + .587*c.g + .114*c.b
		plane := func(v float64) []uint8 { return []uint8{uint8(v + .5)} }
		img := &image.YCbCr{
			Y: plane(16 + 219*y), Cb: plane(128 + 224*(c.b-y)/1.772), Cr: plane(128 + 224*(c.r-y)/1.402),
			YStride: 1, CStride: 1, SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: image.Rect(0, 0, 1, 1),
		}
		got := fullRange(img, nil, 0).Pix
		for k, want := range []float64{c.r, c.g, c.b} {
			// 1 of libwebp, 2 of rounding Y, Cb and Cr to 220 and 225 steps.
			if d := float64(got[k]) - 255*want; d > 3 || d < -3 {
				t.Errorf("%v becomes %v", c, got)
			}
		}
	}
}

// Fax, TIFF's compression 4: white is 0 in one and 1 in the other.
func TestFaxOfBothPolarities(t *testing.T) {
	for _, text := range []string{
		"SUkqABQAAAAmov///////gAgAgAJAAABAwABAAAAEAAAAAEBAwABAAAAEAAAAAIBAwABAAAAAQAAAAMBAwABAAAABAAAAAYBAwABAAAAAAAAABEBBAABAAAACAAAABYBAwABAAAAEAAAABcBBAABAAAACwAAABwBAwABAAAAAQAAAAAAAAA=",
		"SUkqABIAAAAzF/////ABABAACQAAAQMAAQAAABAAAAABAQMAAQAAABAAAAACAQMAAQAAAAEAAAADAQMAAQAAAAQAAAAGAQMAAQAAAAEAAAARAQQAAQAAAAgAAAAWAQMAAQAAABAAAAAXAQQAAQAAAAkAAAAcAQMAAQAAAAEAAAAAAAAA",
	} {
		img, err := decodeImage(fixture(t, text))
		if err != nil {
			t.Fatal(err)
		}
		// The right half is white, the left one black.
		if left, right := img.At(2, 8), img.At(12, 8); left != (color.Gray{0}) || right != (color.Gray{255}) {
			t.Errorf("left %v, right %v", left, right)
		}
	}
}

func TestPNM(t *testing.T) {
	for _, test := range []struct {
		name, file string
		want       []uint32 // red of the pixels, 0 to 65535
	}{
		{"P1", "P1\n# by hand\n2 2\n0 1\n10", []uint32{65535, 0, 0, 65535}},
		{"P2", "P2 2 1 15 0 5", []uint32{0, 85 * 257}},
		{"P3", "P3\n1 1\n255\n255 0 0", []uint32{65535}},
		{"P4", "P4 10 1\n\x40\x80", []uint32{65535, 0, 65535, 65535, 65535, 65535, 65535, 65535, 0, 65535}},
		{"P5", "P5 2 1 255\n\x00\xff", []uint32{0, 65535}},
		{"P5 of 100", "P5 2 1 100\n\x00\x64", []uint32{0, 65535}},
		{"P5 of 12 bits", "P5 2 1 4095\n\x00\x00\x0f\xff", []uint32{0, 65535}},
		{"P6", "P6 1 1 255\n\xff\x00\x00", []uint32{65535}},
		{"P6 of 16 bits", "P6 1 1 65535\n\x12\x34\x00\x00\x00\x00", []uint32{0x1234}},
	} {
		img, err := decodeImage([]byte(test.file))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var got []uint32
		for x := range img.Bounds().Dx() * img.Bounds().Dy() {
			r, _, _, _ := img.At(x%img.Bounds().Dx(), x/img.Bounds().Dx()).RGBA()
			got = append(got, r)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	for file, want := range map[string]string{
		"P5 2 1 255\n\x00":       "truncated file",
		"P6 9999 9999 255\n\x00": "over the limit",
		"P5 999 999 255\n\x00":   "truncated file",
		"P2 1 1 15 16":           "a sample of 16 over its maximum of 15",
		"P2 x":                   "in place of a number",
		"P5 1 1 70000\n\x00":     "1 to 65535 are possible",
	} {
		_, err := decodeImage([]byte(file))
		wantError(t, err, want)
	}
}

// A file of 780 kB that takes 800 MB: 100 million pixels are few, but not of 8
// bytes.
func TestLimitIsOfBytes(t *testing.T) {
	deep := hugePNG(10000, 10000)
	deep[24] = 16
	binary.BigEndian.PutUint32(deep[29:], crc32.ChecksumIEEE(deep[12:29]))
	_, err := decodeImage(deep)
	wantError(t, err, "image of 10000x10000 pixels of 8 bytes is over the limit of 256 MB: make it smaller")
}

// Exif may stand behind any amount of other segments, in PNG behind the pixels,
// and its tag may be of another type of number.
func TestExifWhereverItStands(t *testing.T) {
	img := quarters(32, 32)
	side := turn(img, 8) // which 6 undoes
	photo := encode(t, side, "jpeg")
	photo = withExif(photo, 6, binary.LittleEndian)
	profile := append([]byte{0xff, 0xe2, 0xff, 0xff}, make([]byte, 65533)...)
	late := slices.Concat(photo[:2], profile, profile, profile, profile, []byte{0xff}, photo[2:])

	exif := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x04\x00\x00\x00\x01\x00\x00\x00\x06") // LONG
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(exif)))
	chunk = append(append(chunk, "eXIf"...), exif...)
	chunk = binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
	drawing := encode(t, side, "png")
	end := len(drawing) - 12 // IEND
	for name, file := range map[string][]byte{
		"JPEG, behind 262 kB of profiles": late,
		"PNG, behind the pixels":          slices.Concat(drawing[:end], chunk, drawing[end:]),
		"PNG, before them":                slices.Concat(drawing[:33], chunk, drawing[33:]),
	} {
		if got := corners(t, file); got != "rgbw" {
			t.Errorf("%s: corners are %s, want rgbw", name, got)
		}
	}
	if got := corners(t, drawing); got == "rgbw" {
		t.Error("without its tag it is upright too")
	}
}

func TestTurn(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 3, 2))
	for i := range 6 {
		img.Pix[4*i] = uint8(i)
	}
	for o, want := range []string{"3x2 012345", "3x2 210543", "3x2 543210", "3x2 345012", "2x3 031425", "2x3 304152", "2x3 524130", "2x3 251403"} {
		turned := turn(img, o+1)
		got := fmt.Sprintf("%dx%d ", turned.Rect.Dx(), turned.Rect.Dy())
		for i := range 6 {
			got += fmt.Sprint(turned.Pix[4*i])
		}
		if got != want {
			t.Errorf("orientation %d: %s, want %s", o+1, got, want)
		}
	}
}

func FuzzDecodeImage(f *testing.F) {
	for _, pattern := range []string{"testdata/images/*", "testdata/refused/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, name := range files {
			file, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(file)
		}
	}
	f.Add([]byte("P3 1 1 255 1 2 3"))
	f.Fuzz(func(t *testing.T, file []byte) {
		img, err := decodeImage(bytes.Clone(file))
		if err != nil {
			return
		}
		if b := img.Bounds(); b.Empty() || img.orientation < 1 || img.orientation > 8 {
			t.Errorf("bounds %v, orientation %d", b, img.orientation)
		}
		if b := img.Bounds(); b.Dx() < 1000 && b.Dy() < 1000 {
			img.square(4)
			examine(file)
		}
	})
}
