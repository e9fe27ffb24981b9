package training

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Painting trains by data prediction: three quarters of the pixels of each picture are hidden and painted. loss is the error of the
// hidden pixels and its gradient by the prediction.
func Painting(loss func(pred, target, hidden [][]float64) (float64, [][]float64), seed uint64) Outcome {
	train, test := clothes()
	rnd := rand.New(rand.NewPCG(seed, 1))
	n := newNetwork(rnd, pixels, 8, pixels)
	o := Outcome{Random: judge(n.encode, train, test)}
	batches(train.x, epochs, rnd, func(x [][]float64) {
		seen, hidden := make([][]float64, len(x)), make([][]float64, len(x))
		for i, row := range x {
			seen[i], hidden[i] = make([]float64, pixels), make([]float64, pixels)
			for j, v := range row {
				if rnd.IntN(4) > 0 {
					hidden[i][j] = 1
				} else {
					seen[i][j] = v
				}
			}
		}
		n.learn(seen, func(pred [][]float64) [][]float64 {
			_, gradient := loss(pred, x, hidden)
			return gradient
		})
	})
	o.Trained = judge(n.encode, train, test)
	return o
}

// Turning trains by rotation: batch turns pictures, a picture's rows are its lines, and loss is the cross entropy of the four turns
// and its gradient by the logits.
func Turning(batch func(pictures [][][]float64) (turned [][][]float64, quarters []int),
	loss func(logits [][]float64, label []int) (float64, [][]float64), seed uint64) Outcome {
	train, test := clothes()
	rnd := rand.New(rand.NewPCG(seed, 2))
	n := newNetwork(rnd, pixels, 8, 4)
	o := Outcome{Random: judge(n.encode, train, test)}
	batches(train.x, epochs, rnd, func(x [][]float64) {
		turned, quarters := batch(lines(x))
		n.learn(flat(turned), func(logits [][]float64) [][]float64 {
			_, gradient := loss(logits, quarters)
			return gradient
		})
	})
	o.Trained = judge(n.encode, train, test)
	return o
}

func lines(x [][]float64) [][][]float64 {
	out := make([][][]float64, len(x))
	for i, row := range x {
		for r := range side {
			out[i] = append(out[i], append([]float64(nil), row[r*side:(r+1)*side]...))
		}
	}
	return out
}

func flat(x [][][]float64) [][]float64 {
	out := make([][]float64, len(x))
	for i, image := range x {
		for _, line := range image {
			out[i] = append(out[i], line...)
		}
	}
	return out
}

// view moves a picture by up to two pixels, mirrors every other one, and changes its contrast.
func view(rnd *rand.Rand, x []float64) []float64 {
	out := make([]float64, pixels)
	dr, dc, mirror, contrast := rnd.IntN(5)-2, rnd.IntN(5)-2, rnd.IntN(2) == 1, 0.6+0.8*rnd.Float64()
	for r := range side {
		for c := range side {
			from, at := r+dr, c+dc
			if mirror {
				at = side - 1 - at
			}
			if from >= 0 && from < side && at >= 0 && at < side {
				out[r*side+c] = contrast * x[from*side+at]
			}
		}
	}
	return grainy(rnd, out)
}

func views(rnd *rand.Rand, x [][]float64) [][]float64 {
	out := make([][]float64, len(x))
	for i, row := range x {
		out[i] = view(rnd, row)
	}
	return out
}

// unit divides rows by their length; back takes a gradient by the result to one by z.
func unit(z [][]float64) (q [][]float64, back func(dq [][]float64) [][]float64) {
	length := make([]float64, len(z))
	for i, row := range z {
		var sum float64
		for _, v := range row {
			sum += v * v
		}
		length[i] = math.Sqrt(sum + 1e-12)
		q = append(q, make([]float64, len(row)))
		for j, v := range row {
			q[i][j] = v / length[i]
		}
	}
	return q, func(dq [][]float64) [][]float64 {
		dz := make([][]float64, len(dq))
		for i, row := range dq {
			var along float64
			for j, g := range row {
				along += g * q[i][j]
			}
			dz[i] = make([]float64, len(row))
			for j, g := range row {
				dz[i][j] = (g - along*q[i][j]) / length[i]
			}
		}
		return dz
	}
}

