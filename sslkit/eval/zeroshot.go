package eval

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

// ClassEmbeddings makes a zero-shot classifier of text features, a row a prompt: for each class the mean of its prompts'
// rows, each scaled to length 1 before, and the mean after (Radford et al., "Learning Transferable Visual Models From
// Natural Language Supervision", ICML 2021, Sec. 3.1.4: an ensemble over the embedding space). class holds the class, from
// 0, of each prompt; each class needs one.
func ClassEmbeddings(prompts [][]float32, class []int32, classes int) ([][]float32, error) {
	if err := (Set{Features: prompts, Labels: class}).validate("prompt", classes); err != nil {
		return nil, err
	}
	unit := unitRows(prompts)
	out, count := make([][]float32, classes), make([]int, classes)
	for i := range out {
		out[i] = make([]float32, unit.Cols)
	}
	for i, c := range class {
		count[c]++
		for j, v := range unit.Data[i*unit.Stride:][:unit.Cols] {
			out[c][j] += v
		}
	}
	if i := slices.Index(count, 0); i >= 0 {
		return nil, fmt.Errorf("eval: class %d has no prompt", i)
	}
	mean := unitRows(out)
	for i := range out {
		out[i] = mean.Data[i*mean.Stride:][:mean.Cols]
	}
	return out, nil
}

// ZeroShot predicts for each image's features the class whose embedding has the largest cosine with them, the first among
// equals (Radford et al. 2021, Sec. 3.1.2). Image and class are rows in one space, of any length.
func ZeroShot(image, class [][]float32) ([]int32, error) {
	cosine, err := cosines(image, class)
	if err != nil {
		return nil, err
	}
	out := make([]int32, len(image))
	for i := range out {
		row := cosine.Data[i*cosine.Stride:][:cosine.Cols]
		for j, v := range row {
			if v > row[out[i]] {
				out[i] = int32(j)
			}
		}
	}
	return out, nil
}

// Retrieval is recall at K: of how many queries one of the right answers is among the K nearest by cosine, from 0 to 1.
type Retrieval struct {
	Text1  float64 `json:"text_1"` // texts found by images
	Text5  float64 `json:"text_5"`
	Image1 float64 `json:"image_1"` // images found by texts
	Image5 float64 `json:"image_5"`
}

// Retrieve looks for each image's texts among all texts, and for each text's images. They belong together where their
// numbers in imageOf and textOf are equal, so that an image may have many captions (five in Flickr8k) and a caption many
// images; each needs one at least. Give a text that is shared once, not once an image.
//
// A wrong answer as near as the right one counts as nearer: features that have collapsed to a point find nothing.
func Retrieve(image, text [][]float32, imageOf, textOf []int32) (Retrieval, error) {
	if len(imageOf) != len(image) || len(textOf) != len(text) {
		return Retrieval{}, fmt.Errorf("eval: %d images with %d numbers, %d texts with %d", len(image), len(imageOf), len(text), len(textOf))
	}
	cosine, err := cosines(image, text)
	if err != nil {
		return Retrieval{}, err
	}
	at := func(i, j int) float32 { return cosine.Data[i*cosine.Stride+j] }
	var r Retrieval
	if r.Text1, r.Text5, err = recall(imageOf, textOf, at); err != nil {
		return Retrieval{}, fmt.Errorf("eval: image %w", err)
	}
	if r.Image1, r.Image5, err = recall(textOf, imageOf, func(i, j int) float32 { return at(j, i) }); err != nil {
		return Retrieval{}, fmt.Errorf("eval: text %w", err)
	}
	return r, nil
}

// recall at 1 and 5.
func recall(queryOf, keyOf []int32, cosine func(query, key int) float32) (one, five float64, err error) {
	for i, q := range queryOf {
		var best float32
		found := false
		for j, k := range keyOf {
			if k == q && (!found || cosine(i, j) > best) {
				best, found = cosine(i, j), true
			}
		}
		if !found {
			return 0, 0, fmt.Errorf("%d has no partner of its number %d", i, q)
		}
		nearer := 0
		for j, k := range keyOf {
			if k != q && cosine(i, j) >= best {
				nearer++
			}
		}
		if nearer < 1 {
			one++
		}
		if nearer < 5 {
			five++
		}
	}
	n := float64(len(queryOf))
	return one / n, five / n, nil
}

// Nearest returns for each query the keys with the largest cosines, as many as count, the nearest first and the first among
// equals. Both are rows in one space, of any length.
func Nearest(query, key [][]float32, count int) ([][]int, error) {
	cosine, err := cosines(query, key)
	if err != nil {
		return nil, err
	}
	if count < 1 || count > len(key) {
		return nil, fmt.Errorf("eval: the nearest %d of %d", count, len(key))
	}
	out := make([][]int, len(query))
	for i := range out {
		row := cosine.Data[i*cosine.Stride:][:cosine.Cols]
		order := make([]int, len(row))
		for j := range order {
			order[j] = j
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
		out[i] = order[:count]
	}
	return out, nil
}

// cosines of each row of a with each row of b.
func cosines(a, b [][]float32) (blas32.General, error) {
	if len(a) == 0 || len(b) == 0 {
		return blas32.General{}, errors.New("eval: no features to compare")
	}
	for _, x := range [][][]float32{a, b} {
		if err := checkFeatures(x); err != nil {
			return blas32.General{}, fmt.Errorf("eval: %w", err)
		}
	}
	if len(a[0]) != len(b[0]) {
		return blas32.General{}, fmt.Errorf("eval: features of %d and of %d dimensions share no space", len(a[0]), len(b[0]))
	}
	return product(a, b), nil
}

// product is cosines where nothing can be wrong.
func product(a, b [][]float32) blas32.General {
	out := blas32.General{Rows: len(a), Cols: len(b), Stride: len(b), Data: make([]float32, len(a)*len(b))}
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, unitRows(a), unitRows(b), 0, out)
	return out
}
