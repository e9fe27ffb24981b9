package data

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
)

// cifarRecord is a record with pixel (x, y) = (x+first, y, x*y) in red, green
// and blue.
func cifarRecord(first int, header ...byte) []byte {
	record := header
	for c := range 3 {
		for y := range 32 {
			for x := range 32 {
				record = append(record, []byte{byte(x + first), byte(y), byte(x * y)}[c])
			}
		}
	}
	return record
}

func checkCIFAR(t *testing.T, src Source, i, first int, label int32) {
	t.Helper()
	if h, w, c := src.Shape(); h != 32 || w != 32 || c != 3 {
		t.Fatalf("%s has shape %dx%dx%d", src.Name(), h, w, c)
	}
	pixels := make([]uint8, 32*32*3)
	if err := src.Read(i, pixels); err != nil {
		t.Fatal(err)
	}
	for y := range 32 {
		for x := range 32 {
			if got, want := [3]uint8(pixels[3*(32*y+x):]), [3]uint8{uint8(x + first), uint8(y), uint8(x * y)}; got != want {
				t.Fatalf("%s: pixel (%d,%d) of example %d is %v, want %v", src.Name(), x, y, i, got, want)
			}
		}
	}
	if src.Label(i) != label {
		t.Errorf("%s: label of example %d is %d, want %d", src.Name(), i, src.Label(i), label)
	}
}

func cifar10Archive(t *testing.T) []byte {
	files := map[string][]byte{
		"cifar-10-batches-bin/test_batch.bin":   slices.Concat(cifarRecord(100, 9), cifarRecord(101, 0)),
		"cifar-10-batches-bin/batches.meta.txt": []byte("airplane\n"),
	}
	for i := range 5 { // i+1 records in file i
		var b []byte
		for k := range i + 1 {
			b = append(b, cifarRecord(10*i+k, byte(i))...)
		}
		files[fmt.Sprintf("cifar-10-batches-bin/data_batch_%d.bin", i+1)] = b
	}
	return tarball(t, files)
}

func TestCIFAR10(t *testing.T) {
	s, site := served(t, cifar10, cifar10Archive(t))
	o := OpenOptions{Dir: t.TempDir()}
	if info := s.info(o.Dir); info.Present || info.Download != s.forms[0].archive.size {
		t.Errorf("before the download: %+v", info)
	}
	for range 2 {
		train, test, err := s.open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if train.Len() != 15 || test.Len() != 2 || train.Name() != "cifar10/train" || test.Name() != "cifar10/test" || len(train.Classes()) != 10 {
			t.Fatalf("%s of %d and %s of %d", train.Name(), train.Len(), test.Name(), test.Len())
		}
		checkCIFAR(t, train, 0, 0, 0)
		checkCIFAR(t, train, 2, 11, 1) // second of the second file
		checkCIFAR(t, train, 14, 44, 4)
		checkCIFAR(t, test, 0, 100, 9)
		checkCIFAR(t, test, 1, 101, 0)
		o.Offline = true
	}
	if len(site.ranges) != 1 {
		t.Errorf("%d downloads", len(site.ranges))
	}
	checkOnly(t, filepath.Join(o.Dir, "cifar10"), "unpacked") // the archive is no longer needed
	if info := s.info(o.Dir); !info.Present || info.Download != 0 {
		t.Errorf("after the download: %+v", info)
	}
}

func TestCIFAR100LabelsAreFine(t *testing.T) {
	s, _ := served(t, cifar100, tarball(t, map[string][]byte{
		"cifar-100-binary/train.bin":            slices.Concat(cifarRecord(1, 19, 99), cifarRecord(2, 3, 0)),
		"cifar-100-binary/test.bin":             cifarRecord(3, 4, 55),
		"cifar-100-binary/fine_label_names.txt": []byte("apple\n"),
	}))
	train, test, err := s.open(t.Context(), OpenOptions{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if train.Len() != 2 || test.Len() != 1 || len(train.Classes()) != 100 || train.Classes()[99] != "worm" {
		t.Errorf("%d and %d examples, %d classes", train.Len(), test.Len(), len(train.Classes()))
	}
	checkCIFAR(t, train, 0, 1, 99)
	checkCIFAR(t, train, 1, 2, 0)
	checkCIFAR(t, test, 0, 3, 55)
}
