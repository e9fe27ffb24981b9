package widgets

import "testing"

// landscape is scene with its sun and hills as segments and boxes.
func landscape() (m Image, class []uint8, boxes []Box) {
	m = scene(32, 32, 3)
	class = make([]uint8, 32*32)
	for i := range class {
		switch p := m.at(i/32, i%32); {
		case p.B == 120:
			class[i] = 1
		case p.B == 70:
			class[i] = 2
		}
	}
	return m, class, []Box{{4, 19, 12, 27, 0, "sun 0.97"}, {17, 0, 32, 32, 1, "hills"}, {-3, 26, 6, 40, 12, "cloud, half outside"}}
}

func TestOverlaysGolden(t *testing.T) {
	m, class, boxes := landscape()
	segments, err := Segments(m, class)
	if err != nil {
		t.Fatal(err)
	}
	drawn, err := Boxes(m, boxes)
	if err != nil {
		t.Fatal(err)
	}
	fig, err := Gallery{Images: [][]Image{{m, segments, drawn}}, Cols: []string{"image", "segments", "boxes"}, Size: 128}.Figure()
	golden(t, "overlays", fig, err, false)
}

func TestSegmentsColors(t *testing.T) {
	m := Image{Pixels: []uint8{90, 90, 90, 90}, H: 1, W: 4, C: 1}
	out, err := Segments(m, []uint8{0, 1, 2, 11})
	if err != nil {
		t.Fatal(err)
	}
	if out.C != 3 || out.at(0, 0).R != out.at(0, 0).G || out.at(0, 1) == out.at(0, 2) || out.at(0, 1) != out.at(0, 3) {
		t.Errorf("pixels %v", out.Pixels)
	}
}

func TestOverlayErrors(t *testing.T) {
	m := Image{Pixels: []uint8{0, 0, 0, 0}, H: 2, W: 2, C: 1}
	_, err := Segments(m, make([]uint8, 3))
	wantError(t, "segments", err, "3 pixels for an image of 2 x 2")
	_, err = Segments(Image{}, nil)
	wantError(t, "no image", err, "widgets: segments: ")
	_, err = Boxes(m, []Box{{Class: -1}})
	wantError(t, "class", err, "box 0")
	_, err = Boxes(Image{}, nil)
	wantError(t, "no image", err, "widgets: boxes: ")
}
