package data

import (
	"flag"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

var sheets = flag.String("sheets", "", "folder for contact sheets of scenes and clips, to be looked at")

// sheet puts pictures side by side, scaled up.
func sheet(columns, size, scale int, pictures [][]uint8) *image.RGBA {
	rows := (len(pictures) + columns - 1) / columns
	cell := size*scale + 2
	img := image.NewRGBA(image.Rect(0, 0, columns*cell, rows*cell))
	for n, pixels := range pictures {
		for y := range size * scale {
			for x := range size * scale {
				p := pixels[3*(y/scale*size+x/scale):]
				img.SetRGBA(n%columns*cell+x, n/columns*cell+y, color.RGBA{p[0], p[1], p[2], 255})
			}
		}
	}
	return img
}

func save(t *testing.T, name string, img image.Image) {
	t.Helper()
	f, err := os.Create(filepath.Join(*sheets, name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

// With -sheets FOLDER, pictures to look at.
func TestSceneSheets(t *testing.T) {
	if *sheets == "" {
		t.Skip("no -sheets")
	}
	for _, s := range []struct{ size, scale, columns, n int }{{32, 3, 10, 60}, {64, 2, 10, 60}, {96, 1, 10, 80}, {240, 1, 5, 20}} {
		for _, test := range []bool{false, true} {
			src := &scenes{n: 10_000, size: s.size, test: test}
			var pictures [][]uint8
			for i := range s.n {
				pixels := make([]uint8, 3*s.size*s.size)
				if err := src.Read(i, pixels); err != nil {
					t.Fatal(err)
				}
				pictures = append(pictures, pixels)
			}
			name := map[bool]string{false: "train", true: "test"}[test]
			save(t, "scenes-"+name+"-"+strconv.Itoa(s.size)+".png", sheet(s.columns, s.size, s.scale, pictures))
		}
	}
	src := &clips{scenes{n: 100, size: 96}, 8}
	var pictures [][]uint8
	for i := range 12 {
		pixels := make([]uint8, 8*3*96*96)
		if err := src.Read(i, pixels); err != nil {
			t.Fatal(err)
		}
		for f := range 8 {
			pictures = append(pictures, pixels[f*3*96*96:][:3*96*96])
		}
	}
	save(t, "clips.png", sheet(8, 96, 1, pictures))
}

func BenchmarkScenes(b *testing.B) {
	src := &scenes{n: 10_000, size: 64}
	pixels := make([]uint8, 3*64*64)
	for i := 0; b.Loop(); i++ {
		if err := src.Read(i%src.n, pixels); err != nil {
			b.Fatal(err)
		}
	}
}
