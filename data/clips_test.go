package data

import (
	"bytes"
	"math"
	"slices"
	"testing"
)

func openClips(t *testing.T, o OpenOptions) *clips {
	t.Helper()
	train, test, err := Open("clips", o)
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 10_000 || test.Len() != 2_000 {
		t.Errorf("%d and %d clips", train.Len(), test.Len())
	}
	return train.(*clips)
}

func TestLoaderOfClips(t *testing.T) {
	src := openClips(t, OpenOptions{Size: 16, Frames: 12})
	for b, err := range load(t, src, Options{Batch: 4, Labels: true}).Iter() {
		if err != nil {
			t.Fatal(err)
		}
		if got := b.Inputs[0].Shape().String(); got != "(Uint8)[4, 12, 16, 16, 3]" {
			t.Fatalf("clips have shape %s", got)
		}
		want := make([]uint8, 12*16*16*3)
		if err := src.Read(2, want); err != nil {
			t.Fatal(err)
		}
		if got := values[uint8](t, b.Inputs[0])[2*len(want) : 3*len(want)]; !bytes.Equal(got, want) {
			t.Error("clip 2 of the batch is not that of the source")
		}
		break
	}
}

// More frames are finer steps of the same motion: frames 0, 5, 10, 15 of 16
// are those of a clip of 4, but for the noise, which is under 8 of 255.
func TestFramesAreTimes(t *testing.T) {
	few, many := openClips(t, OpenOptions{Frames: 4}), openClips(t, OpenOptions{Frames: 16})
	n := 32 * 32
	a, b := make([]uint8, 4*n), make([]uint8, 16*n)
	for i := range 20 {
		few.Tracks(i, a)
		many.Tracks(i, b)
		for f := range 4 {
			if !bytes.Equal(a[f*n:(f+1)*n], b[5*f*n:(5*f+1)*n]) {
				t.Errorf("clip %d: frame %d of 4 is not frame %d of 16", i, f, 5*f)
			}
		}
	}
}

// Things move steadily, keep their identity and colours, and hide each other.
func TestThingsMove(t *testing.T) {
	const size, frames, n = 48, 8, 200
	src := openClips(t, OpenOptions{Size: size})
	moving, hiding, panning := 0, 0, 0
	for i := range n {
		w := src.at(i)
		if w.pan != 0 {
			panning++
		}
		id, pixels := make([]uint8, frames*size*size), make([]uint8, frames*size*size*3)
		src.Tracks(i, id)
		if err := src.Read(i, pixels); err != nil {
			t.Fatal(err)
		}
		if int(slices.Max(id)) > len(w.things) || w.things[w.main].class != src.Label(i) {
			t.Fatalf("clip %d: identity %d of %d things, main %d", i, slices.Max(id), len(w.things), w.main)
		}
		moves, hides := false, false
		for k := range w.things {
			areas := w.areas(k, size, frames)
			var first, last point
			var mean [frames]ink
			var seen [frames]float64
			var cut [frames]bool // by the border
			for f := range frames {
				var at point
				for p := range size * size {
					if int(id[f*size*size+p]) == k+1 {
						seen[f]++
						cut[f] = cut[f] || p%size == 0 || p%size == size-1 || p/size == 0 || p/size == size-1
						at.x, at.y = at.x+float64(p%size), at.y+float64(p/size)
						c := pixels[3*(f*size*size+p):]
						mean[f].r, mean[f].g, mean[f].b = mean[f].r+float64(c[0]), mean[f].g+float64(c[1]), mean[f].b+float64(c[2])
					}
				}
				if seen[f] < 30 {
					continue
				}
				mean[f] = mean[f].times(1 / seen[f])
				at.x, at.y = at.x/seen[f], at.y/seen[f]
				if first == (point{}) {
					first = at
				}
				last = at
				if f == 0 || seen[f-1] < 30 {
					continue
				}
				whole := func(f int) bool { return seen[f] == areas[f] && seen[f] > 80 && !cut[f] }
				if whole(f-1) && whole(f) && w.things[k].class != windmill { // whose sails turn
					// The vignette changes, and what shows through thin parts.
					a, b := mean[f-1], mean[f]
					if d := math.Abs(a.r-b.r) + math.Abs(a.g-b.g) + math.Abs(a.b-b.b); d > 32 { // of 765
						t.Errorf("clip %d: thing %d changes its colour from %.0f to %.0f at frame %d", i, k, a, b, f)
					}
				}
			}
			if math.Hypot(first.x-last.x, first.y-last.y) > 5 {
				moves = true
			}
			var shares []float64
			for f, area := range areas {
				if area >= 30 {
					shares = append(shares, seen[f]/area)
				}
			}
			if len(shares) > 1 && slices.Max(shares)-slices.Min(shares) > .2 {
				hides = true
			}
		}
		if moves {
			moving++
		}
		if hides {
			hiding++
		}
	}
	t.Logf("of %d clips %d have motion of 5 pixels, %d occlusion that changes by a fifth, and the camera moves in %d", n, moving, hiding, panning)
	if moving < .95*n || hiding < .6*n || panning < .38*n || panning > .62*n {
		t.Errorf("motion in %d, occlusion in %d and a moving camera in %d of %d clips", moving, hiding, panning, n)
	}
}

