package show

import (
	"fmt"

	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// Nearest draws an image and beside it the training images that an encoder puts nearest to it, with class and cosine.
func Nearest(n *study.Neighbours, pixels []uint8) (*widgets.Figure, error) {
	var index []int
	for _, f := range n.Found {
		index = append(index, f.Index)
	}
	images, names, err := read(n.Train, index)
	if err != nil {
		return nil, err
	}
	h, w, c := n.Train.Shape()
	row, captions := []widgets.Image{{Pixels: pixels, H: h, W: w, C: c}}, []string{"the image"}
	for i, m := range images {
		row, captions = append(row, m), append(captions, fmt.Sprintf("%s %.2f", names[i], n.Found[i].Cosine))
	}
	return widgets.Gallery{Images: [][]widgets.Image{row}, Captions: [][]string{captions}, Size: 72,
		Note: fmt.Sprintf("%s, %s; the nearest training images by the cosine of features", n.Method, n.Data)}.Figure()
}
