package data

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
)

// Orientation, 1 to 8, is tag 0x0112 of the 0th IFD of Exif (Exif 2.3, 4.6.4 A)
// and tiff:Orientation of XMP, which counts where Exif has none. Photos from
// telephones lie on their side without it, which would teach a method of
// rotations something wrong. Where nothing valid is said it is 1.

const orientationTag = 0x0112

// marks collects what a file says of its orientation.
type marks struct{ exif, xmp int }

func (m *marks) addExif(b []byte) {
	b = bytes.TrimPrefix(b, []byte("Exif\x00\x00")) // in WebP and PNG some write it too
	if m.exif == 0 {
		m.exif = valid(tiffTags(b)[orientationTag])
	}
}

var xmpOrientation = regexp.MustCompile(`tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])\s*["'<]`)

func (m *marks) addXMP(b []byte) {
	if found := xmpOrientation.FindSubmatch(b); found != nil && m.xmp == 0 {
		m.xmp = int(found[1][0] - '0')
	}
}

func (m *marks) orientation() int {
	switch {
	case m.exif > 0:
		return m.exif
	case m.xmp > 0:
		return m.xmp
	}
	return 1
}

func valid(orientation int64) int {
	if orientation < 1 || orientation > 8 {
		return 0
	}
	return int(orientation)
}

// jpegOrientation looks through all segments before the pixels. Exif need not
// be the first of them.
func jpegOrientation(file []byte) int {
	var m marks
	for b := file[min(2, len(file)):]; len(b) >= 4 && b[0] == 0xff; {
		switch {
		case b[1] == 0xff: // fill
			b = b[1:]
			continue
		case b[1] == 0x01 || b[1] >= 0xd0 && b[1] <= 0xd7: // without a length
			b = b[2:]
			continue
		case b[1] == 0xda || b[1] == 0xd9:
			return m.orientation()
		}
		size := 2 + int(binary.BigEndian.Uint16(b[2:]))
		if size < 4 || size > len(b) {
			break
		}
		if segment := b[4:size]; b[1] == 0xe1 {
			if bytes.HasPrefix(segment, []byte("Exif\x00\x00")) {
				m.addExif(segment)
			} else if packet, ok := bytes.CutPrefix(segment, []byte("http://ns.adobe.com/xap/1.0/\x00")); ok {
				m.addXMP(packet)
			}
		}
		b = b[size:]
	}
	return m.orientation()
}

// pngOrientation looks for the chunk eXIf, which may come before the pixels or
// after them, for XMP in iTXt, and for Exif as ImageMagick writes it into text.
func pngOrientation(file []byte) int {
	var m marks
	for b := file[min(8, len(file)):]; len(b) >= 12; {
		size := int64(binary.BigEndian.Uint32(b))
		if size > int64(len(b))-12 {
			break
		}
		content := b[8 : 8+size]
		switch kind := string(b[4:8]); kind {
		case "eXIf":
			m.addExif(content)
		case "tEXt", "zTXt", "iTXt":
			keyword, text := pngText(kind, content)
			switch keyword {
			case "XML:com.adobe.xmp":
				m.addXMP(text)
			case "Raw profile type exif", "Raw profile type APP1":
				m.addExif(rawProfile(text))
			}
		}
		b = b[12+size:]
	}
	return m.orientation()
}

// pngText returns keyword and text of a chunk (PNG, third edition, 11.3.3).
func pngText(kind string, content []byte) (keyword string, text []byte) {
	word, rest, found := bytes.Cut(content, []byte{0})
	if !found {
		return "", nil
	}
	compressed := false
	switch kind {
	case "zTXt":
		if len(rest) < 1 {
			return "", nil
		}
		compressed, rest = true, rest[1:]
	case "iTXt":
		if len(rest) < 2 {
			return "", nil
		}
		compressed, rest = rest[0] == 1, rest[2:]
		for range 2 { // language and keyword in it
			if _, rest, found = bytes.Cut(rest, []byte{0}); !found {
				return "", nil
			}
		}
	}
	if compressed {
		rest = inflate(rest)
	}
	return string(word), rest
}

func inflate(b []byte) []byte {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(z, 1<<20))
	if err != nil {
		return nil
	}
	return text
}

// rawProfile decodes "\nexif\n    LENGTH\nHEX...".
func rawProfile(text []byte) []byte {
	fields := strings.Fields(string(text))
	if len(fields) < 3 {
		return nil
	}
	b, err := hex.DecodeString(strings.Join(fields[2:], ""))
	if err != nil {
		return nil
	}
	return b
}

// gifOrientation looks for XMP, the only one a GIF can carry, in an application
// extension.
func gifOrientation(file []byte) int {
	var m marks
	if _, packet, found := bytes.Cut(file, []byte("\x21\xff\x0bXMP DataXMP")); found {
		packet, _, _ = bytes.Cut(packet, []byte("<?xpacket end"))
		m.addXMP(packet)
	}
	return m.orientation()
}

func tiffFileOrientation(file []byte) int {
	tags := tiffTags(file)
	m := marks{exif: valid(tags[orientationTag])}
	if at := tags[700]; at > 0 && at < int64(len(file)) { // XMP
		packet, _, _ := bytes.Cut(file[at:], []byte("<?xpacket end"))
		m.addXMP(packet[:min(len(packet), 1<<20)])
	}
	return m.orientation()
}

// tiffTags returns the first value of the tags of the 0th IFD (TIFF 6.0, 2),
// where it is a whole number, and the place of a longer value.
func tiffTags(b []byte) map[uint16]int64 {
	if len(b) < 8 {
		return nil
	}
	var order binary.ByteOrder
	switch string(b[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return nil
	}
	start := int64(order.Uint32(b[4:]))
	if start+2 > int64(len(b)) {
		return nil
	}
	tags := map[uint16]int64{}
	entries := b[start+2:]
	for n := order.Uint16(b[start:]); n > 0 && len(entries) >= 12; n, entries = n-1, entries[12:] {
		tag, count, value := order.Uint16(entries), int64(order.Uint32(entries[4:])), entries[8:12]
		width := int64(1)
		switch order.Uint16(entries[2:]) { // type
		case 3, 8:
			width = 2
		case 4, 9:
			width = 4
		}
		if width*count > 4 {
			at := int64(order.Uint32(value))
			if tag == 700 {
				tags[tag] = at
				continue
			}
			if at+4 > int64(len(b)) {
				continue
			}
			value = b[at : at+4]
		}
		switch width {
		case 1:
			tags[tag] = int64(value[0])
		case 2:
			tags[tag] = int64(order.Uint16(value))
		case 4:
			tags[tag] = int64(order.Uint32(value))
		}
	}
	return tags
}