// areas of thing k in each frame, whatever hides it.
func (w *world) areas(k, size, frames int) (areas []float64) {
	id := make([]uint8, size*size)
	for f := range frames {
		c := takeCanvas(size)
		areas = append(areas, float64(w.mask(c, float64(f)/float64(frames-1), id)[k]))
		c.giveBack()
	}
	return areas
}

// What hops does so as what is thrown: its second difference in time is
// constant between bounces.
func TestHopsAreParabolas(t *testing.T) {
	w := &world{things: []thing{{class: dog, hop: .2, hops: 2}}}
	const step = .01
	for time := .02; time < .47; time += step {
		a, b, c := w.at(0, time-step), w.at(0, time), w.at(0, time+step)
		// Height 4 h u (1-u) with u = 2t has second derivative -8 h 4.
		if got := (a.rise - 2*b.rise + c.rise) / step / step; math.Abs(got+32*.2) > 1e-6 {
			t.Fatalf("acceleration %.6f at %.2f, want %.6f", got, time, -32*.2)
		}
	}
}

func TestSubsetStaysWhatItIs(t *testing.T) {
	train, _ := openScenes(t, 24)
	sub, err := Subset(train, 40, 3)
	if err != nil {
		t.Fatal(err)
	}
	_, index := sub, sub.(*sceneSubset).index
	k := 17
	i := int(index[k])
	if got, want := sub.(Captioned).Captions(k), train.Captions(i); !slices.Equal(got, want) {
		t.Errorf("captions %q, want %q", got, want)
	}
	scene := sub.(Annotated)
	if got, want := scene.Objects(k), train.Objects(i); !slices.Equal(got, want) {
		t.Errorf("objects %v, want %v", got, want)
	}
	for name, fill := range map[string][2]func(i int, to []uint8){
		"instances": {scene.Instances, train.Instances}, "segments": {scene.Segments, train.Segments},
	} {
		got, want := make([]uint8, 24*24), make([]uint8, 24*24)
		fill[0](k, got)
		fill[1](i, want)
		if !bytes.Equal(got, want) {
			t.Errorf("%s differ", name)
		}
	}
	moving := openClips(t, OpenOptions{Size: 24})
	if sub, err = Subset(moving, 40, 3); err != nil {
		t.Fatal(err)
	}
	i = int(sub.(*trackedSubset).index[k])
	got, want := make([]uint8, 8*24*24), make([]uint8, 8*24*24)
	sub.(Tracked).Tracks(k, got)
	moving.Tracks(i, want)
	if sub.(Tracked).Frames() != 8 || !bytes.Equal(got, want) {
		t.Error("tracks of a subset differ")
	}
	if sub, err = Subset(struct{ Annotated }{train}, 40, 3); err != nil {
		t.Fatal(err)
	}
	_, captioned := sub.(Captioned)
	if _, annotated := sub.(Annotated); captioned || !annotated {
		t.Error("a subset of a source without captions has some, or no objects")
	}
}
