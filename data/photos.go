package data

import (
	"bytes"
	"cmp"
	"context"
	"embed"
	"encoding/csv"
	"fmt"
	"hash/fnv"
	"image"
	"image/draw"
	"math"
	"slices"
	"sync"

	xdraw "golang.org/x/image/draw"
)

// The photos and their manifest: file, class, licence, author, source, size.
//
//go:embed embedded/photos
var photoFiles embed.FS

// Photo is one of the embedded photos, all in the public domain or CC0.
type Photo struct {
	Name    string // of its file
	Class   string
	Author  string
	Source  string // address
	Licence string
	Test    bool // belongs to the test split
	Image   *image.RGBA
}

// Photos returns the 191 embedded photos, upright and whole, at about 240x160
// pixels, in the order of their names. The images are shared: don't draw on
// them.
func Photos() ([]Photo, error) {
	all, err := photos()
	if err != nil {
		return nil, err
	}
	list := make([]Photo, len(all))
	for i, p := range all {
		list[i] = p.Photo
		if list[i].Image, err = p.decode(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

var photoClasses = []string{"animal", "building", "energy", "fish", "tool", "windmill"}

// photo is decoded once a process, when first needed.
type photo struct {
	Photo
	label  int32
	decode func() (*image.RGBA, error)
}

// photos reads the manifest.
var photos = sync.OnceValues(func() ([]*photo, error) {
	manifest, err := photoFiles.ReadFile("embedded/photos/manifest.csv")
	if err != nil {
		return nil, fmt.Errorf("data: photos: %w", err)
	}
	rows, err := csv.NewReader(bytes.NewReader(manifest)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("data: manifest of the photos: %w", err)
	}
	var all []*photo
	for _, row := range rows[1:] {
		label := slices.Index(photoClasses, row[1])
		if label < 0 {
			return nil, fmt.Errorf("data: manifest of the photos: %s is of unknown class %q", row[0], row[1])
		}
		name := row[0]
		all = append(all, &photo{
			Photo: Photo{Name: name, Class: row[1], Licence: row[2], Author: row[3], Source: row[4]},
			label: int32(label),
			decode: sync.OnceValues(func() (*image.RGBA, error) {
				file, err := photoFiles.ReadFile("embedded/photos/" + name)
				if err != nil {
					return nil, err
				}
				img, err := decodeImage(file) // they have no Exif orientation
				if err != nil {
					return nil, err
				}
				rgba := image.NewRGBA(img.Bounds())
				draw.Draw(rgba, rgba.Rect, img, rgba.Rect.Min, draw.Src)
				return rgba, nil
			}),
		})
	}
	slices.SortFunc(all, func(a, b *photo) int { return cmp.Compare(a.Name, b.Name) })
	holdOut(all)
	return all, nil
})

// holdOut marks a fifth of each class as test: those whose names hash lowest,
// so that a photo stays on its side when others are added.
func holdOut(all []*photo) {
	for label := range photoClasses {
		var class []*photo
		for _, p := range all {
			if p.label == int32(label) {
				class = append(class, p)
			}
		}
		slices.SortFunc(class, func(a, b *photo) int { return cmp.Compare(hashName(a.Name), hashName(b.Name)) })
		for _, p := range class[:(len(class)+2)/5] {
			p.Test = true
		}
	}
}

// hashName is FNV-1a, mixed because FNV leaves the high bits of similar names
// similar.
func hashName(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return mix(h.Sum64())
}

// photoSet is crops of the photos.
type photoSet struct{}

func (photoSet) id() string { return "photos" }

func (s photoSet) info(string) Info {
	info := Info{
		Name: s.id(), Height: 32, Width: 32, Channels: 3, Classes: photoClasses,
		Licence: "public domain or CC0, each named in the manifest", Present: true, Where: "embedded",
	}
	all, _ := photos() // what is wrong with them, Open says
	for _, p := range all {
		if p.Test {
			info.Test += 64
		} else {
			info.Train += 64
		}
	}
	return info
}

func (photoSet) open(_ context.Context, o OpenOptions) (train, test Source, err error) {
	all, err := photos()
	if err != nil {
		return nil, nil, err
	}
	splits := [2]*crops{
		{name: "photos/train", perPhoto: o.PerPhoto, size: o.Size, seed: o.Seed},
		{name: "photos/test", perPhoto: o.PerPhoto, size: o.Size, seed: o.Seed},
	}
	for _, p := range all {
		s := splits[0]
		if p.Test {
			s = splits[1]
		}
		s.photos = append(s.photos, p)
	}
	return splits[0], splits[1], nil
}

// crops of photos: example i is crop i%perPhoto of photo i/perPhoto. A crop is
// upright and square, its side uniform in 0.4 to 1 of the photo's shorter one,
// its place uniform. It depends on the photo's name, the crop's number and the
// seed alone.
type crops struct {
	name           string
	photos         []*photo
	perPhoto, size int
	seed           int64
}

// Groups tells for each example of src which photo it is a crop of: crops of
// one photo are recognised together or not at all, so that errors are to be
// taken over photos. It is nil where examples stand for themselves.
func Groups(src Source) []int32 {
	switch s := src.(type) {
	case *crops:
		groups := make([]int32, s.Len())
		for i := range groups {
			groups[i] = int32(i / s.perPhoto)
		}
		return groups
	case *subset:
		all := Groups(s.Source)
		if all == nil {
			return nil
		}
		groups := make([]int32, s.Len())
		for i, at := range s.index {
			groups[i] = all[at]
		}
		return groups
	}
	return nil
}

func (c *crops) Name() string                         { return c.name }
func (c *crops) Len() int                             { return len(c.photos) * c.perPhoto }
func (c *crops) Shape() (height, width, channels int) { return c.size, c.size, 3 }
func (c *crops) Label(i int) int32                    { return c.photos[i/c.perPhoto].label }
func (c *crops) Classes() []string                    { return photoClasses }

func (c *crops) Read(i int, pixels []uint8) error {
	p := c.photos[i/c.perPhoto]
	img, err := p.decode()
	if err != nil {
		return fmt.Errorf("photo %s: %w", p.Name, err)
	}
	r := newStream(uint64(c.seed)^hashName(p.Name), uint64(i%c.perPhoto))
	width, height := img.Bounds().Dx(), img.Bounds().Dy()
	side := int(math.Round((0.4 + 0.6*r.unit()) * float64(min(width, height))))
	left, top := r.below(width-side+1), r.below(height-side+1)
	rgb(resize(img, image.Rect(left, top, left+side, top+side), c.size), pixels)
	return nil
}

// resize scales a square part of img to size x size pixels, with the kernel
// widened by the scale where the image shrinks, so that nothing aliases.
// Transparent pixels become white.
func resize(img image.Image, part image.Rectangle, size int) *image.RGBA {
	small := image.NewRGBA(image.Rect(0, 0, size, size))
	draw.Draw(small, small.Bounds(), image.White, image.Point{}, draw.Src)
	xdraw.CatmullRom.Scale(small, small.Bounds(), img, part, draw.Over, nil)
	return small
}

// rgb copies the colours of img.
func rgb(img *image.RGBA, pixels []uint8) {
	for i := range len(pixels) / 3 {
		copy(pixels[3*i:3*i+3], img.Pix[4*i:])
	}
}
