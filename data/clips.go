package data

import (
	"context"
	"math"
	"slices"
)

// Clips is a Source of clips: Read fills Frames*H*W*C, Shape is that of a
// frame, and a Loader yields uint8 [N, T, H, W, C].
//
// A sound is a clip of narrow frames, 1xFx1: F numbers that describe a short
// time, in steps of 1 to 255. Frames after its end are all 0.
type Clips interface {
	Source
	// Frames of each clip, T, of sounds with those after the end.
	Frames() int
}

// Tracked is Clips that know where what moves is.
type Tracked interface {
	Clips
	// Tracks fills id [T*H*W] with 1+k where object k is foremost, the same k
	// in all frames, and 0 on the background.
	Tracks(i int, id []uint8)
}

// clipSet is scenes in which things move, and the camera in half of them.
// More frames are finer steps of the same motion.
type clipSet struct{}

func (clipSet) id() string { return "clips" }

func (s clipSet) info(string) Info {
	info := sceneSet{}.info("")
	info.Name = s.id()
	return info
}

func (s clipSet) open(_ context.Context, o OpenOptions) (train, test Source, err error) {
	info := s.info("")
	return &clips{scenes{name: "clips/train", n: info.Train, size: o.Size, seed: o.Seed}, o.Frames},
		&clips{scenes{name: "clips/test", n: info.Test, size: o.Size, seed: o.Seed, test: true}, o.Frames}, nil
}

// clips is a split.
type clips struct {
	stills scenes
	frames int
}

func (s *clips) Name() string                         { return s.stills.Name() }
func (s *clips) Len() int                             { return s.stills.Len() }
func (s *clips) Shape() (height, width, channels int) { return s.stills.Shape() }
func (s *clips) Label(i int) int32                    { return s.stills.Label(i) }
func (s *clips) Classes() []string                    { return sceneClasses }
func (s *clips) Frames() int                          { return s.frames }

// at returns scene i, set in motion.
func (s *clips) at(i int) *world {
	d := newDice(s.stills.seed, s.stills.test, i)
	w := newWorld(d, s.Label(i))
	w.move(d)
	return w
}

func (s *clips) Read(i int, pixels []uint8) error {
	s.each(i, len(pixels)/s.frames, func(w *world, c *canvas, time float64, from, to int) {
		w.paint(c, time, pixels[from:to])
	})
	return nil
}

func (s *clips) Tracks(i int, id []uint8) {
	s.each(i, len(id)/s.frames, func(w *world, c *canvas, time float64, from, to int) {
		w.mask(c, time, id[from:to])
	})
}

// each calls draw for each frame of clip i, with its time, 0 to 1, and its part
// of what is to be filled.
func (s *clips) each(i, size int, draw func(w *world, c *canvas, time float64, from, to int)) {
	c := takeCanvas(s.stills.size)
	defer c.giveBack()
	w := s.at(i)
	for t := range s.frames {
		draw(w, c, float64(t)/float64(s.frames-1), t*size, (t+1)*size)
	}
}

// move sets the world in motion: what can move does, the camera in half of the
// clips, and something passes before or behind the thing of the label.
func (w *world) move(d dice) {
	if d.chance(.5) {
		w.pan = d.side() * d.between(.1, .3)
	}
	if len(w.things) > 3 {
		w.things = w.things[1:]
		w.main--
	}
	main := w.things[w.main]
	class := []int32{bird, car, dog}[d.below(3)]
	if w.setting == lake {
		class = []int32{bird, boat}[d.below(2)]
	}
	t := d.thing(class)
	t.swims = class == bird && w.setting == lake && !w.above
	t.height = 1
	t.height = math.Sqrt(d.between(.25, .5) * main.area() / t.area())
	t.x, t.foot = main.x+d.between(-.1, .1), main.foot
	if w.above {
		w.lie(d, &t)
	}
	if place := w.main; d.chance(.5) {
		t.foot += .04
		w.things = append(w.things, t)
	} else {
		t.foot = max(t.foot-.05, w.horizon+.02)
		w.things = slices.Insert(w.things, place, t)
		w.main++
	}
	for k := range w.things {
		t := &w.things[k]
		far := d.between(.3, .6)
		switch t.class {
		case balloon:
			t.dx, t.lift = d.side()*d.between(.05, .2), d.between(-.1, .15)
		case windmill:
			t.spin = d.side() * d.between(1, 2)
		case bird, dog:
			t.dx, t.hop, t.hops = t.face*far, d.between(.05, .3)*t.height, float64(2+d.below(3))
			t.spin = 12 * far / t.height
			if t.swims {
				t.hop, t.spin = 0, 0
			}
		case boat, car:
			t.dx = t.face * far
		}
	}
}
