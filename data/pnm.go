package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
)

// pnm is the header of a portable bitmap, graymap or pixmap, and the reader of
// what follows (Netpbm's pbm(5), pgm(5), ppm(5)): P1 to P3 in text, P4 to P6 in
// bytes; samples are 0 to maxval, in two bytes, the higher first, above 255.
type pnm struct {
	kind          byte // '1' to '6'
	width, height int
	maxval        int
	rest          []byte
}

func isPNM(file []byte) bool {
	return len(file) >= 3 && file[0] == 'P' && file[1] >= '1' && file[1] <= '6' && (isSpace(file[2]) || file[2] == '#')
}

func isSpace(b byte) bool { return b == ' ' || b >= '\t' && b <= '\r' }

func parsePNM(file []byte) (*pnm, error) {
	p := &pnm{kind: file[1], maxval: 1, rest: file[2:]}
	fields := []*int{&p.width, &p.height, &p.maxval}
	if p.kind == '1' || p.kind == '4' {
		fields = fields[:2]
	}
	for _, f := range fields {
		n, err := p.number()
		if err != nil {
			return nil, err
		}
		*f = n
	}
	if p.maxval < 1 || p.maxval > 65535 {
		return nil, fmt.Errorf("PNM image with samples up to %d: 1 to 65535 are possible", p.maxval)
	}
	if p.kind >= '4' {
		if len(p.rest) == 0 {
			return nil, io.ErrUnexpectedEOF
		}
		p.rest = p.rest[1:] // a single white space, the samples follow
	}
	return p, nil
}

// skip goes to what is neither white space nor a comment.
func (p *pnm) skip() {
	for len(p.rest) > 0 {
		switch {
		case isSpace(p.rest[0]):
			p.rest = p.rest[1:]
		case p.rest[0] == '#':
			end := bytes.IndexAny(p.rest, "\r\n")
			if end < 0 {
				end = len(p.rest)
			}
			p.rest = p.rest[end:]
		default:
			return
		}
	}
}

func (p *pnm) number() (int, error) {
	p.skip()
	if len(p.rest) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, digits := 0, 0
	for ; digits < len(p.rest) && p.rest[digits] >= '0' && p.rest[digits] <= '9'; digits++ {
		if n = 10*n + int(p.rest[digits]-'0'); n > 1<<30 {
			return 0, errors.New("PNM image with too large a number")
		}
	}
	if digits == 0 {
		return 0, fmt.Errorf("PNM image with %q in place of a number", p.rest[0])
	}
	p.rest = p.rest[digits:]
	return n, nil
}

func (p *pnm) colour() bool { return p.kind == '3' || p.kind == '6' }

func (p *pnm) model() color.Model {
	switch {
	case p.colour() && p.maxval > 255:
		return color.RGBA64Model
	case p.colour():
		return color.RGBAModel
	case p.maxval > 255:
		return color.Gray16Model
	}
	return color.GrayModel
}

// sample reads the next one, scaled to 0 to most.
func (p *pnm) sample(most int) (int, error) {
	n := 0
	switch {
	case p.kind <= '3':
		var err error
		if p.kind == '1' { // digits without space between them are possible
			p.skip()
			if len(p.rest) == 0 {
				return 0, io.ErrUnexpectedEOF
			}
			n, p.rest = 1-int(p.rest[0]-'0'), p.rest[1:] // 1 is black
		} else if n, err = p.number(); err != nil {
			return 0, err
		}
	case p.maxval > 255:
		if len(p.rest) < 2 {
			return 0, io.ErrUnexpectedEOF
		}
		n, p.rest = int(binary.BigEndian.Uint16(p.rest)), p.rest[2:]
	default:
		if len(p.rest) < 1 {
			return 0, io.ErrUnexpectedEOF
		}
		n, p.rest = int(p.rest[0]), p.rest[1:]
	}
	if n < 0 || n > p.maxval {
		return 0, fmt.Errorf("PNM image with a sample of %d over its maximum of %d", n, p.maxval)
	}
	return (n*most + p.maxval/2) / p.maxval, nil
}

func pnmConfig(r io.Reader) (image.Config, error) {
	file, err := io.ReadAll(r)
	if err != nil {
		return image.Config{}, err
	}
	p, err := parsePNM(file)
	if err != nil {
		return image.Config{}, err
	}
	return image.Config{ColorModel: p.model(), Width: p.width, Height: p.height}, nil
}

func decodePNM(file []byte) (image.Image, error) {
	p, err := parsePNM(file)
	if err != nil {
		return nil, err
	}
	// Each sample takes a bit at least: no memory for what cannot be there.
	if int64(p.width)*int64(p.height) > 8*int64(len(p.rest)) {
		return nil, io.ErrUnexpectedEOF
	}
	bounds := image.Rect(0, 0, p.width, p.height)
	if p.kind == '4' {
		return p.bits(bounds)
	}
	var pix []byte
	var img image.Image
	most, samples, opaque := 255, 1, false
	switch p.model() {
	case color.GrayModel:
		m := image.NewGray(bounds)
		img, pix = m, m.Pix
	case color.Gray16Model:
		m := image.NewGray16(bounds)
		img, pix, most = m, m.Pix, 65535
	case color.RGBAModel:
		m := image.NewRGBA(bounds)
		img, pix, samples, opaque = m, m.Pix, 3, true
	case color.RGBA64Model:
		m := image.NewRGBA64(bounds)
		img, pix, most, samples, opaque = m, m.Pix, 65535, 3, true
	}
	put := func(n int) {
		if most > 255 {
			pix[0], pix = byte(n>>8), pix[1:]
		}
		pix[0], pix = byte(n), pix[1:]
	}
	for len(pix) > 0 {
		for range samples {
			n, err := p.sample(most)
			if err != nil {
				return nil, err
			}
			put(n)
		}
		if opaque {
			put(most)
		}
	}
	return img, nil
}

// bits reads P4: eight pixels a byte, the highest bit first, rows begin a byte;
// 1 is black.
func (p *pnm) bits(bounds image.Rectangle) (image.Image, error) {
	img := image.NewGray(bounds)
	stride := (p.width + 7) / 8
	if stride*p.height > len(p.rest) {
		return nil, io.ErrUnexpectedEOF
	}
	for y := range p.height {
		for x := range p.width {
			if p.rest[y*stride+x/8]>>(7-x%8)&1 == 0 {
				img.Pix[y*img.Stride+x] = 255
			}
		}
	}
	return img, nil
}
