package widgets

import (
	"fmt"
	"math"
)

// Attention lays a map of low resolution, row by row [h, w], over an image: the
// map is stretched from its least to its greatest value, enlarged with bilinear
// interpolation (half-pixel centres), and coloured from violet (least) to
// yellow (greatest) over the grey image. A constant map is violet throughout.
// Small images are enlarged, so that the map is smooth: the result has the same
// proportions, and its longer side 96 pixels or more. Show it beside the image
// in a Gallery, as Figure 3 of Gidaris et al. (2018) does.
func Attention(m Image, attention []float32, h, w int) (Image, error) {
	if err := m.check(); err != nil {
		return Image{}, fmt.Errorf("widgets: attention: %w", err)
	}
	if h < 1 || w < 1 || len(attention) != h*w {
		return Image{}, fmt.Errorf("widgets: attention: %d values for a map of %d x %d", len(attention), h, w)
	}
	values := newInterval()
	for i, v := range attention {
		if !finite(float64(v)) {
			return Image{}, fmt.Errorf("widgets: attention: value %d is %v", i, v)
		}
		values.add(float64(v))
	}
	scale := max(1, int(math.Ceil(96/float64(max(m.H, m.W)))))
	out := Image{H: m.H * scale, W: m.W * scale, C: 3}
	out.Pixels = make([]uint8, 0, out.H*out.W*3)
	for row := range out.H {
		r0, r1, rt := between(row, out.H, h)
		for col := range out.W {
			c0, c1, ct := between(col, out.W, w)
			at := func(r, c int) float64 { return float64(attention[r*w+c]) }
			v := (at(r0, c0)*(1-ct)+at(r0, c1)*ct)*(1-rt) + (at(r1, c0)*(1-ct)+at(r1, c1)*ct)*rt
			if values.hi > values.lo {
				v = (v - values.lo) / (values.hi - values.lo)
			} else {
				v = 0
			}
			p := m.at(row/scale, col/scale)
			grey := uint8((299*int(p.R) + 587*int(p.G) + 114*int(p.B) + 500) / 1000) // ITU-R BT.601
			p.R, p.G, p.B = grey, grey, grey
			p = mix(p, heat(v), 0.6)
			out.Pixels = append(out.Pixels, p.R, p.G, p.B)
		}
	}
	return out, nil
}

// between returns the two of n samples around the centre of pixel i of size,
// and how far it lies towards the second; beyond the outermost samples' centres
// their values are kept.
func between(i, size, n int) (lo, hi int, t float64) {
	at := (float64(i)+0.5)*float64(n)/float64(size) - 0.5
	at = min(max(at, 0), float64(n-1))
	lo = int(at)
	return lo, min(lo+1, n-1), at - float64(lo)
}
