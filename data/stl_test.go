package data

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// stlImage has pixel (x, y) = (x+first, y, 0) in red, green and blue, stored
// column by column.
func stlImage(first int) []byte {
	image := make([]byte, 3*96*96)
	for x := range 96 {
		for y := range 96 {
			image[x*96+y] = byte(x + first)
			image[96*96+x*96+y] = byte(y)
		}
	}
	return image
}

func checkSTL(t *testing.T, src Source, i, first int, label int32) {
	t.Helper()
	if h, w, c := src.Shape(); h != 96 || w != 96 || c != 3 {
		t.Fatalf("%s has shape %dx%dx%d", src.Name(), h, w, c)
	}
	pixels := make([]uint8, 96*96*3)
	if err := src.Read(i, pixels); err != nil {
		t.Fatal(err)
	}
	for y := range 96 {
		for x := range 96 {
			if got, want := [3]uint8(pixels[3*(96*y+x):]), [3]uint8{uint8(x + first), uint8(y), 0}; got != want {
				t.Fatalf("%s: pixel (%d,%d) of example %d is %v, want %v", src.Name(), x, y, i, got, want)
			}
		}
	}
	if src.Label(i) != label {
		t.Errorf("%s: label of example %d is %d, want %d", src.Name(), i, src.Label(i), label)
	}
}

func stlFiles() map[string][]byte {
	return map[string][]byte{
		"stl10_binary/train_X.bin":     slices.Concat(stlImage(1), stlImage(2)),
		"stl10_binary/train_y.bin":     {1, 10},
		"stl10_binary/test_X.bin":      stlImage(3),
		"stl10_binary/test_y.bin":      {5},
		"stl10_binary/unlabeled_X.bin": slices.Concat(stlImage(4), stlImage(5), stlImage(6)),
		"stl10_binary/class_names.txt": []byte("airplane\n"),
	}
}

func TestSTL10(t *testing.T) {
	s, site := served(t, stl10, tarball(t, stlFiles()))
	o := OpenOptions{Dir: t.TempDir()}
	train, test, err := s.open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 2 || test.Len() != 1 || train.Name() != "stl10/train" || test.Name() != "stl10/test" {
		t.Errorf("%s of %d and %s of %d", train.Name(), train.Len(), test.Name(), test.Len())
	}
	checkSTL(t, train, 0, 1, 0) // labels count from 1 in the file
	checkSTL(t, train, 1, 2, 9)
	checkSTL(t, test, 0, 3, 4)

	unlabelled := *stl10Unlabelled
	f := *s.forms[0]
	f.read = unlabelled.forms[0].read
	unlabelled.forms = []*form{&f}
	train, test, err = unlabelled.open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 3 || train.Name() != "stl10-unlabelled/train" || train.Classes() != nil {
		t.Errorf("%s of %d with classes %v", train.Name(), train.Len(), train.Classes())
	}
	checkSTL(t, train, 2, 6, -1)
	checkSTL(t, test, 0, 3, 4)
	if len(site.ranges) != 1 {
		t.Errorf("%d downloads of the shared archive", len(site.ranges))
	}
}

func TestSTL10Refuses(t *testing.T) {
	for _, test := range []struct {
		name, file string
		content    []byte
		want       string
	}{
		{"label 0", "train_y.bin", []byte{0, 1}, "label 0 of example 0 is out of range 1 to 10"},
		{"label 11", "test_y.bin", []byte{11}, "label 11 of example 0 is out of range 1 to 10"},
		{"labels missing", "train_y.bin", []byte{1}, "has 1 labels for 2 images"},
		{"images truncated", "test_X.bin", stlImage(0)[:1000], "has 1000 bytes, not a multiple of 27648"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string][]byte{}
			for name, b := range stlFiles() {
				if filepath.Base(name) == test.file {
					b = test.content
				}
				files[filepath.Base(name)] = b
				if err := os.WriteFile(filepath.Join(dir, filepath.Base(name)), b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			members := pinned(stlMembers, files)
			_, _, err := readSTL(t.Context(), dir, t.TempDir(), "train", members, OpenOptions{})
			wantError(t, err, test.want)
		})
	}
}

// Of a large file the digests of the images are kept, and each is verified when
// it is read.
func TestSTL10Large(t *testing.T) {
	old := largeFile
	largeFile = 2 * 27648
	defer func() { largeFile = old }()
	s, _ := served(t, stl10Unlabelled, tarball(t, stlFiles()))
	o := OpenOptions{Dir: t.TempDir()}
	open := func() (Source, error) {
		train, _, err := s.open(t.Context(), o)
		return train, err
	}
	if _, err := open(); err != nil {
		t.Fatal(err)
	}
	cached := filepath.Join(o.Dir, "stl10")
	checkOnly(t, cached, "unlabeled_X.bin.sha256", "unpacked")

	images := filepath.Join(cached, "unpacked", "unlabeled_X.bin")
	whole, err := os.ReadFile(images)
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(whole)
	damaged[27648+5] ^= 1
	if err := os.WriteFile(images, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	train, err := open()
	if err != nil {
		t.Fatal(err)
	}
	checkSTL(t, train, 2, 6, -1)
	wantError(t, train.Read(1, make([]uint8, 27648)), images+": wrong checksum of example 1")

	// Without the digests, or with damaged ones, the file is read through.
	list := filepath.Join(cached, "unlabeled_X.bin.sha256")
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := os.WriteFile(list, text, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = open()
	wantError(t, err, images+": wrong checksum")
	if err := os.WriteFile(images, whole, 0o644); err != nil {
		t.Fatal(err)
	}
	if train, err = open(); err != nil {
		t.Fatal(err)
	}
	checkSTL(t, train, 1, 5, -1)
}
