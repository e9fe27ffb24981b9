package data

import (
	"fmt"
	"os"
	"path/filepath"
)

// stl10: Coates, Lee, Ng, "An Analysis of Single Layer Networks in
// Unsupervised Feature Learning", 2011; the binary version.
var stl10 = &archiveSet{
	about:   stlInfo("stl10", 5000),
	folder:  "stl10",
	archive: stlArchive,
	members: stlMembers,
	read:    func(_ *archiveSet, dir string) (train, test *records, err error) { return readSTL(dir, "train") },
}

// stl10Unlabelled shares the archive.
var stl10Unlabelled = &archiveSet{
	about:   stlInfo("stl10-unlabelled", 100000),
	folder:  "stl10",
	archive: stlArchive,
	members: stlMembers,
	read:    func(_ *archiveSet, dir string) (train, test *records, err error) { return readSTL(dir, "unlabeled") },
}

var (
	stlClasses = []string{"airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"}
	stlArchive = asset{
		name: "stl10_binary.tar.gz", size: 2640397119,
		urls: []string{"http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"},
		sum:  "md5:91f7769df0f17e558f3565bffb0c7dfb", // the published one
	}
	stlMembers = []string{"train_X.bin", "train_y.bin", "test_X.bin", "test_y.bin", "unlabeled_X.bin"}
)

func stlInfo(name string, train int) Info {
	return Info{
		Name: name, Train: train, Test: 8000, Height: 96, Width: 96, Channels: 3,
		Classes: stlClasses, Licence: "none stated; images from ImageNet, for research, cite",
	}
}

// readSTL reads the named training part, with labels where it has them, and
// the test part.
func readSTL(dir, part string) (train, test *records, err error) {
	layout := records{classes: stlClasses, side: 96, columns: true}
	if train, test, err = layout.openSplits(dir, "stl10", []string{part + "_X.bin"}, []string{"test_X.bin"}); err != nil {
		return nil, nil, err
	}
	if part == "unlabeled" {
		train.name = "stl10-unlabelled/train"
	} else if err := train.readLabels(filepath.Join(dir, part+"_y.bin")); err != nil {
		return nil, nil, err
	}
	return train, test, test.readLabels(filepath.Join(dir, "test_y.bin"))
}

// readLabels reads a file of labels 1 to 10, one byte each.
func (r *records) readLabels(name string) error {
	labels, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	if len(labels) != r.length {
		return fmt.Errorf("%s has %d labels for %d images", name, len(labels), r.length)
	}
	for i, l := range labels {
		if l < 1 || int(l) > len(r.classes) {
			return fmt.Errorf("%s: label %d of example %d is out of range 1 to %d", name, l, i, len(r.classes))
		}
		labels[i] = l - 1
	}
	r.labels = labels
	return nil
}
