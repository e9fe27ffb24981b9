package study

import (
	"context"
	"fmt"
	"math"
	"time"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/runs"
)

// Embed hands over the pooled features of each example of src, in its order, at a stage of j's encoder, counted from 1, or the last
// one where stage is 0. Memory is bounded by a batch.
func Embed(ctx context.Context, s *runs.Store, j *runs.Job, src data.Source, stage int, take func(i int, row []float32) error) error {
	h, w, c := j.Train.Shape()
	if a, b, d := src.Shape(); a != h || b != w || c != d && !repeatsGray(j, d) {
		return fmt.Errorf("study: %s has images of %dx%d in %d channels, and those that the encoder was trained on have %dx%d in %d: choose data of that shape", src.Name(), a, b, d, h, w, c)
	}
	n := 0
	encoder, err := sslkit.NewEncoder(j.Backend, j.Store, j.Method, func(maps []*Node) []*Node {
		m := nn.Last(maps)
		if n = len(maps); stage > 0 && stage <= n {
			m = maps[stage-1]
		}
		return []*Node{nn.Pool(m)}
	})
	if err != nil {
		return err
	}
	defer encoder.Close()
	in, err := runs.InOrder(src)
	if err != nil {
		return err
	}
	i, told := 0, time.Now()
	return encoder.Each(ctx, in.Loader, func(rows [][][]float32) error {
		if stage < 0 || stage > n {
			return fmt.Errorf("study: stage %d of an encoder that has %d", stage, n)
		}
		for _, row := range rows[0] {
			if err := take(i, row); err != nil {
				return err
			}
			i++
		}
		if time.Since(told) > 10*time.Second {
			told = time.Now()
			s.Tell(runs.Progress{Key: j.Key, Now: fmt.Sprintf("%v: features of %d of %d images", j, i, src.Len())})
		}
		return nil
	})
}

// repeatsGray tells whether j's network reads images in colour and in grey alike.
func repeatsGray(j *runs.Job, channels int) bool {
	return sslkit.Backbone(j.Method).Pixels != "" && (channels == 1 || channels == 3)
}

// Neighbours are the training images whose features are nearest to an image's, by cosine.
type Neighbours struct {
	Key    string      `json:"key"`
	Method string      `json:"method"`
	Data   string      `json:"data"`
	Found  []Neighbour `json:"found"` // the nearest first
	Train  data.Source `json:"-"`
}

// Neighbour is one of them.
type Neighbour struct {
	Index  int     `json:"index"` // in the training set
	Class  string  `json:"class,omitempty"`
	Cosine float64 `json:"cosine"`
	File   string  `json:"file,omitempty"`
}

// FindNeighbours finds the count nearest of an image of the training images' shape.
func FindNeighbours(ctx context.Context, s *runs.Store, j *runs.Job, image []uint8, count int) (*Neighbours, error) {
	h, w, c := j.Train.Shape()
	if len(image) != h*w*c {
		return nil, fmt.Errorf("study: an image of %d values, and those that the encoder was trained on have %dx%dx%d", len(image), h, w, c)
	}
	if count < 1 || count > j.Train.Len() {
		return nil, fmt.Errorf("study: the nearest %d of %d training images", count, j.Train.Len())
	}
	var query, train [][]float32
	for _, of := range []struct {
		src data.Source
		to  *[][]float32
	}{{picture{j.Train, image}, &query}, {j.Train, &train}} {
		if err := Embed(ctx, s, j, of.src, 0, func(_ int, row []float32) error { *of.to = append(*of.to, row); return nil }); err != nil {
			return nil, err
		}
	}
	nearest, err := eval.Nearest(query, train, count)
	if err != nil {
		return nil, err
	}
	out := &Neighbours{Key: j.Key, Method: sslkit.TitleOf(j.Method), Data: j.Data.Name, Train: j.Train}
	for _, i := range nearest[0] {
		n := Neighbour{Index: i, Cosine: cosine(query[0], train[i]), File: data.File(j.Train, i)}
		if label := j.Train.Label(i); label >= 0 {
			n.Class = j.Train.Classes()[label]
		}
		out.Found = append(out.Found, n)
	}
	return out, nil
}

// picture is one image of the shape of others.
type picture struct {
	data.Source
	pixels []uint8
}

func (p picture) Name() string { return "the image" }

func (p picture) Len() int { return 1 }

func (p picture) Label(int) int32 { return -1 }

func (p picture) Read(_ int, pixels []uint8) error {
	copy(pixels, p.pixels)
	return nil
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab, aa, bb = ab+float64(a[i])*float64(b[i]), aa+float64(a[i])*float64(a[i]), bb+float64(b[i])*float64(b[i])
	}
	return ab / math.Sqrt(max(aa*bb, math.SmallestNonzeroFloat64))
}
