package eval

import (
	"context"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"
)

// Tracked is how well the first frames of clips were carried through them, on average over their objects.
type Tracked struct {
	Region      float64   `json:"region"`       // J, see Jaccard, of the frames between the first and the last, as DAVIS counts
	Contour     float64   `json:"contour"`      // F, see Contour, likewise
	ByFrame     []float64 `json:"by_frame"`     // J of frame 2, 3, ... and the last
	PointError  float64   `json:"point_error"`  // pixels from where the middle of what is seen of an object was carried to where it is
	PCK         float64   `json:"pck"`          // share of these that are within a tenth of the image's longer side
	ColorError  float64   `json:"color_error"`  // distance in ab of the copied colour from the true one, over all places of the map
	Flicker     float64   `json:"flicker"`      // distance in ab of an object's mean copied colour from the one in the frame before; without objects, of a place's
	TrueFlicker float64   `json:"true_flicker"` // likewise of its true colour
	Objects     int       `json:"objects"`      // 0: the clips have no truth, and their colours alone were measured
}

// leastObject is how many pixels the first frame must show of an object that is tracked: a cell of a map at a quarter of the size.
const leastObject = 16

// Track is [Carry], measured by the truth of all frames.
func Track(ctx context.Context, backend compute.Backend, store *model.Store, embed Embedder, ds train.Dataset, truth [][]uint8, o Tracking) (*Tracked, error) {
	carried, err := Carry(ctx, backend, store, embed, ds, truth, o)
	if err != nil {
		return nil, err
	}
	return Measure(carried, truth), nil
}

// Measure compares what was carried with the truth. Masks and contours of objects that are hidden count as in the evaluation of
// DAVIS, points only where at least 16 pixels of the object are seen. Of masks and contours, but not of points and colours, the
// last frame is left out as the first is, as in the authors' davis2017-evaluation (all_gt_masks[:, 1:-1], semi-supervised);
// of clips of two frames it is all there is, and counts.
func Measure(carried []Carried, truth [][]uint8) *Tracked {
	var region, contours, points, hits, colors, flicker, still mean
	out := &Tracked{}
	byFrame := make([]mean, carried[0].T-1)
	for i := range carried {
		c, ids := &carried[i], truth[i]
		size := c.H * c.W
		for j := 2 * c.Rows * c.Columns; j < len(c.Colors); j += 2 {
			colors.add(distance(c.Colors[j:], c.Truth[j:]))
		}
		for k := range c.Points[0] {
			if _, area := middle(ids[:size], k, c.W); area < leastObject {
				continue
			}
			out.Objects++
			for t := 1; t < c.T; t++ {
				frame := ids[t*size : (t+1)*size]
				a, b := maskOf(c.Masks[t*size:(t+1)*size], k), maskOf(frame, k)
				j := Jaccard(a, b)
				byFrame[t-1].add(j)
				if t < c.T-1 || c.T == 2 {
					region.add(j)
					contours.add(Contour(a, b, c.H, c.W))
				}
				if at, area := middle(frame, k, c.W); area >= leastObject {
					away := math.Hypot(c.Points[t][k][0]-at[0], c.Points[t][k][1]-at[1])
					points.add(away)
					hit := 0.0
					if away <= 0.1*float64(max(c.H, c.W)) {
						hit = 1
					}
					hits.add(hit)
				}
				for _, m := range []struct {
					of []float32
					to *mean
				}{{c.Colors, &flicker}, {c.Truth, &still}} {
					if change, seen := c.change(m.of, ids, k, t); seen {
						m.to.add(change)
					}
				}
			}
		}
	}
	if out.Objects == 0 {
		for i := range carried {
			c := &carried[i]
			frame := 2 * c.Rows * c.Columns
			for j := frame; j < len(c.Colors); j += 2 {
				flicker.add(distance(c.Colors[j:], c.Colors[j-frame:]))
				still.add(distance(c.Truth[j:], c.Truth[j-frame:]))
			}
		}
	}
	out.Region, out.Contour, out.PointError, out.PCK = region.value(), contours.value(), points.value(), hits.value()
	out.ColorError, out.Flicker, out.TrueFlicker = colors.value(), flicker.value(), still.value()
	for _, m := range byFrame {
		out.ByFrame = append(out.ByFrame, m.value())
	}
	return out
}

// change is by how much the mean colour of the places that show object k differs between frames t-1 and t.
func (c *Carried) change(colors []float32, ids []uint8, k, t int) (change float64, seen bool) {
	var means [2][]float32
	for side := range means {
		var a, b mean
		for p := range c.Rows * c.Columns {
			row, column := (2*(p/c.Columns)+1)*c.H/(2*c.Rows), (2*(p%c.Columns)+1)*c.W/(2*c.Columns) // its middle
			if frame := t - 1 + side; int(ids[(frame*c.H+row)*c.W+column]) == 1+k {
				at := 2 * (frame*c.Rows*c.Columns + p)
				a.add(float64(colors[at]))
				b.add(float64(colors[at+1]))
			}
		}
		if a.n == 0 {
			return 0, false
		}
		means[side] = []float32{float32(a.value()), float32(b.value())}
	}
	return distance(means[0], means[1]), true
}

func distance(a, b []float32) float64 {
	return math.Hypot(float64(a[0]-b[0]), float64(a[1]-b[1]))
}

func maskOf(ids []uint8, k int) []bool {
	mask := make([]bool, len(ids))
	for i, id := range ids {
		mask[i] = int(id) == 1+k
	}
	return mask
}

// middle is the mean row and column of object k, and how many pixels it has.
func middle(ids []uint8, k, width int) (at [2]float64, area int) {
	for i, id := range ids {
		if int(id) == 1+k {
			at[0], at[1] = at[0]+float64(i/width), at[1]+float64(i%width)
			area++
		}
	}
	at[0], at[1] = at[0]/float64(max(area, 1)), at[1]/float64(max(area, 1))
	return at, area
}

// mean is one under way.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(v float64)  { m.sum, m.n = m.sum+v, m.n+1 }
func (m *mean) value() float64 { return m.sum / float64(max(m.n, 1)) }
