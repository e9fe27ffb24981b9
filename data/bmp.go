package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"math/bits"
)

// dib is a Windows or OS/2 bitmap: 1 to 32 bits a pixel, with a palette, masks
// of colours or run lengths.
type dib struct {
	width, height int
	topDown       bool
	bpp           int
	runs          bool
	palette       color.Palette
	masks         [4]uint32 // red, green, blue, alpha
	pixels        []byte
}

var errBMP = errors.New("damaged BMP image")

// parseBMP reads the headers. Sources: Microsoft's BITMAPINFOHEADER,
// BITMAPV4HEADER, BITMAPV5HEADER and BITMAPCOREHEADER.
func parseBMP(file []byte) (*dib, error) {
	if len(file) < 26 {
		return nil, io.ErrUnexpectedEOF
	}
	u16 := func(at int) int { return int(binary.LittleEndian.Uint16(file[at:])) }
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(file[at:]) }
	start, header := int64(u32(10)), int64(u32(14))
	if header > int64(len(file))-14 || start > int64(len(file)) {
		return nil, io.ErrUnexpectedEOF
	}
	d := &dib{pixels: file[start:]}
	compression, used, entry := uint32(0), 0, 4
	switch {
	case header == 12:
		d.width, d.height, d.bpp, entry = u16(18), u16(20), u16(24), 3
	case header >= 40:
		d.width, d.height, d.bpp = int(int32(u32(18))), int(int32(u32(22))), u16(28)
		compression, used = u32(30), int(u32(46))
	default:
		return nil, fmt.Errorf("BMP with a header of %d bytes, which is not read: convert it to PNG", header)
	}
	if d.height < 0 {
		d.height, d.topDown = -d.height, true
	}
	if d.width < 0 || d.height < 0 {
		return nil, errBMP
	}
	after := int(14 + header)
	switch d.bpp {
	case 1, 2, 4, 8:
		if used <= 0 || used > 1<<d.bpp {
			used = 1 << d.bpp
		}
		used = min(used, (len(file)-after)/entry)
		for i := range used {
			bgr := file[after+i*entry:]
			d.palette = append(d.palette, color.RGBA{bgr[2], bgr[1], bgr[0], 255})
		}
		if len(d.palette) == 0 {
			return nil, errBMP
		}
		d.runs = compression == 1 && d.bpp == 8 || compression == 2 && d.bpp == 4
		if compression != 0 && !d.runs {
			return nil, unreadBMP(compression)
		}
	case 16:
		d.masks = [4]uint32{0x7c00, 0x3e0, 0x1f}
	case 24, 32:
		d.masks = [4]uint32{0xff0000, 0xff00, 0xff}
	default:
		return nil, fmt.Errorf("BMP of %d bits a pixel, which is not read: convert it to PNG", d.bpp)
	}
	if d.palette != nil {
		return d, nil
	}
	switch {
	case (compression == 3 || compression == 6) && d.bpp != 24:
		// They stand behind the smallest header and in all larger ones at the same place.
		if len(file) < 66 {
			return nil, io.ErrUnexpectedEOF
		}
		d.masks = [4]uint32{u32(54), u32(58), u32(62)}
	case compression != 0:
		return nil, unreadBMP(compression)
	}
	if d.bpp != 24 && (header >= 56 || compression == 6) && len(file) >= 70 {
		d.masks[3] = u32(66)
	}
	return d, nil
}

func unreadBMP(compression uint32) error {
	return fmt.Errorf("BMP of compression %d, which is not read: convert it to PNG", compression)
}

func bmpConfig(r io.Reader) (image.Config, error) {
	file, err := io.ReadAll(r)
	if err != nil {
		return image.Config{}, err
	}
	d, err := parseBMP(file)
	if err != nil {
		return image.Config{}, err
	}
	return image.Config{ColorModel: color.NRGBAModel, Width: d.width, Height: d.height}, nil
}

func decodeBMP(file []byte) (image.Image, error) {
	d, err := parseBMP(file)
	if err != nil {
		return nil, err
	}
	switch {
	case d.runs:
		return d.runLengths()
	case d.palette != nil:
		return d.paletted()
	}
	return d.masked()
}

