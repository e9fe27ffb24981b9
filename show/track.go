package show

import (
	"context"
	"fmt"
	"image"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/sslkit/view"
	"github.com/sslkit/lab/widgets"
)

// Tracked is the table, in Markdown, of how well the test clips were followed.
func Tracked(t *study.TrackTable) (string, error) {
	head, rows := t.Table()
	best := []int{1, 2, 3}
	if t.Objects() == 0 {
		best = nil
	}
	text, err := widgets.Table{Head: head, Rows: rows, Best: best}.Markdown()
	return text + "\n\n" + widgets.EscapeMarkdown(t.Caption()), err
}

// Overlap draws how far into the clips the masks hold: region similarity J from frame to frame.
func Overlap(t *study.TrackTable) (*widgets.Figure, error) {
	if t.Objects() == 0 {
		return nil, fmt.Errorf("show: nobody knows the objects of %s: there is no overlap with them", t.Config.Data.Name)
	}
	c := widgets.Curves{XLabel: "frame", YLabel: "region J, %", YRange: [2]float64{0, 100},
		Note: fmt.Sprintf("%s, %d objects; %v", t.Config.Data.Name, t.Objects(), t.Options)}
	for _, row := range t.Rows {
		s := widgets.Series{Name: row.Name, Role: role(row.Name), X: []float64{1}, Y: []float64{100}, Err: []float64{0}}
		for i := range row.Seeds[0].ByFrame {
			v := row.Spread(func(t eval.Tracked) float64 { return t.ByFrame[i] })
			s.X, s.Y, s.Err = append(s.X, float64(i+2)), append(s.Y, 100*v.Mean), append(s.Err, 100*v.Std)
		}
		c.Series = append(c.Series, s)
	}
	return c.Figure()
}

// Masks draws a test clip with its objects as they are, and as they are carried on from the first frame by c's method, trained
// first if need be, and by the baselines. Boxes, in pixels of the first frame, are followed in place of what is known of the clip;
// a film of which nothing is known needs at least one.
func Masks(ctx context.Context, s *runs.Store, c sslkit.Config, o eval.Tracking, index int, boxes ...image.Rectangle) (*widgets.Figure, error) {
	clip, err := carry(ctx, s, c, o, index, boxes...)
	if err != nil {
		return nil, err
	}
	name := "truth"
	if len(boxes) > 0 {
		name = "marked"
	} else if slices.Max(clip.truth) == 0 {
		return nil, fmt.Errorf("show: nobody knows what clip %d of %s shows: give boxes of its first frame to follow", index, clip.trained.Test.Name())
	}
	g := clip.gallery(name, clip.overlay(clip.truth))
	for i, name := range clip.names {
		g.Rows, g.Images = append(g.Rows, name), append(g.Images, clip.overlay(clip.carried[i].Masks))
	}
	return g.Figure()
}

// CopiedColors draws a test clip in grey, in the colours that were copied from its first frame, by c's method and by the baselines, and as it
// is. What is copied is a and b, place by place of the map; the lightness is the clip's own.
func CopiedColors(ctx context.Context, s *runs.Store, c sslkit.Config, o eval.Tracking, index int) (*widgets.Figure, error) {
	clip, err := carry(ctx, s, c, o, index)
	if err != nil {
		return nil, err
	}
	plain, err := clip.colored(make([]float32, len(clip.carried[0].Truth)))
	if err != nil {
		return nil, err
	}
	g := clip.gallery("in grey", plain)
	for i, name := range clip.names {
		images, err := clip.colored(clip.carried[i].Colors)
		if err != nil {
			return nil, err
		}
		g.Rows, g.Images = append(g.Rows, name), append(g.Images, images)
	}
	g.Rows, g.Images = append(g.Rows, "truth"), append(g.Images, clip.images)
	return g.Figure()
}

// carriedClip is one clip and what each tracker made of its first frame.
type carriedClip struct {
	trained *runs.Job
	images  []widgets.Image
	truth   []uint8
	names   []string
	carried []eval.Carried
}

