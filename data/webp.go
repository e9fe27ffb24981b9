package data

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"io"

	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"
	xwebp "golang.org/x/image/webp"
)

// webp is the container of a WebP file, RFC 9649: a still, or the first frame
// of an animation on its canvas.
type webp struct {
	canvas          image.Rectangle
	frame           image.Rectangle
	alpha           []byte // chunk ALPH
	lossy, lossless []byte // one of the chunks "VP8 " and VP8L
	exif, xmp       []byte
}

func isWebP(file []byte) bool {
	return len(file) >= 12 && string(file[:4]) == "RIFF" && string(file[8:12]) == "WEBP"
}

// uint24 is little-endian.
func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

func parseWebP(file []byte) (*webp, error) {
	size := int64(binary.LittleEndian.Uint32(file[4:])) + 8
	if size > int64(len(file))+1 { // some writers leave the last byte of padding out
		return nil, fmt.Errorf("truncated file: %d of %d bytes: %w", len(file), size, io.ErrUnexpectedEOF)
	}
	w := &webp{}
	err := eachChunk(file[12:min(size, int64(len(file)))], func(kind string, content []byte) error {
		switch kind {
		case "VP8X":
			if len(content) < 10 {
				return errors.New("WebP with a short header")
			}
			w.canvas = image.Rect(0, 0, uint24(content[4:])+1, uint24(content[7:])+1)
		case "ANMF":
			if w.lossy != nil || w.lossless != nil {
				return nil // a later frame
			}
			if len(content) < 16 {
				return errors.New("WebP with a short frame")
			}
			at := image.Pt(2*uint24(content), 2*uint24(content[3:]))
			w.frame = image.Rectangle{at, at.Add(image.Pt(uint24(content[6:])+1, uint24(content[9:])+1))}
			return eachChunk(content[16:], w.add)
		case "EXIF":
			w.exif = content
		case "XMP ":
			w.xmp = content
		default:
			return w.add(kind, content)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var inner image.Config
	switch {
	case w.lossy != nil:
		d := vp8.NewDecoder()
		d.Init(bytes.NewReader(w.lossy), len(w.lossy))
		header, err := d.DecodeFrameHeader()
		if err != nil {
			return nil, truncated(err)
		}
		inner = image.Config{Width: header.Width, Height: header.Height}
	case w.lossless != nil:
		if inner, err = vp8l.DecodeConfig(bytes.NewReader(w.lossless)); err != nil {
			return nil, truncated(err)
		}
	default:
		return nil, errors.New("WebP without an image")
	}
	whole := image.Rect(0, 0, inner.Width, inner.Height)
	if w.canvas.Empty() {
		w.canvas = whole
	}
	if w.frame.Empty() {
		w.frame = w.canvas
	}
	if w.frame.Size() != whole.Size() || !w.frame.In(w.canvas) {
		return nil, fmt.Errorf("WebP whose image of %v is not the one of %v that its header says", whole.Size(), w.frame.Size())
	}
	return w, nil
}

// add keeps the first image.
func (w *webp) add(kind string, content []byte) error {
	if w.lossy != nil || w.lossless != nil {
		return nil
	}
	switch kind {
	case "ALPH":
		w.alpha = content
	case "VP8 ":
		w.lossy = content
	case "VP8L":
		w.lossless = content
	}
	return nil
}

// eachChunk calls f with the chunks of a RIFF container.
func eachChunk(b []byte, f func(kind string, content []byte) error) error {
	for len(b) >= 8 {
		size := int64(binary.LittleEndian.Uint32(b[4:]))
		if size > int64(len(b))-8 {
			return fmt.Errorf("truncated file: %w", io.ErrUnexpectedEOF)
		}
		if err := f(string(b[:4]), b[8:8+size]); err != nil {
			return err
		}
		b = b[min(int64(len(b)), 8+size+size%2):]
	}
	return nil
}

func webpConfig(r io.Reader) (image.Config, error) {
	file, err := io.ReadAll(r)
	if err != nil {
		return image.Config{}, err
	}
	w, err := parseWebP(file)
	if err != nil {
		return image.Config{}, err
	}
	return image.Config{ColorModel: color.NRGBAModel, Width: w.canvas.Dx(), Height: w.canvas.Dy()}, nil
}

func webpOrientation(file []byte) int {
	w, err := parseWebP(file)
	if err != nil {
		return 1
	}
	var m marks
	m.addExif(w.exif)
	m.addXMP(w.xmp)
	return m.orientation()
}

func decodeWebP(file []byte) (image.Image, error) {
	w, err := parseWebP(file)
	if err != nil {
		return nil, err
	}
	frame, err := w.decode()
	if err != nil {
		return nil, err
	}
	if w.frame == w.canvas {
		return frame, nil
	}
	// The canvas' colour is a hint that players don't take (RFC 9649, 2.7.1.1):
	// around the frame it is transparent.
	whole := image.NewNRGBA(w.canvas)
	draw.Draw(whole, w.frame, frame, image.Point{}, draw.Src)
	return whole, nil
}

func (w *webp) decode() (image.Image, error) {
	if w.lossless != nil {
		return vp8l.Decode(bytes.NewReader(w.lossless))
	}
	if w.alpha == nil {
		d := vp8.NewDecoder()
		d.Init(bytes.NewReader(w.lossy), len(w.lossy))
		if _, err := d.DecodeFrameHeader(); err != nil {
			return nil, err
		}
		img, err := d.DecodeFrame()
		if err != nil {
			return nil, err
		}
		return fullRange(img, nil, 0), nil
	}
	// x/image reads transparency only of a whole file.
	size := w.frame.Size()
	header := []byte{0x10, 0, 0, 0} // with alpha
	for _, n := range []int{size.X - 1, size.Y - 1} {
		header = append(header, byte(n), byte(n>>8), byte(n>>16))
	}
	var body []byte
	for _, chunk := range []struct {
		kind    string
		content []byte
	}{{"WEBPVP8X", header}, {"ALPH", w.alpha}, {"VP8 ", w.lossy}} {
		body = append(body, chunk.kind...)
		body = binary.LittleEndian.AppendUint32(body, uint32(len(chunk.content)))
		body = append(body, chunk.content...)
		if len(chunk.content)%2 == 1 {
			body = append(body, 0)
		}
	}
	still := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body)))
	img, err := xwebp.Decode(bytes.NewReader(append(still, body...)))
	if err != nil {
		return nil, err
	}
	seeThrough, ok := img.(*image.NYCbCrA)
	if !ok {
		return nil, errors.New("WebP without the transparency that it promises")
	}
	return fullRange(&seeThrough.YCbCr, seeThrough.A, seeThrough.AStride), nil
}

