package data

import "fmt"

// Turned is src with every image turned counter-clockwise by so many quarters of a circle. Images that are not square can be
// turned by halves only.
func Turned(src Source, quarters int) (Source, error) {
	quarters = (quarters%4 + 4) % 4
	if quarters == 0 {
		return src, nil
	}
	h, w, _ := src.Shape()
	if _, moves := src.(Clips); moves || IsText(src) {
		return nil, fmt.Errorf("data: %s has clips or texts, and only images are turned", src.Name())
	}
	if quarters%2 == 1 && h != w {
		return nil, fmt.Errorf("data: images of %s are %dx%d, and only square ones can be turned by a quarter", src.Name(), w, h)
	}
	return &turned{src, quarters}, nil
}

type turned struct {
	Source
	quarters int
}

func (s *turned) Name() string {
	return fmt.Sprintf("%s, turned by %d", s.Source.Name(), 90*s.quarters)
}

func (s *turned) Read(i int, pixels []uint8) error {
	if err := s.Source.Read(i, pixels); err != nil {
		return err
	}
	h, w, c := s.Shape()
	from := append([]uint8(nil), pixels[:h*w*c]...)
	for y := range h {
		for x := range w {
			fy, fx := y, x // of the source, which goes to y, x
			switch s.quarters {
			case 1:
				fy, fx = x, w-1-y
			case 2:
				fy, fx = h-1-y, w-1-x
			case 3:
				fy, fx = h-1-x, y
			}
			copy(pixels[(y*w+x)*c:][:c], from[(fy*w+fx)*c:])
		}
	}
	return nil
}
