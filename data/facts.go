package data

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"image"
	"image/draw"
)

// facts are what the content of an image or of a sound tells, looked at once.
type facts struct {
	Error    string `json:"error,omitempty"` // why it cannot be decoded
	Width    int    `json:"width,omitempty"`
	Height   int    `json:"height,omitempty"`
	Turned   bool   `json:"turned,omitempty"`   // by its Exif orientation
	Gray     bool   `json:"gray,omitempty"`     // no pixel with a colour
	Deep     bool   `json:"deep,omitempty"`     // 16 bits a sample
	Low      bool   `json:"low,omitempty"`      // of which at most 12 are used
	Dark     bool   `json:"dark,omitempty"`     // 99 % of it nearly black
	Constant bool   `json:"constant,omitempty"` // all pixels, or samples, equal
	Pixels   string `json:"pixels,omitempty"`   // digest of the pixels, upright, on white, or of the samples
	Rate     int    `json:"rate,omitempty"`     // samples a second
	Samples  int    `json:"samples,omitempty"`
	Channels int    `json:"channels,omitempty"`
}

const (
	// JPEG and WebP round grey by that much to something else, in steps of 255.
	grayStep = 3
	// Below it a pixel is nearly black: all of 12 bits that stand in 16 are.
	darkLuma = 16
	darkPart = .99
)

// examine finds the facts of one image file.
func examine(file []byte) facts {
	p, err := decodeImage(file)
	if err != nil {
		return facts{Error: err.Error()}
	}
	f := facts{Gray: true, Constant: true, Turned: p.orientation != 1}
	f.Deep, f.Low = depth(p.Image)
	img := p.Image
	if f.Turned {
		whole := image.NewRGBA(image.Rectangle{Max: img.Bounds().Size()})
		onWhite(whole, img, img.Bounds().Min)
		img = turn(whole, p.orientation)
	}
	b := img.Bounds()
	f.Width, f.Height = b.Dx(), b.Dy()

	// A strip at a time, so that large images don't take the memory twice.
	const rows = 64
	strip := image.NewRGBA(image.Rect(0, 0, b.Dx(), min(rows, b.Dy())))
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(f.Width)))
	dark := 0
	var first [4]byte
	for y := 0; y < f.Height; y += rows {
		onWhite(strip, img, image.Pt(b.Min.X, b.Min.Y+y))
		pix := strip.Pix[:min(rows, f.Height-y)*strip.Stride]
		h.Write(pix)
		if y == 0 {
			copy(first[:], pix)
		}
		for k := 0; k < len(pix); k += 4 {
			r, g, b := int(pix[k]), int(pix[k+1]), int(pix[k+2])
			if max(r, g, b)-min(r, g, b) > grayStep {
				f.Gray = false
			}
			if 299*r+587*g+114*b < 1000*darkLuma {
				dark++
			}
			f.Constant = f.Constant && bytes.Equal(pix[k:k+4], first[:])
		}
	}
	f.Dark = float64(dark) >= darkPart*float64(f.Width*f.Height)
	f.Pixels = hex.EncodeToString(h.Sum(nil)[:16])
	return f
}

// onWhite fills the strip from a place of img on.
func onWhite(strip *image.RGBA, img image.Image, from image.Point) {
	draw.Draw(strip, strip.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(strip, strip.Rect, img, from, draw.Over)
}

// depth tells whether samples have 16 bits, and whether none needs more than 12.
func depth(img image.Image) (deep, low bool) {
	var pix []byte
	samples := 4
	switch m := img.(type) {
	case *image.Gray16:
		pix, samples = m.Pix, 1
	case *image.RGBA64:
		pix = m.Pix
	case *image.NRGBA64:
		pix = m.Pix
	default:
		return false, false
	}
	most := uint16(0)
	for i := 0; i+1 < len(pix); i += 2 {
		if samples == 1 || i/2%4 < 3 {
			most = max(most, binary.BigEndian.Uint16(pix[i:]))
		}
	}
	return true, most > 0 && most < 1<<12
}
