package data

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"strings"

	"golang.org/x/image/tiff"
)

// extensions are those of torchvision's ImageFolder, of GIF and of other
// spellings of the same formats. What a file holds decides how it is read, not
// how it is called.
var extensions = []string{
	".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp",
	".gif", ".apng", ".jfif", ".jpe", ".pbm", ".pnm",
}

// maxImage is the size of the largest image that is decoded, in bytes of memory:
// 67 million pixels of 4 bytes. A file of some kilobytes can ask for any amount.
const maxImage = 256 << 20

// maxFile is the size of the largest image file that is read, in bytes.
const maxFile = 1 << 30

// still is a decoded image as it is stored.
type still struct {
	image.Image
	orientation int // Exif's, 1 to 8; 1 is upright
}

// codec reads a format.
type codec struct {
	name        string
	is          func(file []byte) bool
	config      func(io.Reader) (image.Config, error)
	decode      func(file []byte) (image.Image, error)
	orientation func(file []byte) int
}

func begins(with ...string) func([]byte) bool {
	return func(file []byte) bool {
		for _, w := range with {
			if bytes.HasPrefix(file, []byte(w)) {
				return true
			}
		}
		return false
	}
}

func reading(decode func(io.Reader) (image.Image, error)) func([]byte) (image.Image, error) {
	return func(file []byte) (image.Image, error) { return decode(bytes.NewReader(file)) }
}

func upstanding([]byte) int { return 1 }

var codecs = []codec{
	{"JPEG", begins("\xff\xd8"), jpegConfig, decodeJPEG, jpegOrientation},
	{"PNG", begins("\x89PNG\r\n\x1a\n"), png.DecodeConfig, reading(png.Decode), pngOrientation},
	{"GIF", begins("GIF87a", "GIF89a"), gif.DecodeConfig, decodeGIF, gifOrientation},
	{"WebP", isWebP, webpConfig, decodeWebP, webpOrientation},
	{"TIFF", begins("II*\x00", "MM\x00*"), tiffConfig, decodeTIFF, tiffFileOrientation},
	{"BMP", begins("BM"), bmpConfig, decodeBMP, upstanding},
	{"PNM", isPNM, pnmConfig, decodePNM, upstanding},
}

const (
	gitLFS = "a pointer of Git LFS in place of the file: get it by 'git lfs pull'"
	aText  = "a text (XML, SVG or HTML), not an image of pixels"
)

// Of what is no image that can be read, what it is.
var others = []struct {
	name string
	is   func([]byte) bool
}{
	{"an AVIF image", isBrand("avif", "avis")},
	{"a HEIF image", isBrand("heic", "heix", "hevc", "hevx", "heim", "heis", "mif1", "msf1")},
	{"a JPEG XL image", begins("\xff\x0a", "\x00\x00\x00\x0cJXL ")},
	{"a JPEG 2000 image", begins("\x00\x00\x00\x0cjP  ", "\xff\x4f\xff\x51")},
	{"a BigTIFF image", begins("II+\x00", "MM\x00+")},
	{"a Photoshop image", begins("8BPS")},
	{"an OpenEXR image", begins("\x76\x2f\x31\x01")},
	{"an icon", begins("\x00\x00\x01\x00")},
	{"a PAM or PFM image", begins("P7\n", "PF\n", "Pf\n")},
	{"a PDF document", begins("%PDF")},
	{gitLFS, begins("version https://git-lfs")},
	{aText, func(file []byte) bool {
		text := strings.ToLower(strings.TrimSpace(string(file[:min(len(file), 64)])))
		return strings.HasPrefix(text, "<?xml") || strings.HasPrefix(text, "<svg") || strings.HasPrefix(text, "<!doctype") || strings.HasPrefix(text, "<html")
	}},
}

// isBrand knows files of the ISO base media format (ISO 14496-12, 4.3) by their
// major brand.
func isBrand(brands ...string) func([]byte) bool {
	return func(file []byte) bool {
		if len(file) < 12 || string(file[4:8]) != "ftyp" {
			return false
		}
		for _, b := range brands {
			if string(file[8:12]) == b {
				return true
			}
		}
		return false
	}
}

// decodeImage decodes the first image of a file of any known format. It
// refuses one over the limit by its header.
func decodeImage(file []byte) (p still, err error) {
	// The decoders are other people's, and the files anybody's.
	defer func() {
		if r := recover(); r != nil {
			p, err = still{}, fmt.Errorf("damaged: its decoder fails: %v", r)
		}
	}()
	if len(file) == 0 {
		return still{}, errors.New("the file is empty")
	}
	for _, c := range codecs {
		if !c.is(file) {
			continue
		}
		config, err := c.config(bytes.NewReader(file))
		if err != nil {
			return still{}, truncated(err)
		}
		if err := affordable(config); err != nil {
			return still{}, err
		}
		img, err := c.decode(file)
		if err != nil {
			return still{}, truncated(err)
		}
		return still{img, c.orientation(file)}, nil
	}
	for _, o := range others {
		if o.is(file) {
			if o.name == gitLFS || o.name == aText {
				return still{}, errors.New(o.name)
			}
			return still{}, fmt.Errorf("%s, which is not read: convert it to PNG or JPEG", o.name)
		}
	}
	return still{}, errors.New("not a JPEG, PNG, GIF, WebP, TIFF, BMP or PNM image, or damaged")
}