// Contrast trains by telling two views of a picture from views of 200 others. loss is InfoNCE and its gradient by q; all rows have
// length 1.
func Contrast(loss func(q, k, queue [][]float64, temperature float64) (float64, [][]float64), temperature float64, seed uint64) Outcome {
	train, test := clothes()
	rnd := rand.New(rand.NewPCG(seed, 3))
	n := newNetwork(rnd, pixels, 8, 16)
	o := Outcome{Random: judge(n.encode, train, test)}
	var queue [][]float64
	batches(train.x, epochs, rnd, func(x [][]float64) {
		k, _ := unit(n.head.forward(n.encode(views(rnd, x))))
		if len(queue) > 0 {
			n.learn(views(rnd, x), func(z [][]float64) [][]float64 {
				q, back := unit(z)
				_, gradient := loss(q, k, queue, temperature)
				return back(gradient)
			})
		}
		queue = append(queue, k...)
		queue = queue[max(0, len(queue)-200):]
	})
	o.Trained = judge(n.encode, train, test)
	return o
}

// Swapping trains by predicting the code of one view from the other: codes turns scores into codes, and loss is the swapped
// prediction and its gradients by both scores. Used is how many of the 30 prototypes some test picture is nearest to.
func Swapping(codes func(scores [][]float64) [][]float64,
	loss func(scores1, scores2, codes1, codes2 [][]float64) (float64, [][]float64, [][]float64), seed uint64) (o Outcome, used int) {
	train, test := clothes()
	rnd := rand.New(rand.NewPCG(seed, 4))
	const dim, prototypes = 16, 30
	n := newNetwork(rnd, pixels, 8, dim)
	centers := newLayer(rnd, dim, prototypes)
	o.Random = judge(n.encode, train, test)
	scores := func(z [][]float64) [][]float64 { q, _ := unit(z); return centers.forward(q) }
	batches(train.x, epochs, rnd, func(x [][]float64) {
		both := append(views(rnd, x), views(rnd, x)...)
		n.learn(both, func(z [][]float64) [][]float64 {
			q, back := unit(z)
			s := centers.forward(q)
			s1, s2 := s[:len(x)], s[len(x):]
			_, g1, g2 := loss(s1, s2, codes(copied(s1)), codes(copied(s2)))
			return back(centers.learn(q, append(append([][]float64(nil), g1...), g2...)))
		})
	})
	o.Trained = judge(n.encode, train, test)
	nearest := make(map[int]bool)
	for _, row := range scores(n.head.forward(n.encode(test.x))) {
		best := 0
		for j, v := range row {
			if v > row[best] {
				best = j
			}
		}
		nearest[best] = true
	}
	return o, len(nearest)
}

func copied(rows [][]float64) [][]float64 {
	out := make([][]float64, len(rows))
	for i, row := range rows {
		out[i] = slices.Clone(row)
	}
	return out
}

// Masking trains a small masked autoencoder: pictures are cut into patches of 2 by 2, those that mask hides are left out, and the
// network paints them. loss is the error of the hidden patches and its gradient by the prediction.
func Masking(patchify func(picture [][]float64, patch int) [][]float64, mask func(rnd *rand.Rand, patches int, ratio float64) []float64,
	loss func(pred, target [][]float64, hidden []float64) (float64, [][]float64), seed uint64) Outcome {
	train, test := clothes()
	rnd := rand.New(rand.NewPCG(seed, 5))
	const patch = 2
	cut := func(x [][]float64) (rows [][]float64) {
		for _, image := range lines(x) {
			rows = append(rows, flat([][][]float64{patchify(image, patch)})...)
		}
		return rows
	}
	train.x, test.x = cut(train.x), cut(test.x)
	n := newNetwork(rnd, pixels, 8, pixels)
	o := Outcome{Random: judge(n.encode, train, test)}
	const area = patch * patch
	apart := func(row []float64) (patches [][]float64) {
		for ; len(row) > 0; row = row[area:] {
			patches = append(patches, row[:area])
		}
		return patches
	}
	batches(train.x, epochs, rnd, func(x [][]float64) {
		seen, hidden := make([][]float64, len(x)), make([][]float64, len(x))
		for i, row := range x {
			hidden[i], seen[i] = mask(rnd, pixels/area, 0.75), make([]float64, pixels)
			for j, v := range row {
				seen[i][j] = v * (1 - hidden[i][j/area])
			}
		}
		n.learn(seen, func(pred [][]float64) [][]float64 {
			out := make([][]float64, len(pred))
			for i := range pred {
				_, gradient := loss(apart(pred[i]), apart(x[i]), hidden[i])
				for _, g := range gradient {
					for _, v := range g {
						out[i] = append(out[i], v/float64(len(pred)))
					}
				}
			}
			return out
		})
	})
	o.Trained = judge(n.encode, train, test)
	return o
}
