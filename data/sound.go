package data

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/mewkiz/flac"
)

// sound is a decoded sound: the mean over its channels, in [-1, 1].
type sound struct {
	samples        []float64
	rate, channels int
}

// maxSamples is the length of the longest sound that is decoded, three minutes at 44.1 kHz: a FLAC file of some kilobytes can ask
// for any.
const maxSamples = 1 << 23

var errLongSound = fmt.Errorf("a sound of more than %d samples: cut it into shorter ones", maxSamples)

// decodeSound reads a WAV or FLAC file, whatever its name.
func decodeSound(file []byte) (s *sound, err error) {
	defer func() { // as decodeImage
		if r := recover(); r != nil {
			s, err = nil, fmt.Errorf("damaged: its decoder fails: %v", r)
		}
	}()
	switch {
	case len(file) == 0:
		return nil, errors.New("the file is empty")
	case begins("version https://git-lfs")(file):
		return nil, errors.New(gitLFS)
	case begins("fLaC", "ID3")(file) && bytes.Contains(file[:min(len(file), 1<<16)], []byte("fLaC")):
		return decodeFLAC(file)
	case begins("RIFF")(file) && len(file) >= 12 && string(file[8:12]) == "WAVE":
		return decodeWAV(file)
	case begins("RF64", "BW64", "RIFX")(file):
		return nil, fmt.Errorf("a WAV file of a kind that is not read (%s)", file[:4])
	}
	return nil, errors.New("neither WAV nor FLAC, or damaged")
}

// usable says what of a header is not read.
func (s *sound) usable() error {
	switch {
	case s.rate < leastRate || s.rate > mostRate:
		return fmt.Errorf("%d samples a second: only %d to %d are read", s.rate, leastRate, mostRate)
	case s.channels < 1 || s.channels > 64:
		return fmt.Errorf("%d channels: only 1 to 64 are read", s.channels)
	}
	return nil
}

// wavFormats are those that are met; PCM and float are read.
var wavFormats = map[uint16]string{2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 49: "GSM 6.10", 85: "MP3"}

const (
	wavPCM, wavFloat, wavExtensible = 1, 3, 0xfffe

	wavGUID = "\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71" // what follows the format of an extensible one
)

// decodeWAV reads PCM of 8, 16, 24 and 32 bits and float of 32 and 64, by "Multimedia Programming Interface and Data Specifications
// 1.0" (IBM and Microsoft, 1991) and Microsoft's "Multiple Channel Audio Data and WAVE Files" for extensible formats. Decoders at
// hand take a file that is cut off, or of another format, for a whole one of PCM.
func decodeWAV(file []byte) (*sound, error) {
	le := binary.LittleEndian
	var s sound
	var format uint16
	var width int // bytes a sample
	for rest := file[12:]; ; {
		if len(rest) < 8 {
			return nil, errors.New("truncated file: it ends before its samples")
		}
		kind, size := string(rest[:4]), int(le.Uint32(rest[4:]))
		rest = rest[8:]
		if kind == "data" && size >= 0x7ffff000 { // as who cannot go back writes it
			return nil, errors.New("it does not tell its length, as it was written into a pipe: write it to a file")
		}
		if size > len(rest) {
			return nil, fmt.Errorf("truncated file: %d of %d bytes of its part %q are there", len(rest), size, kind)
		}
		body := rest[:size]
		switch kind {
		case "fmt ":
			if size < 16 {
				return nil, errors.New("damaged: its format is cut off")
			}
			format, s.channels, s.rate = le.Uint16(body), int(le.Uint16(body[2:])), int(le.Uint32(body[4:]))
			align, bits := int(le.Uint16(body[12:])), int(le.Uint16(body[14:]))
			if format == wavExtensible {
				if size < 40 || string(body[26:40]) != wavGUID {
					return nil, errors.New("a WAV file of a kind that is not read (an unknown extensible format)")
				}
				format = le.Uint16(body[24:])
			}
			width = bits / 8
			pcm := format == wavPCM && (bits == 8 || bits == 16 || bits == 24 || bits == 32)
			if !pcm && !(format == wavFloat && (bits == 32 || bits == 64)) {
				name := wavFormats[format]
				if format == wavPCM || format == wavFloat {
					name = fmt.Sprintf("%d bits", bits)
				}
				return nil, fmt.Errorf("a WAV file of a kind that is not read (format %d, %s): convert it to PCM of 16 bits", format, name)
			}
			if err := s.usable(); err != nil {
				return nil, err
			}
			if align != width*s.channels {
				return nil, fmt.Errorf("damaged: %d bytes for %d samples of %d bits", align, s.channels, bits)
			}
		case "data":
			if width == 0 {
				return nil, errors.New("damaged: its samples come before their format")
			}
			if size%(width*s.channels) != 0 {
				return nil, errors.New("damaged: it ends within a sample")
			}
			if size/(width*s.channels) > maxSamples {
				return nil, errLongSound
			}
			return &s, s.mix(body, width, format == wavFloat)
		}
		rest = rest[min(size+size%2, len(rest)):] // parts begin at even places
	}
}

