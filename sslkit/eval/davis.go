package eval

import "math"

// Jaccard is the region similarity J of a mask with the truth, both [H*W]: what they share over what they cover (Perazzi et
// al., "A Benchmark Dataset and Evaluation Methodology for Video Object Segmentation", CVPR 2016, Sec. 4.1). It is in [0, 1],
// and 1 where both are empty, as in the authors' evaluation. It panics where the masks are of unequal size.
func Jaccard(mask, truth []bool) float64 {
	shared, covered := 0, 0
	for i, m := range mask {
		if m && truth[i] {
			shared++
		}
		if m || truth[i] {
			covered++
		}
	}
	if covered == 0 {
		return 1
	}
	return float64(shared) / float64(covered)
}

// Contour is the contour accuracy F of a mask with the truth, both [h*w] (Perazzi et al. 2016, Sec. 4.1): the harmonic mean of
// the shares of either contour that lie near the other, as in the authors' davis2017-evaluation. Near is within 0.8 % of the
// image's diagonal, rounded up to pixels. It is in [0, 1]: 1 where there is no contour, 0 where there is only one.
func Contour(mask, truth []bool, h, w int) float64 {
	reach := int(math.Ceil(0.008 * math.Hypot(float64(h), float64(w))))
	a, b := contour(mask, h, w), contour(truth, h, w)
	precision, recall := near(a, b, h, w, reach), near(b, a, h, w, reach)
	if precision+recall == 0 {
		return 0
	}
	return 2 * precision * recall / (precision + recall)
}

// contour marks the pixels that differ from their neighbour to the right, below or between both. Nothing ends at the image's edge.
func contour(mask []bool, h, w int) []bool {
	out := make([]bool, h*w)
	for y := range h {
		for x := range w {
			right, below := min(x+1, w-1), min(y+1, h-1)
			m := mask[y*w+x]
			out[y*w+x] = m != mask[y*w+right] || m != mask[below*w+x] || m != mask[below*w+right]
		}
	}
	return out
}

// near is the share of a's marks that have one of b's within reach; 1 where a has none.
func near(a, b []bool, h, w, reach int) float64 {
	all, found := 0, 0
	for i, marked := range a {
		if !marked {
			continue
		}
		all++
		if within(b, i/w, i%w, h, w, reach) {
			found++
		}
	}
	if all == 0 {
		return 1
	}
	return float64(found) / float64(all)
}

// within reports whether there is a mark in the disc of radius reach.
func within(marks []bool, y, x, h, w, reach int) bool {
	for i := max(y-reach, 0); i <= min(y+reach, h-1); i++ {
		for j := max(x-reach, 0); j <= min(x+reach, w-1); j++ {
			if marks[i*w+j] && (i-y)*(i-y)+(j-x)*(j-x) <= reach*reach {
				return true
			}
		}
	}
	return false
}
