package data

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"gonum.org/v1/gonum/mat"
)

var sheets = flag.String("sheets", "", "folder for contact sheets of scenes and clips, to be looked at")

// sheet puts pictures side by side, scaled up.
func sheet(columns, size, scale int, pictures [][]uint8) *image.RGBA {
	rows := (len(pictures) + columns - 1) / columns
	cell := size*scale + 2
	img := image.NewRGBA(image.Rect(0, 0, columns*cell, rows*cell))
	for n, pixels := range pictures {
		for y := range size * scale {
			for x := range size * scale {
				p := pixels[3*(y/scale*size+x/scale):]
				img.SetRGBA(n%columns*cell+x, n/columns*cell+y, color.RGBA{p[0], p[1], p[2], 255})
			}
		}
	}
	return img
}

func save(t *testing.T, name string, img image.Image) {
	t.Helper()
	f, err := os.Create(filepath.Join(*sheets, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

// With -sheets FOLDER, pictures to look at.
func TestSceneSheets(t *testing.T) {
	if *sheets == "" {
		t.Skip("no -sheets")
	}
	for _, s := range []struct{ size, scale, columns, n int }{{32, 3, 10, 60}, {64, 2, 10, 60}, {96, 1, 10, 80}, {240, 1, 5, 20}} {
		for _, test := range []bool{false, true} {
			src := &scenes{n: 10_000, size: s.size, test: test}
			var pictures [][]uint8
			for i := range s.n {
				pixels := make([]uint8, 3*s.size*s.size)
				if err := src.Read(i, pixels); err != nil {
					t.Fatal(err)
				}
				pictures = append(pictures, pixels)
			}
			name := map[bool]string{false: "train", true: "test"}[test]
			save(t, "scenes-"+name+"-"+strconv.Itoa(s.size)+".png", sheet(s.columns, s.size, s.scale, pictures))
		}
	}
	src := &clips{scenes{n: 100, size: 96}, 8}
	var pictures [][]uint8
	for i := range 12 {
		pixels := make([]uint8, 8*3*96*96)
		if err := src.Read(i, pixels); err != nil {
			t.Fatal(err)
		}
		for f := range 8 {
			pictures = append(pictures, pixels[f*3*96*96:][:3*96*96])
		}
	}
	save(t, "clips.png", sheet(8, 96, 1, pictures))
}

func openScenes(t testing.TB, size int) (train, test *scenes) {
	t.Helper()
	a, b, err := Open("scenes", OpenOptions{Size: size})
	if err != nil {
		t.Fatal(err)
	}
	return a.(*scenes), b.(*scenes)
}

func picture(t testing.TB, src Source, i int) []uint8 {
	t.Helper()
	h, w, c := src.Shape()
	pixels := make([]uint8, h*w*c)
	if err := src.Read(i, pixels); err != nil {
		t.Fatal(err)
	}
	return pixels
}

// Two of each class, of training and of test: see checkPicture for rounding.
func TestScenesAreTheSameEverywhere(t *testing.T) {
	train, test := openScenes(t, 48)
	img := image.NewRGBA(image.Rect(0, 0, 10*48, 2*48))
	for n, src := range []Source{train, test} {
		for i := range 10 {
			pixels := picture(t, src, i)
			for k := range 48 * 48 {
				p := pixels[3*k:]
				img.SetRGBA(i*48+k%48, n*48+k/48, color.RGBA{p[0], p[1], p[2], 255})
			}
		}
	}
	checkPicture(t, "scenes.png", img)
}

func TestScenesDependOnSeedSplitAndIndexAlone(t *testing.T) {
	train, test := openScenes(t, 32)
	want := picture(t, train, 123)
	var group sync.WaitGroup
	for range 4 * runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for _, size := range []int{48, 32} { // canvases of another size are about
				src := &scenes{n: 1000, size: size}
				if got := picture(t, src, 123); size == 32 && !bytes.Equal(got, want) {
					t.Error("a scene differs when others are drawn beside it")
				}
			}
		})
	}
	group.Wait()
	other, _, err := Open("scenes", OpenOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for what, got := range map[string][]uint8{
		"the next": picture(t, train, 133), "that of the test split": picture(t, test, 123), "that of another seed": picture(t, other, 123),
	} {
		if bytes.Equal(got, want) {
			t.Errorf("scene 123 equals %s", what)
		}
	}
}

// A scene is the same at all sizes: its main box, but for rounding and for
// ends that are thinner than a pixel.
func TestScenesScale(t *testing.T) {
	small, _ := openScenes(t, 32)
	large, _ := openScenes(t, 96)
	var sum float64
	for i := range 200 {
		a, b := small.Objects(i), large.Objects(i)
		if len(a) != len(b) {
			t.Fatalf("scene %d has %d objects at 32 pixels and %d at 96", i, len(a), len(b))
		}
		p, q := a[len(a)-1], b[len(b)-1]
		for _, d := range []float64{p.Top - q.Top/3, p.Left - q.Left/3, p.Bottom - q.Bottom/3, p.Right - q.Right/3} {
			sum += math.Abs(d)
		}
	}
	if mean := sum / 800; mean > .6 {
		t.Errorf("sides of boxes differ by %.2f of 32 pixels on average", mean)
	}
}

func TestScenesAreBalanced(t *testing.T) {
	for _, src := range []Source{&scenes{n: 10_000, size: 32}, &scenes{n: 2_000, size: 32, test: true}} {
		count := make([]int, 10)
		for _, label := range Labels(src) {
			count[label]++
		}
		if slices.Min(count) != src.Len()/10 || slices.Max(count) != src.Len()/10 {
			t.Errorf("%s has %d of each class", src.Name(), count)
		}
	}
}

func TestObjectsMatchMasks(t *testing.T) {
	const size = 48
	train, test := openScenes(t, size)
	main, hidden, seen := 0, 0, 0
	for _, src := range []*scenes{train, test} {
		for i := range 300 {
			objects := src.Objects(i)
			if n := len(objects); n < 1 || n > 4 {
				t.Errorf("scene %d has %d objects", i, n)
			}
			id, class := make([]uint8, size*size), make([]uint8, size*size)
			id[0], class[0] = 99, 99 // what was there goes
			src.Instances(i, id)
			src.Segments(i, class)
			area := make([]float64, len(objects))
			for k, o := range objects {
				box := [4]float64{size, size, 0, 0}
				for n, at := range id {
					if int(at) != k+1 {
						continue
					}
					area[k]++
					y, x := float64(n/size), float64(n%size)
					box = [4]float64{min(box[0], y), min(box[1], x), max(box[2], y+1), max(box[3], x+1)}
					if class[n] != 1+uint8(o.Class) {
						t.Fatalf("scene %d: class %d where object %d of class %d is", i, class[n], k, o.Class)
					}
				}
				if area[k] == 0 {
					box = [4]float64{}
				} else {
					seen++
				}
				if got := [4]float64{o.Top, o.Left, o.Bottom, o.Right}; got != box {
					t.Errorf("scene %d: object %d has box %v, but its mask %v", i, k, got, box)
				}
				if o.Visible < 0 || o.Visible > 1 || (o.Visible > 0) != (area[k] > 0) {
					t.Errorf("scene %d: %.2f of object %d is visible, and it has %v pixels", i, o.Visible, k, area[k])
				}
				if o.Visible > 0 && o.Visible < .9 {
					hidden++
				}
			}
			for n := range id {
				if (id[n] == 0) != (class[n] == 0) || int(id[n]) > len(objects) {
					t.Fatalf("scene %d: instance %d and class %d at %d", i, id[n], class[n], n)
				}
			}
			last := len(objects) - 1
			if objects[last].Class != src.Label(i) || objects[last].Visible != 1 {
				t.Errorf("scene %d: the foremost object is %+v, the label %d", i, objects[last], src.Label(i))
			}
			if area[last] == slices.Max(area) {
				main++
			}
		}
	}
	t.Logf("the object of the label is the largest in %d of 600 scenes; %d of %d objects are partly hidden", main, hidden, seen)
	if main < 590 {
		t.Errorf("the object of the label is the largest in only %d of 600 scenes", main)
	}
	if hidden < 100 {
		t.Errorf("only %d of %d objects are partly hidden", hidden, seen)
	}
}

// Pixels of the masks are where the pictures are drawn: the object of a label
// that is painted away changes exactly its mask and the shadow.
func TestMasksAreWhereThingsArePainted(t *testing.T) {
	train, _ := openScenes(t, 48)
	for i := range 50 {
		w := train.at(i)
		w.strength, w.noise = 0, 0 // no shadow
		if settings[w.setting].soil == water || w.above {
			continue
		}
		c := takeCanvas(48)
		id := make([]uint8, 48*48)
		w.mask(c, .5, id)
		with, without := make([]uint8, 3*48*48), make([]uint8, 3*48*48)
		w.paint(c, .5, with)
		// Lifted off the picture, since without it the road would be elsewhere.
		w.things[w.main].rise += 3
		w.paint(c, .5, without)
		inside, changed := 0, 0
		for k := range id {
			differs := !bytes.Equal(with[3*k:3*k+3], without[3*k:3*k+3])
			if int(id[k]) == w.main+1 {
				inside++
				if differs {
					changed++
				}
			} else if differs && !besideMask(id, k, uint8(w.main+1)) {
				t.Errorf("scene %d: pixel %d changes, but is not by the mask", i, k)
			}
		}
		if float64(changed) < .95*float64(inside) {
			t.Errorf("scene %d: of %d pixels of the mask only %d change", i, inside, changed)
		}
	}
}

// besideMask: antialiased edges and thin lines reach a little beyond.
func besideMask(id []uint8, k int, want uint8) bool {
	for dy := -4; dy <= 4; dy++ {
		for dx := -4; dx <= 4; dx++ {
			y, x := k/48+dy, k%48+dx
			if y >= 0 && y < 48 && x >= 0 && x < 48 && id[y*48+x] == want {
				return true
			}
		}
	}
	return false
}

func TestCompanyTheyKeep(t *testing.T) {
	src := &scenes{n: 10_000, size: 32}
	var athome, above float64
	for i := range src.n {
		w := src.at(i)
		if w.setting == home[src.Label(i)] {
			athome++
		}
		if w.above {
			above++
		}
	}
	// Standard deviations of 0.0046 and 0.003.
	if p := athome / 10_000; math.Abs(p-.7) > .015 {
		t.Errorf("%.3f of the things are in their setting", p)
	}
	if p := above / 10_000; math.Abs(p-.1) > .01 {
		t.Errorf("%.3f of the scenes are seen from above", p)
	}
}

// Traits of training and test are interleaved tenths.
func TestSplitsShareNoTrait(t *testing.T) {
	for odd, src := range []*scenes{{n: 1000, size: 32}, {n: 1000, size: 32, test: true}} {
		covered := map[int]bool{}
		for i := range src.n {
			for _, thing := range src.at(i).things {
				for _, part := range thing.part {
					tenth := int(10 * part)
					covered[tenth] = true
					if tenth%2 != odd {
						t.Fatalf("%v is a trait of split %d", part, odd)
					}
				}
			}
		}
		if len(covered) != 5 {
			t.Errorf("split %d has traits in %d tenths, want 5", odd, len(covered))
		}
	}
	inks := map[ink]int{}
	for odd, src := range []*scenes{{n: 1000, size: 32}, {n: 1000, size: 32, test: true}} {
		for i := range src.n {
			w := src.at(i)
			for _, k := range []ink{w.zenith, w.haze, w.soil[0], w.soil[1], w.ridge[0], w.things[w.main].ink[0]} {
				inks[k] |= 1 << odd
			}
		}
	}
	for k, splits := range inks {
		if splits == 3 {
			t.Errorf("ink %v is in both splits", k)
		}
	}
}

func TestSceneCaptions(t *testing.T) {
	src := &scenes{n: 1000, size: 32}
	distinct := map[string]bool{}
	for i := range src.n {
		w, all := src.at(i), src.Captions(i)
		if len(all) < 3 {
			t.Fatalf("scene %d has captions %q", i, all)
		}
		for _, caption := range all {
			if !strings.Contains(caption, sceneClasses[src.Label(i)]) {
				t.Errorf("scene %d, a %s, is called %q", i, sceneClasses[src.Label(i)], caption)
			}
		}
		distinct[all[0]] = true
		want := []string{w.things[w.main].word}
		for k, other := range w.things {
			if k != w.main {
				want = append(want, sceneClasses[other.class])
			}
		}
		if w.above {
			want = append(want, "seen from above", "lying on the")
		} else {
			want = append(want, "under "+skies[w.sky], w.where(w.things[w.main]))
		}
		for _, word := range want {
			if !strings.Contains(all[0], word) {
				t.Errorf("scene %d has %q, but its caption is %q", i, word, all[0])
			}
		}
	}
	if len(distinct) < 900 {
		t.Errorf("%d different captions of 1000 scenes", len(distinct))
	}
	for i := range 8 {
		t.Log(strings.Join(src.Captions(i), " | "))
	}
}

// ridge regression of targets on features with a constant; the penalty is as
// a share of the mean square of the features.
func ridge(features, targets *mat.Dense, penalty float64) *mat.Dense {
	n, d := features.Dims()
	var gram mat.SymDense
	gram.SymOuterK(1/float64(n), features.T())
	mean := mat.Trace(&gram) / float64(d)
	for k := range d {
		gram.SetSym(k, k, gram.At(k, k)+penalty*mean)
	}
	var chol mat.Cholesky
	if !chol.Factorize(&gram) {
		panic("not positive definite")
	}
	var cross, weights mat.Dense
	cross.Mul(features.T(), targets)
	cross.Scale(1/float64(n), &cross)
	if err := chol.SolveTo(&weights, &cross); err != nil {
		panic(err)
	}
	return &weights
}

// right is the share of examples whose largest output is that of the label.
func right(features, weights *mat.Dense, label func(i int) int) float64 {
	var out mat.Dense
	out.Mul(features, weights)
	n, _ := out.Dims()
	hits := 0.
	for i := range n {
		row := out.RawRowView(i)
		if slices.Index(row, slices.Max(row)) == label(i) {
			hits++
		}
	}
	return hits / float64(n)
}

// features of n scenes, with a constant; f gets the pixels, 0 to 1.
func features(t testing.TB, src Source, n int, f func(pixels []float64) []float64) *mat.Dense {
	var rows []float64
	for i := range n {
		var x []float64
		for _, v := range picture(t, src, i) {
			x = append(x, float64(v)/255)
		}
		rows = append(append(rows, f(x)...), 1)
	}
	return mat.NewDense(n, len(rows)/n, rows)
}

func oneHot(n, classes int, label func(i int) int) *mat.Dense {
	m := mat.NewDense(n, classes, nil)
	for i := range n {
		m.Set(i, label(i), 1)
	}
	return m
}

// A class is known by its shape: neither from the mean colour, nor linearly
// from pixels.
func TestClassIsNotReadFromColour(t *testing.T) {
	train, test := openScenes(t, 16)
	const n, m = 2000, 800
	label := func(i int) int { return i % 10 }
	for _, probe := range []struct {
		name     string
		f        func([]float64) []float64
		low, top float64
	}{
		{"mean colour", func(x []float64) []float64 {
			var mean [3]float64
			for k, v := range x {
				mean[k%3] += v * 3 / float64(len(x))
			}
			return mean[:]
		}, .1, .35},
		{"pixels", func(x []float64) []float64 { return x }, .2, .6},
	} {
		weights := ridge(features(t, train, n, probe.f), oneHot(n, 10, label), .02)
		got := right(features(t, test, m, probe.f), weights, label)
		t.Logf("a linear probe on %s: %.1f %%", probe.name, 100*got)
		// Chance is 0.1; the standard deviation is under 0.016.
		if got < probe.low || got > probe.top {
			t.Errorf("a linear probe on %s reaches %.3f, want %v to %v", probe.name, got, probe.low, probe.top)
		}
	}
}

// Upright pictures are told from those turned by half by the colours of their
// rows, and mostly by a brighter upper third alone, but for those seen from above.
func TestScenesHaveAnUpside(t *testing.T) {
	train, test := openScenes(t, 16)
	const n = 1000
	rows := func(src Source) *mat.Dense { // upright and turned, in turns
		up := features(t, src, n, func(x []float64) []float64 {
			rows := make([]float64, 48)
			for k, v := range x {
				rows[k/48*3+k%3] += v / 16
			}
			return rows
		})
		both := mat.NewDense(2*n, 49, nil)
		for i := range n {
			for k := range 48 {
				both.Set(2*i, k, up.At(i, k))
				both.Set(2*i+1, k, up.At(i, (15-k/3)*3+k%3))
			}
			both.Set(2*i, 48, 1)
			both.Set(2*i+1, 48, 1)
		}
		return both
	}
	weights := ridge(rows(train), oneHot(2*n, 2, func(i int) int { return i % 2 }), .001)
	x := rows(test)
	var out mat.Dense
	out.Mul(x, weights)
	var told, brighter [2]float64 // of those with an upside, and of those seen from above
	var count [2]float64
	for i := range n {
		k := 0
		if test.at(i).above {
			k = 1
		}
		count[k]++
		for turned := range 2 {
			if row := out.RawRowView(2*i + turned); row[turned] > row[1-turned] {
				told[k] += .5
			}
		}
		row := x.RawRowView(2 * i)
		if mean := func(x []float64) (sum float64) {
			for _, v := range x {
				sum += v
			}
			return sum
		}; mean(row[:15]) > mean(row[33:48]) {
			brighter[k]++
		}
	}
	t.Logf("told upright from turned: %.1f %% by a linear probe on row colours, %.1f %% of those seen from above; the upper third is brighter in %.1f %% and %.1f %%",
		100*(told[0]+told[1])/n, 100*told[1]/count[1], 100*brighter[0]/count[0], 100*brighter[1]/count[1])
	if all := (told[0] + told[1]) / n; all < .8 || all > .97 {
		t.Errorf("%.3f of the pictures are told upright from turned, want 0.8 to 0.97", all)
	}
	// A hundred pictures have a standard deviation of 0.05.
	if p := told[1] / count[1]; math.Abs(p-.5) > .15 {
		t.Errorf("%.3f of those seen from above are told upright from turned", p)
	}
	if p := brighter[0] / count[0]; p < .7 {
		t.Errorf("the upper third is brighter in %.3f", p)
	}
}

// The soil, and so its hue, is seen in its texture: five statistics of a grey
// patch of it tell five soils.
func TestSoilIsSeenInGrey(t *testing.T) {
	const size, side = 48, 14
	train, test := openScenes(t, size)
	texture := func(src *scenes, n int) (*mat.Dense, func(i int) int) {
		var rows []float64
		var soil []int
		for i := 0; len(soil) < n; i++ {
			w := src.at(i)
			id := make([]uint8, size*size)
			src.Instances(i, id)
			free := !w.above && settings[w.setting].soil != asphalt // whose kerb is grass
			for k := range side * side {
				free = free && id[(size-side+k/side)*size+k%side] == 0
			}
			if !free {
				continue
			}
			pixels := picture(t, src, i)
			var patch [side][side]float64
			for y := range side {
				for x := range side {
					p := pixels[3*((size-side+y)*size+x):]
					patch[y][x] = (.3*float64(p[0]) + .59*float64(p[1]) + .11*float64(p[2])) / 255
				}
			}
			f := make([]float64, 6)
			var mean, square float64
			const m = (side - 2) * (side - 2)
			for y := range side - 2 {
				for x := range side - 2 {
					v := patch[y][x]
					f[0] += math.Abs(v-patch[y][x+1]) / m
					f[1] += math.Abs(v-patch[y+1][x]) / m
					f[2] += math.Abs(v-patch[y][x+2]) / m
					f[3] += math.Abs(v-patch[y+2][x]) / m
					mean, square = mean+v/m, square+v*v/m
				}
			}
			for k := range 4 {
				f[k] = math.Log(f[k] + .002)
			}
			f[4], f[5] = math.Sqrt(max(0, square-mean*mean)), 1
			rows, soil = append(rows, f...), append(soil, settings[w.setting].soil)
		}
		return mat.NewDense(n, 6, rows), func(i int) int { return soil[i] }
	}
	x, label := texture(train, 400)
	weights := ridge(x, oneHot(400, 6, label), 1e-4)
	x, label = texture(test, 200)
	got := right(x, weights, label)
	count := make([]float64, 6)
	for i := range 200 {
		count[label(i)]++
	}
	t.Logf("five statistics of grey texture tell %.1f %% of the soils; the most frequent are %.1f %%", 100*got, slices.Max(count)/2)
	if got < slices.Max(count)/200+.15 {
		t.Errorf("grey texture tells %.3f of the soils", got)
	}
}

func BenchmarkScenes(b *testing.B) {
	src := &scenes{n: 10_000, size: 64}
	pixels := make([]uint8, 3*64*64)
	for i := 0; b.Loop(); i++ {
		if err := src.Read(i%src.n, pixels); err != nil {
			b.Fatal(err)
		}
	}
}