// row calls f with the stored bytes of each row.
func (d *dib) row(f func(y int, b []byte) error) error {
	stride := (d.width*d.bpp + 31) / 32 * 4
	for i := range d.height {
		// The padding of the last row is often left out.
		if need := (d.width*d.bpp + 7) / 8; len(d.pixels) < i*stride+need {
			return io.ErrUnexpectedEOF
		}
		if err := f(d.line(i), d.pixels[i*stride:]); err != nil {
			return err
		}
	}
	return nil
}

// line is where the i-th stored row belongs.
func (d *dib) line(i int) int {
	if d.topDown {
		return i
	}
	return d.height - 1 - i
}

func (d *dib) paletted() (image.Image, error) {
	img := image.NewPaletted(image.Rect(0, 0, d.width, d.height), d.palette)
	return img, d.row(func(y int, b []byte) error {
		for x := range d.width {
			bit := x * d.bpp
			index := b[bit/8] >> (8 - d.bpp - bit%8) & (1<<d.bpp - 1)
			if int(index) >= len(d.palette) {
				return errBMP
			}
			img.Pix[y*img.Stride+x] = index
		}
		return nil
	})
}

func (d *dib) masked() (image.Image, error) {
	img := image.NewNRGBA(image.Rect(0, 0, d.width, d.height))
	size, seen := d.bpp/8, false
	err := d.row(func(y int, b []byte) error {
		for x := range d.width {
			var v uint32
			for k := size - 1; k >= 0; k-- {
				v = v<<8 | uint32(b[x*size+k])
			}
			pixel := img.Pix[y*img.Stride+4*x:][:4]
			for k, mask := range d.masks {
				if pixel[k] = 255; mask != 0 {
					low := bits.TrailingZeros32(mask)
					most := uint64(mask >> low)
					pixel[k] = uint8((uint64((v&mask)>>low)*255 + most/2) / most)
				} else if k < 3 {
					pixel[k] = 0
				}
			}
			seen = seen || pixel[3] > 0
		}
		return nil
	})
	if !seen { // as programs write it that know of no transparency
		for i := 3; i < len(img.Pix); i += 4 {
			img.Pix[i] = 255
		}
	}
	return img, err
}

// runLengths reads RLE8 and RLE4: a count and a value; or 0 and the end of a
// row (0), of the image (1), a step (2) or that many values as they are.
func (d *dib) runLengths() (image.Image, error) {
	img := image.NewPaletted(image.Rect(0, 0, d.width, d.height), d.palette)
	x, i, b := 0, 0, d.pixels
	put := func(index byte) error {
		if int(index) >= len(d.palette) || x >= d.width || i >= d.height {
			return errBMP
		}
		img.Pix[d.line(i)*img.Stride+x] = index
		x++
		return nil
	}
	// value k of bytes that hold one or two each
	value := func(b []byte, k int) byte {
		if d.bpp == 8 {
			return b[k]
		}
		return b[k/2] >> (4 - k%2*4) & 15
	}
	for len(b) >= 2 {
		count, code := int(b[0]), int(b[1])
		b = b[2:]
		switch {
		case count > 0:
			for k := range count {
				if err := put(value([]byte{byte(code), byte(code)}[:2], k%2)); err != nil {
					return nil, err
				}
			}
		case code == 0:
			x, i = 0, i+1
		case code == 1:
			return img, nil
		case code == 2:
			if len(b) < 2 {
				return nil, io.ErrUnexpectedEOF
			}
			x, i, b = x+int(b[0]), i+int(b[1]), b[2:]
		default:
			size := (code*d.bpp + 7) / 8
			if len(b) < size {
				return nil, io.ErrUnexpectedEOF
			}
			for k := range code {
				if err := put(value(b, k)); err != nil {
					return nil, err
				}
			}
			b = b[min(len(b), size+size%2):]
		}
	}
	if i >= d.height { // without an end of its own
		return img, nil
	}
	return nil, io.ErrUnexpectedEOF
}