// mix fills the samples of a WAV file.
func (s *sound) mix(body []byte, width int, float bool) error {
	le := binary.LittleEndian
	s.samples = make([]float64, len(body)/(width*s.channels))
	for i := range s.samples {
		for range s.channels {
			var v float64
			switch {
			case float && width == 4:
				v = float64(math.Float32frombits(le.Uint32(body)))
			case float:
				v = math.Float64frombits(le.Uint64(body))
			case width == 1: // from 0 to 255
				v = (float64(body[0]) - 128) / 128
			case width == 2:
				v = float64(int16(le.Uint16(body))) / (1 << 15)
			case width == 3:
				v = float64(int32(body[0])<<8|int32(body[1])<<16|int32(int8(body[2]))<<24) / (1 << 31)
			default:
				v = float64(int32(le.Uint32(body))) / (1 << 31)
			}
			if !(math.Abs(v) <= 100) { // a little more than 1 is usual
				return fmt.Errorf("damaged, or not scaled: it has a sample of %g, where 1 is the loudest", v)
			}
			s.samples[i] += v / float64(s.channels)
			body = body[width:]
		}
	}
	if len(s.samples) == 0 {
		return errors.New("it has no samples")
	}
	return nil
}

// decodeFLAC reads FLAC of up to 24 bits, and verifies its length and its MD5.
func decodeFLAC(file []byte) (*sound, error) {
	stream, err := flac.New(bytes.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("damaged FLAC file: %w", truncated(err))
	}
	info := stream.Info
	s := &sound{rate: int(info.SampleRate), channels: int(info.NChannels)}
	bits := info.BitsPerSample
	switch {
	case bits > 24:
		return nil, fmt.Errorf("a FLAC file of %d bits, of which only up to 24 are read", bits)
	case info.NSamples > maxSamples:
		return nil, errLongSound
	case info.NSamples == 0:
		return nil, errors.New("it has no samples, or does not tell its length, as it was written into a pipe: write it to a file")
	}
	if err := s.usable(); err != nil {
		return nil, err
	}
	sum := md5.New()
	for uint64(len(s.samples)) < info.NSamples {
		f, err := stream.ParseNext()
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return nil, fmt.Errorf("truncated file: %d of %d samples are there", len(s.samples), info.NSamples)
			}
			return nil, fmt.Errorf("damaged FLAC file: %w", err)
		}
		if f.BitsPerSample != bits || len(f.Subframes) != s.channels || f.SampleRate != 0 && int(f.SampleRate) != s.rate {
			return nil, fmt.Errorf("a FLAC file of a kind that is not read (its frames have %d bits, %d channels and %d samples a second, its header %d, %d and %d)",
				f.BitsPerSample, len(f.Subframes), f.SampleRate, bits, s.channels, s.rate)
		}
		f.Hash(sum)
		scale := 1 / (float64(int64(1)<<(bits-1)) * float64(s.channels))
		for i := range int(f.BlockSize) {
			v := 0
			for _, channel := range f.Subframes {
				if len(channel.Samples) != int(f.BlockSize) {
					return nil, errors.New("damaged FLAC file: channels of unequal lengths")
				}
				v += int(channel.Samples[i])
			}
			s.samples = append(s.samples, scale*float64(v))
		}
	}
	if uint64(len(s.samples)) != info.NSamples {
		return nil, fmt.Errorf("damaged FLAC file: %d samples where its header says %d", len(s.samples), info.NSamples)
	}
	if [md5.Size]byte(sum.Sum(nil)) != info.MD5sum && info.MD5sum != [md5.Size]byte{} {
		return nil, errors.New("damaged FLAC file: its samples are not those of its checksum")
	}
	return s, nil
}
