package data

import (
	"context"
	"math"
)

// filmSet is pieces of clothing that cross a dark frame on a straight line, [Clips]: the real images of fashion-mnist-10k at half
// their size, in a motion that is drawn and therefore known. There is one clip of each image. More frames are finer steps of
// the same motion, which is one pixel or two along an axis in each of seven steps; nothing leaves the frame.
type filmSet struct{}

const (
	filmSide  = 32
	thingSide = 14 // of what moves
	filmPath  = 7  // steps of the whole motion
)

var (
	filmDirections = []string{"right", "right-down", "down", "left-down", "left", "left-up", "up", "right-up"}
	filmSpeeds     = []string{"slow", "fast"}
)

func (filmSet) id() string { return "moving-fashion" }

func (s filmSet) info(string) Info {
	return Info{Name: s.id(), Train: 10000, Test: 2000, Height: filmSide, Width: filmSide, Channels: 1, Classes: fashionClasses,
		Licence: "MIT", Present: true, Where: "embedded"}
}

func (s filmSet) open(_ context.Context, o OpenOptions) (train, test Source, err error) {
	splits, err := openFashion10k()
	if err != nil {
		return nil, nil, err
	}
	return newFilms(s.id()+"/train", splits[0], o, 0), newFilms(s.id()+"/test", splits[1], o, 1), nil
}

// films is a split.
type films struct {
	labelled
	name   string
	things Source
	frames int
	starts [][2]int // of the upper left corner of what moves, in pixels
}

func newFilms(name string, things Source, o OpenOptions, split uint64) *films {
	s := &films{name: name, things: things, frames: o.Frames, labelled: labelled{kinds: []labelling{
		{"what", fashionClasses, Labels(things)}, {"direction", filmDirections, nil}, {"speed", filmSpeeds, nil},
	}}}
	for i := range things.Len() {
		d := newStream(uint64(o.Seed)^0x66696c6d<<1|split, uint64(i)) // "film": other draws than those of other sets
		direction, speed := d.below(len(filmDirections)), d.below(len(filmSpeeds))
		s.kinds[1].labels, s.kinds[2].labels = append(s.kinds[1].labels, int32(direction)), append(s.kinds[2].labels, int32(speed))
		dx, dy := heading(direction)
		start := func(d0 int) int { // so that the whole path is within the frame
			way := filmPath * (speed + 1)
			room := filmSide - thingSide
			if d0 != 0 {
				room -= way
			}
			at := d.below(room + 1)
			if d0 < 0 {
				at += way
			}
			return at
		}
		s.starts = append(s.starts, [2]int{start(dx), start(dy)})
	}
	return s
}

// heading is a direction as a step along x, to the right, and y, down.
func heading(direction int) (dx, dy int) {
	sign := func(v float64) int { return int(math.Round(v * 1.2)) } // of 0, 0.7 and 1
	sin, cos := math.Sincos(float64(direction) * math.Pi / 4)
	return sign(cos), sign(sin)
}

func (s *films) Name() string         { return s.name }
func (s *films) Len() int             { return s.things.Len() }
func (s *films) Shape() (h, w, c int) { return filmSide, filmSide, 1 }
func (s *films) Frames() int          { return s.frames }

func (s *films) Labelled(kind string) Source {
	by := *s
	by.labelled = s.by(kind)
	return &by
}

func (s *films) Read(i int, pixels []uint8) error {
	whole := make([]uint8, 4*thingSide*thingSide)
	if err := s.things.Read(i, whole); err != nil {
		return err
	}
	clear(pixels)
	dx, dy := heading(int(s.kinds[1].labels[i]))
	way := float64(filmPath * (s.kinds[2].labels[i] + 1))
	for t := range s.frames {
		gone := way * float64(t) / float64(s.frames-1)
		left, top := s.starts[i][0]+int(math.Round(float64(dx)*gone)), s.starts[i][1]+int(math.Round(float64(dy)*gone))
		frame := pixels[t*filmSide*filmSide:]
		for y := range thingSide {
			for x := range thingSide {
				at := 2 * (y*2*thingSide + x) // of the upper left of the four pixels that are one here
				sum := int(whole[at]) + int(whole[at+1]) + int(whole[at+2*thingSide]) + int(whole[at+2*thingSide+1])
				frame[(top+y)*filmSide+left+x] = uint8((sum + 2) / 4)
			}
		}
	}
	return nil
}
