package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/sslkit/lab/data"
)

// writeImages writes crops of the embedded photos to a new file: uint8 [N, size, size, 3]. All workers read them there, so that
// none spends time on decoding.
func writeImages(size, perPhoto int) (file string, err error) {
	photos, _, err := data.Open("photos", data.OpenOptions{Size: size, PerPhoto: perPhoto})
	if err != nil {
		return "", err
	}
	each := size * size * 3
	pixels := make([]uint8, photos.Len()*each)
	for i := range photos.Len() {
		if err := photos.Read(i, pixels[i*each:(i+1)*each]); err != nil {
			return "", err
		}
	}
	f, err := os.CreateTemp("", "bench-images-")
	if err != nil {
		return "", err
	}
	_, err = f.Write(pixels)
	return f.Name(), errors.Join(err, f.Close())
}

// images are those of such a file, as a data.Source.
type images struct {
	size   int
	pixels []uint8
}

func readImages(file string, size int) (images, error) {
	pixels, err := os.ReadFile(file)
	if err == nil && len(pixels)%(size*size*3) != 0 {
		err = fmt.Errorf("%s does not hold images of %dx%dx3", file, size, size)
	}
	return images{size, pixels}, err
}

func (s images) Name() string                         { return "photos" }
func (s images) Len() int                             { return len(s.pixels) / (s.size * s.size * 3) }
func (s images) Shape() (height, width, channels int) { return s.size, s.size, 3 }
func (s images) Label(int) int32                      { return -1 }
func (s images) Classes() []string                    { return nil }

func (s images) Read(i int, pixels []uint8) error {
	copy(pixels, s.pixels[i*len(pixels):])
	return nil
}
