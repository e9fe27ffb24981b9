package data

import "context"

// Object is one thing in a picture.
type Object struct {
	Class                    int32   // an index of Classes
	Top, Left, Bottom, Right float64 // of what is seen of it, in pixels, half open; all 0 where nothing is
	Visible                  float64 // share of its area in the picture that nothing hides
}

// Seen reports whether something of the object is seen, and at least such a
// share of it.
func (o Object) Seen(share float64) bool {
	return o.Visible >= share && o.Top < o.Bottom && o.Left < o.Right
}

// Annotated is a Source with the ground truth of dense tasks.
type Annotated interface {
	Source
	// Objects of example i, from back to front.
	Objects(i int) []Object
	// Instances fills id [H*W] with 1+k where object k is foremost, and 0 on
	// the background.
	Instances(i int, id []uint8)
	// Segments fills class [H*W] with 1+class of the foremost object, and 0 on
	// the background.
	Segments(i int, class []uint8)
}

// Class numbers, in the order of their names.
const (
	balloon = iota
	bird
	boat
	car
	dog
	flower
	house
	mushroom
	tree
	windmill
)

var sceneClasses = []string{"balloon", "bird", "boat", "car", "dog", "flower", "house", "mushroom", "tree", "windmill"}

// sceneSet is drawn scenes: upright things of ten classes, known by their
// shape, under a sky with one light. Example i of a split is a function of the
// seed, the split, i and the size. Palettes and the parameters of parts are
// disjoint between the splits; see dice.
type sceneSet struct{}

func (sceneSet) id() string { return "scenes" }

func (s sceneSet) info(string) Info {
	return Info{
		Name: s.id(), Train: 10_000, Test: 2_000, Height: 32, Width: 32, Channels: 3, Classes: sceneClasses,
		Licence: "none needed: drawn by this program", Present: true, Where: "drawn",
	}
}

func (s sceneSet) open(_ context.Context, o OpenOptions) (train, test Source, err error) {
	info := s.info("")
	return &scenes{name: "scenes/train", n: info.Train, size: o.Size, seed: o.Seed},
		&scenes{name: "scenes/test", n: info.Test, size: o.Size, seed: o.Seed, test: true}, nil
}

// scenes is a split.
type scenes struct {
	name    string
	n, size int
	seed    int64
	test    bool
}

func (s *scenes) Name() string                         { return s.name }
func (s *scenes) Len() int                             { return s.n }
func (s *scenes) Shape() (height, width, channels int) { return s.size, s.size, 3 }
func (s *scenes) Label(i int) int32                    { return int32(i % len(sceneClasses)) }
func (s *scenes) Classes() []string                    { return sceneClasses }
func (s *scenes) Captions(i int) []string              { return s.at(i).captions() }

func (s *scenes) at(i int) *world { return newWorld(newDice(s.seed, s.test, i), s.Label(i)) }

func (s *scenes) Read(i int, pixels []uint8) error {
	c := takeCanvas(s.size)
	defer c.giveBack()
	s.at(i).paint(c, .5, pixels)
	return nil
}

func (s *scenes) Instances(i int, id []uint8) {
	c := takeCanvas(s.size)
	defer c.giveBack()
	s.at(i).mask(c, .5, id)
}

func (s *scenes) Segments(i int, class []uint8) {
	s.Instances(i, class)
	w := s.at(i)
	for k, id := range class {
		if id > 0 {
			class[k] = 1 + uint8(w.things[id-1].class)
		}
	}
}

func (s *scenes) Objects(i int) []Object {
	w, id := s.at(i), make([]uint8, s.size*s.size)
	c := takeCanvas(s.size)
	defer c.giveBack()
	area := w.mask(c, .5, id)
	objects := make([]Object, len(w.things))
	seen := make([]int, len(w.things))
	for k, n := range id {
		if n == 0 {
			continue
		}
		o, x, y := &objects[n-1], float64(k%s.size), float64(k/s.size)
		if seen[n-1]++; seen[n-1] == 1 {
			o.Left, o.Top = x, y
		}
		o.Left, o.Right, o.Bottom = min(o.Left, x), max(o.Right, x+1), y+1
	}
	for k := range objects {
		objects[k].Class = w.things[k].class
		if area[k] > 0 {
			objects[k].Visible = float64(seen[k]) / float64(area[k])
		}
	}
	return objects
}