// fullRange converts VP8's colours, which are of ITU-R BT.601 in its limited
// range (RFC 6386, 9.2: black is 16), where image.YCbCr is of JPEG's full one.
// Arithmetic and interpolation of the halved colours are those of libwebp, to
// the bit.
func fullRange(img *image.YCbCr, alpha []byte, alphaStride int) *image.NRGBA {
	b := img.Rect
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	chromaWidth, chromaHeight := (b.Dx()+1)/2, (b.Dy()+1)/2
	for y := range b.Dy() {
		near := y / 2
		far := min(max(near+2*(y%2)-1, 0), chromaHeight-1)
		for x := range b.Dx() {
			column := x / 2
			beside := min(max(column+2*(x%2)-1, 0), chromaWidth-1)
			chroma := func(plane []byte) int {
				at := func(row, column int) int { return int(plane[row*img.CStride+column]) }
				return (9*at(near, column) + 3*at(near, beside) + 3*at(far, column) + at(far, beside) + 8) >> 4
			}
			luma, u, v := int(img.Y[y*img.YStride+x]), chroma(img.Cb), chroma(img.Cr)
			scaled := luma * 19077 >> 8
			pixel := out.Pix[y*out.Stride+4*x:][:4]
			pixel[0] = clip(scaled + v*26149>>8 - 14234)
			pixel[1] = clip(scaled - u*6419>>8 - v*13320>>8 + 8708)
			pixel[2] = clip(scaled + u*33050>>8 - 17685)
			pixel[3] = 255
			if alpha != nil {
				pixel[3] = alpha[y*alphaStride+x]
			}
		}
	}
	return out
}

// clip rounds six bits off.
func clip(v int) uint8 { return uint8(min(max(v>>6, 0), 255)) }