func carry(ctx context.Context, s *runs.Store, c sslkit.Config, o eval.Tracking, index int, boxes ...image.Rectangle) (*carriedClip, error) {
	trained, trackers, err := study.Trackers(ctx, s, c)
	if err != nil {
		return nil, err
	}
	src, ok := trained.Test.(data.Clips)
	if !ok || index < 0 || index >= src.Len() {
		return nil, fmt.Errorf("show: no clip %d in %s, which has %d", index, trained.Test.Name(), trained.Test.Len())
	}
	clip := &carriedClip{trained: trained}
	h, w, channels := src.Shape()
	pixels := make([]uint8, src.Frames()*h*w*channels)
	if err := src.Read(index, pixels); err != nil {
		return nil, err
	}
	for ; len(pixels) > 0; pixels = pixels[h*w*channels:] {
		clip.images = append(clip.images, widgets.Image{Pixels: pixels[:h*w*channels], H: h, W: w, C: channels})
	}
	ds, truth, err := study.Clips(data.Pick(src, index), 1)
	if err != nil {
		return nil, err
	}
	if len(boxes) > 0 {
		clear(truth[0])
	}
	for k, box := range boxes {
		if box = box.Intersect(image.Rect(0, 0, w, h)); box.Empty() {
			return nil, fmt.Errorf("show: box %d, %v, has nothing of a frame of %dx%d pixels", k, boxes[k], w, h)
		}
		for y := box.Min.Y; y < box.Max.Y; y++ {
			for x := box.Min.X; x < box.Max.X; x++ {
				truth[0][y*w+x] = uint8(1 + k)
			}
		}
	}
	clip.truth = truth[0]
	for _, t := range trackers {
		carried, err := eval.Carry(ctx, trained.Backend, t.Store, t.Embed, ds, truth, t.Options(o))
		if err != nil {
			return nil, err
		}
		clip.names, clip.carried = append(clip.names, t.Name), append(clip.carried, carried[0])
	}
	return clip, nil
}

func (c *carriedClip) gallery(row string, images []widgets.Image) widgets.Gallery {
	g := widgets.Gallery{Rows: []string{row}, Images: [][]widgets.Image{images}, Size: 64}
	for t := range c.images {
		g.Cols = append(g.Cols, fmt.Sprint(t+1))
	}
	return g
}

// inks tell the objects of a clip apart.
var inks = [][3]float64{{230, 60, 40}, {30, 120, 230}, {250, 190, 20}, {30, 170, 100}, {190, 80, 190}, {90, 210, 230}}

// overlay is the frames in grey, inked where there are objects, the more so at their edges.
func (c *carriedClip) overlay(ids []uint8) []widgets.Image {
	var out []widgets.Image
	for t, m := range c.images {
		id := ids[t*m.H*m.W:]
		inked := widgets.Image{H: m.H, W: m.W, C: 3}
		for p := range m.H * m.W {
			v := m.Pixels[p*m.C : (p+1)*m.C]
			grey := 0.299*float64(v[0]) + 0.587*float64(v[len(v)/2]) + 0.114*float64(v[len(v)-1])
			edge := p%m.W+1 < m.W && id[p] != id[p+1] || p+m.W < m.H*m.W && id[p] != id[p+m.W]
			share := 0.0
			if id[p] > 0 {
				share = 0.55
				if edge {
					share = 1
				}
			}
			for k := range 3 {
				ink := inks[(int(id[p])+len(inks)-1)%len(inks)][k]
				inked.Pixels = append(inked.Pixels, uint8(share*ink+(1-share)*grey))
			}
		}
		out = append(out, inked)
	}
	return out
}

// colored is the frames with their own lightness and the ab [T*Rows*Columns*2] of a map.
func (c *carriedClip) colored(ab []float32) ([]widgets.Image, error) {
	k := c.carried[0]
	out, err := CallOnce(c.trained.Backend, func(x, ab *Node) *Node {
		l := MulScalar(view.Lightness(x), 100)
		ab = Interpolate(ab, -1, k.H, k.W, -1).Bilinear().Done()
		return view.LabToRGB(Concatenate([]*Node{l, ab}, -1))
	}, batchOf(c.images), tensors.FromFlatDataAndDimensions(ab, k.T, k.Rows, k.Columns, 2))
	if err != nil {
		return nil, fmt.Errorf("show: colouring: %w", err)
	}
	return imagesOf(out)
}
