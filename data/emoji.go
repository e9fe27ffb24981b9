package data

import (
	"bytes"
	"context"
	"embed"
	"encoding/csv"
	"fmt"
	"image"
	"image/draw"
	"math"
	"slices"
	"strings"
	"sync"
)

// Pictures of 1,388 emoji by two vendors, their names and keywords; licences
// beside them. See emoji_gen.go.
//
//go:embed embedded/emoji
var emojiFiles embed.FS

var emojiClasses = []string{
	"Activities", "Animals & Nature", "Food & Drink", "Objects", "People & Body", "Smileys & Emotion", "Symbols", "Travel & Places",
}

var emojiVendors = []string{"twitter", "google"}

// emoji is a row of the manifest.
type emoji struct {
	captions []string
	label    int32
	test     bool
}

// emojis reads the manifest.
var emojis = sync.OnceValues(func() ([]emoji, error) {
	manifest, err := emojiFiles.ReadFile("embedded/emoji/manifest.csv")
	if err != nil {
		return nil, fmt.Errorf("data: emoji: %w", err)
	}
	rows, err := csv.NewReader(bytes.NewReader(manifest)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("data: manifest of the emoji: %w", err)
	}
	var all []emoji
	for _, row := range rows[1:] {
		code, name, keywords, class := row[0], row[1], strings.Split(row[2], "|"), row[3]
		label := slices.Index(emojiClasses, class)
		if label < 0 {
			return nil, fmt.Errorf("data: manifest of the emoji: %s is of unknown class %q", code, class)
		}
		all = append(all, emoji{
			captions: []string{name + ": " + strings.Join(keywords, ", "), name},
			label:    int32(label),
			test:     hashName(code) < math.MaxUint64/5,
		})
	}
	return all, nil
})

const emojiSide, emojiColumns = 32, 32 // pixels; pictures a row of a sheet

// emojiSheets decodes the pictures, a sheet each vendor.
var emojiSheets = sync.OnceValues(func() (sheets []*image.RGBA, err error) {
	for _, vendor := range emojiVendors {
		file, err := emojiFiles.ReadFile("embedded/emoji/" + vendor + ".png")
		if err != nil {
			return nil, fmt.Errorf("data: emoji: %w", err)
		}
		img, err := decodeImage(file)
		if err != nil {
			return nil, fmt.Errorf("data: emoji: %s.png: %w", vendor, err)
		}
		sheet := image.NewRGBA(img.Bounds())
		draw.Draw(sheet, sheet.Rect, img, sheet.Rect.Min, draw.Src)
		sheets = append(sheets, sheet)
	}
	return sheets, nil
})

// emojiSet is the emoji, each as two pictures with the same captions: its name
// with keywords, and its name alone. A fifth of the emoji is the test split, with
// both pictures of each.
type emojiSet struct{}

func (emojiSet) id() string { return "emoji" }

func (s emojiSet) info(string) Info {
	info := Info{
		Name: s.id(), Height: emojiSide, Width: emojiSide, Channels: 3, Classes: emojiClasses,
		Licence: "CC-BY-4.0 and Apache-2.0, words Unicode-3.0", Present: true, Where: "embedded",
	}
	all, _ := emojis() // what is wrong with them, Open says
	for _, e := range all {
		if e.test {
			info.Test += len(emojiVendors)
		} else {
			info.Train += len(emojiVendors)
		}
	}
	return info
}

func (s emojiSet) open(context.Context, OpenOptions) (train, test Source, err error) {
	all, err := emojis()
	if err != nil {
		return nil, nil, err
	}
	a, b := &emojiPictures{name: s.id() + "/train"}, &emojiPictures{name: s.id() + "/test"}
	for i, e := range all {
		if e.test {
			b.rows = append(b.rows, i)
		} else {
			a.rows = append(a.rows, i)
		}
	}
	for _, p := range []*emojiPictures{a, b} {
		if p.sheets, err = emojiSheets(); err != nil {
			return nil, nil, err
		}
		p.all = all
	}
	return a, b, nil
}

// emojiPictures is a split: example i is the picture of vendor i%2 of emoji i/2.
type emojiPictures struct {
	name   string
	all    []emoji
	sheets []*image.RGBA
	rows   []int // of the manifest
}

func (p *emojiPictures) at(i int) emoji { return p.all[p.rows[i/len(emojiVendors)]] }

func (p *emojiPictures) Name() string                         { return p.name }
func (p *emojiPictures) Len() int                             { return len(p.rows) * len(emojiVendors) }
func (p *emojiPictures) Shape() (height, width, channels int) { return emojiSide, emojiSide, 3 }
func (p *emojiPictures) Label(i int) int32                    { return p.at(i).label }
func (p *emojiPictures) Classes() []string                    { return emojiClasses }
func (p *emojiPictures) Captions(i int) []string              { return p.at(i).captions }

func (p *emojiPictures) Read(i int, pixels []uint8) error {
	row, sheet := p.rows[i/len(emojiVendors)], p.sheets[i%len(emojiVendors)]
	corner := image.Pt(row%emojiColumns*emojiSide, row/emojiColumns*emojiSide)
	for y := range emojiSide {
		line := sheet.Pix[sheet.PixOffset(corner.X, corner.Y+y):]
		for x := range emojiSide {
			copy(pixels[3*(y*emojiSide+x):][:3], line[4*x:])
		}
	}
	return nil
}
