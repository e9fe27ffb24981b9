package data

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"fmt"
	"io"
	"sync"
)

//go:generate go run digits_gen.go free-spoken-digit-dataset/recordings

// Cepstra of the Free Spoken Digit Dataset; licences beside them.
//
// The file begins with the least and the largest value of each of 13 coefficients, as float32: a byte b of one stands for
// least + (b-1)/254 of the way to the largest. Then come the recordings, by digit, speaker and number: these three and the
// count of frames as a byte each, and the frames.
//
//go:embed embedded/digits/cepstra.gz
var digitFile []byte

const (
	digitCepstra = 13
	digitFrames  = 32 // 0.65 s; one in twenty is longer, and cut off
	digitCount   = 3000
)

var (
	digitNames    = []string{"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}
	digitSpeakers = []string{"george", "jackson", "lucas", "nicolas", "theo", "yweweler"}
)

// digitSet is sounds: [Clips] of frames of 1x13x1, in steps of 1 to 255; where a sound has ended all are 0. Numbers 0 to 4 of
// each digit and speaker are the test split, as its makers have it, so that the speakers of both are the same.
type digitSet struct{}

func (digitSet) id() string { return "spoken-digits" }

func (s digitSet) info(string) Info {
	return Info{Name: s.id(), Train: 2700, Test: 300, Height: 1, Width: digitCepstra, Channels: 1, Classes: digitNames,
		Licence: "CC BY-SA 4.0", Present: true, Where: "embedded"}
}

func (digitSet) open(context.Context, OpenOptions) (train, test Source, err error) {
	splits, err := openDigits()
	return splits[0], splits[1], err
}

var openDigits = sync.OnceValues(func() (splits [2]Source, err error) {
	z, err := gzip.NewReader(bytes.NewReader(digitFile))
	if err != nil {
		return splits, err
	}
	all, err := io.ReadAll(z)
	if err != nil {
		return splits, err
	}
	rest := all[min(len(all), 8*digitCepstra):]
	var parts [2]*sounds
	for i, name := range []string{"train", "test"} {
		parts[i] = &sounds{name: "spoken-digits/" + name, length: digitFrames, labelled: labelled{kinds: []labelling{{"digit", digitNames, nil}, {"speaker", digitSpeakers, nil}}}}
		splits[i] = parts[i]
	}
	for n := range digitCount {
		if len(rest) < 4 || len(rest) < 4+int(rest[3])*digitCepstra || int(rest[0]) >= len(digitNames) || int(rest[1]) >= len(digitSpeakers) {
			return splits, fmt.Errorf("recording %d is damaged", n)
		}
		s := parts[0]
		if rest[2] < 5 {
			s = parts[1]
		}
		for k, label := range rest[:2] {
			s.kinds[k].labels = append(s.kinds[k].labels, int32(label))
		}
		end := 4 + int(rest[3])*digitCepstra
		s.frames = append(s.frames, rest[4:end])
		rest = rest[end:]
	}
	return splits, nil
})

// sounds is a split.
type sounds struct {
	labelled
	name   string
	length int // frames of a clip
	frames [][]byte
}

func (s *sounds) Name() string         { return s.name }
func (s *sounds) Len() int             { return len(s.frames) }
func (s *sounds) Shape() (h, w, c int) { return 1, digitCepstra, 1 }
func (s *sounds) Frames() int          { return s.length }

func (s *sounds) Read(i int, pixels []uint8) error {
	clear(pixels[copy(pixels, s.frames[i]):])
	return nil
}

func (s *sounds) Labelled(kind string) Source {
	by := *s
	by.labelled = s.by(kind)
	return &by
}