func affordable(c image.Config) error {
	if c.Width < 1 || c.Height < 1 {
		return fmt.Errorf("image of %dx%d pixels", c.Width, c.Height)
	}
	depth := int64(4)
	switch c.ColorModel {
	case color.GrayModel:
		depth = 1
	case color.Gray16Model:
		depth = 2
	case color.YCbCrModel:
		depth = 3
	case color.RGBA64Model, color.NRGBA64Model:
		depth = 8
	}
	if int64(c.Width) > maxImage/depth/int64(c.Height) {
		return fmt.Errorf("image of %dx%d pixels of %d bytes is over the limit of %d MB: make it smaller", c.Width, c.Height, depth, maxImage>>20)
	}
	return nil
}

// decodeGIF returns the first frame on its canvas.
func decodeGIF(file []byte) (image.Image, error) {
	config, err := gif.DecodeConfig(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	frame, err := gif.Decode(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	canvas := image.Rect(0, 0, config.Width, config.Height)
	if frame.Bounds() == canvas {
		return frame, nil
	}
	whole := image.NewRGBA(canvas)
	draw.Draw(whole, frame.Bounds(), frame, frame.Bounds().Min, draw.Src)
	return whole, nil
}

// noAdobe is what image/jpeg says of four components without the APP14 segment
// that tells what they are. They are CMYK, and inverted as Adobe's: so do others
// take them.
const noAdobe = "4-component JPEG doesn't have Adobe APP14 metadata"

// adobeCMYK is an APP14 segment for components as they are.
const adobeCMYK = "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"

func withAdobe(file []byte) io.Reader {
	return io.MultiReader(bytes.NewReader(file[:2]), strings.NewReader(adobeCMYK), bytes.NewReader(file[2:]))
}

func jpegConfig(r io.Reader) (image.Config, error) {
	file, err := io.ReadAll(r)
	if err != nil {
		return image.Config{}, err
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(file))
	if err != nil && strings.Contains(err.Error(), noAdobe) {
		c, err = jpeg.DecodeConfig(withAdobe(file))
	}
	return c, err
}

func decodeJPEG(file []byte) (image.Image, error) {
	img, err := jpeg.Decode(bytes.NewReader(file))
	if err == nil || !strings.Contains(err.Error(), noAdobe) {
		return img, err
	}
	return jpeg.Decode(withAdobe(file))
}

// decodeTIFF decodes the first page. It refuses what x/image/tiff would take
// for something else.
func decodeTIFF(file []byte) (image.Image, error) {
	tags := tiffTags(file)
	switch {
	case tags[284] == 2 && tags[277] > 1:
		return nil, errors.New("TIFF in planes, one a colour, which is not read: save it with interleaved colours")
	case tags[339] > 1:
		return nil, errors.New("TIFF of signed or floating-point samples, which is not read: scale it to 8 or 16 bits")
	}
	img, err := tiff.Decode(bytes.NewReader(file))
	var unsupported tiff.UnsupportedError
	if errors.As(err, &unsupported) {
		return nil, fmt.Errorf("TIFF of a kind that is not read (%s): convert it to PNG", string(unsupported))
	}
	// x/image takes 0 for white in faxes (compression 3 and 4), whatever the tag says that tells which it is.
	if fax, ok := img.(*image.Gray); ok && (tags[259] == 3 || tags[259] == 4) && tags[262] == 1 {
		for i := range fax.Pix {
			fax.Pix[i] = 255 - fax.Pix[i]
		}
	}
	return img, err
}

func tiffConfig(r io.Reader) (image.Config, error) {
	c, err := tiff.DecodeConfig(r)
	var unsupported tiff.UnsupportedError
	if errors.As(err, &unsupported) {
		return c, fmt.Errorf("TIFF of a kind that is not read (%s): convert it to PNG", string(unsupported))
	}
	return c, err
}

// turn returns the image as its Exif orientation says it is to be seen (Exif
// 2.3, 4.6.4 A).
func turn(img *image.RGBA, orientation int) *image.RGBA {
	if orientation == 1 {
		return img
	}
	w, h := img.Rect.Dx(), img.Rect.Dy()
	turned := image.NewRGBA(image.Rect(0, 0, w, h))
	if orientation >= 5 { // 5 is the transpose, 6 to 8 follow it like 2 to 4 the identity
		turned = image.NewRGBA(image.Rect(0, 0, h, w))
	}
	right, bottom := turned.Rect.Dx()-1, turned.Rect.Dy()-1
	for y := range h {
		for x := range w {
			tx, ty := x, y
			if orientation >= 5 {
				tx, ty = y, x
			}
			switch orientation {
			case 2, 6:
				tx = right - tx
			case 3, 7:
				tx, ty = right-tx, bottom-ty
			case 4, 8:
				ty = bottom - ty
			}
			copy(turned.Pix[turned.PixOffset(tx, ty):][:4], img.Pix[img.PixOffset(img.Rect.Min.X+x, img.Rect.Min.Y+y):][:4])
		}
	}
	return turned
}

// square is the central square of an image, resized and upright.
func (p still) square(size int) *image.RGBA {
	b := p.Bounds()
	side := min(b.Dx(), b.Dy())
	corner := b.Min.Add(image.Pt((b.Dx()-side)/2, (b.Dy()-side)/2))
	return turn(resize(p.Image, image.Rectangle{corner, corner.Add(image.Pt(side, side))}, size), p.orientation)
}
