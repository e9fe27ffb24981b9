//go:build ignore

// Command emoji_gen writes the embedded emoji. It needs three npm packages,
// fetched with npm pack and unpacked into the folders that it is given:
//
//	go run emoji_gen.go TWITTER GOOGLE CLDR
//
// emoji-datasource-twitter 16.0.0, emoji-datasource-google 16.0.0 and
// cldr-annotations-full 48.2.0. It keeps what CLDR has an English name for, but
// flags, sequences that are joined (a woman and a microscope: a scientist), and
// skin tones.
package main

import (
	"encoding/csv"
	"encoding/json"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	xdraw "golang.org/x/image/draw"
)

const (
	side    = 32
	columns = 32 // emoji a row of a sheet
)

type entry struct {
	Unified, Image, Category string
	SortOrder                int `json:"sort_order"`
}

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: go run emoji_gen.go TWITTER GOOGLE CLDR")
	}
	var all []entry
	read(filepath.Join(os.Args[1], "emoji.json"), &all)
	var cldr struct {
		Annotations struct {
			Annotations map[string]struct{ Default, TTS []string }
		}
	}
	read(filepath.Join(os.Args[3], "annotations/en/annotations.json"), &cldr)

	rows := [][]string{{"codepoint", "name", "keywords", "category"}}
	var kept []entry
	slices.SortFunc(all, func(a, b entry) int { return a.SortOrder - b.SortOrder })
	for _, e := range all {
		// CLDR leaves the variation selector out.
		text, found := cldr.Annotations.Annotations[strings.ReplaceAll(decode(e.Unified), "\ufe0f", "")]
		if !found || e.Category == "Flags" || e.Category == "Component" || strings.Contains(e.Unified, "-200D") {
			continue
		}
		kept = append(kept, e)
		rows = append(rows, []string{e.Unified, text.TTS[0], strings.Join(text.Default, "|"), e.Category})
	}
	f := create("manifest.csv")
	if err := csv.NewWriter(f).WriteAll(rows); err != nil {
		log.Fatal(err)
	}
	done(f)
	for i, vendor := range []string{"twitter", "google"} {
		sheet(filepath.Join(os.Args[1+i], "img", vendor, "64"), vendor, kept)
	}
	log.Printf("%d emoji", len(kept))
}

// sheet draws the pictures of one vendor, scaled down, on white.
func sheet(dir, vendor string, kept []entry) {
	m := image.NewRGBA(image.Rect(0, 0, side*columns, side*((len(kept)+columns-1)/columns)))
	draw.Draw(m, m.Rect, image.White, image.Point{}, draw.Src)
	for i, e := range kept {
		f, err := os.Open(filepath.Join(dir, e.Image))
		if err != nil {
			log.Fatal(err)
		}
		picture, err := png.Decode(f)
		if err != nil {
			log.Fatal(e.Image, ": ", err)
		}
		f.Close()
		to := image.Rect(0, 0, side, side).Add(image.Pt(i%columns*side, i/columns*side))
		xdraw.CatmullRom.Scale(m, to, picture, picture.Bounds(), draw.Over, nil)
	}
	// 64 levels a channel: nobody sees it, and the file is a third smaller.
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			c := m.RGBAAt(x, y)
			m.SetRGBA(x, y, color.RGBA{level(c.R), level(c.G), level(c.B), 255})
		}
	}
	f := create(vendor + ".png")
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(f, m); err != nil {
		log.Fatal(err)
	}
	done(f)
}

func level(v uint8) uint8 { return uint8((int(v)*63 + 127) / 255 * 255 / 63) }

// decode turns "1F600-FE0F" into its characters.
func decode(unified string) string {
	var s []rune
	for _, code := range strings.Split(unified, "-") {
		r, err := strconv.ParseUint(code, 16, 32)
		if err != nil {
			log.Fatal(err)
		}
		s = append(s, rune(r))
	}
	return string(s)
}

func read(name string, v any) {
	text, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		log.Fatal(name, ": ", err)
	}
}

func create(name string) *os.File {
	f, err := os.Create(filepath.Join("embedded", "emoji", name))
	if err != nil {
		log.Fatal(err)
	}
	return f
}

func done(f *os.File) {
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
}
