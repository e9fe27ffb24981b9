package data

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
)

// stl10: Coates, Lee, Ng, "An Analysis of Single Layer Networks in
// Unsupervised Feature Learning", 2011; the binary version.
var stl10 = &archiveSet{about: stlInfo("stl10", 5000), folder: "stl10", forms: []*form{stlForm("train")}}

// stl10Unlabelled shares the archive.
var stl10Unlabelled = &archiveSet{about: stlInfo("stl10-unlabelled", 100000), folder: "stl10", forms: []*form{stlForm("unlabeled")}}

var (
	stlClasses = []string{"airplane", "bird", "car", "cat", "deer", "dog", "horse", "monkey", "ship", "truck"}
	stlArchive = asset{
		name: "stl10_binary.tar.gz", size: 2640397119,
		urls: []string{
			"https://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
			"https://cs.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
		},
		// As TensorFlow Datasets verifies it; the published one is the MD5
		// 91f7769df0f17e558f3565bffb0c7dfb.
		sum: "sha256:f31fd99273a1acb8609c8db427cebb1de3f71de77758cdc0e22956e1289b9866",
	}
	// As torchvision verifies them: no SHA-256 of the members is published.
	stlMembers = []member{
		{name: "train_X.bin", sum: "md5:918c2871b30a85fa023e0c44e0bee87f"},
		{name: "train_y.bin", sum: "md5:5a34089d4802c674881badbb80307741"},
		{name: "test_X.bin", sum: "md5:7f263ba9f9e0b06b93213547f721ac82"},
		{name: "test_y.bin", sum: "md5:36f9794fa4beb8a2c72628de14fa638e"},
		{name: "unlabeled_X.bin", sum: "md5:5242ba1fed5e4be9e1e742405eb56ca4"},
	}
)

func stlInfo(name string, train int) Info {
	return Info{
		Name: name, Train: train, Test: 8000, Height: 96, Width: 96, Channels: 3,
		Classes: stlClasses, Licence: "none stated; images from ImageNet, for research, cite",
	}
}

// stlForm reads the named training part, with labels where it has them, and
// the test part.
func stlForm(part string) *form {
	return &form{
		folder: "stl10_binary", unpacked: "unpacked", archive: stlArchive, members: stlMembers,
		read: func(ctx context.Context, f *form, dir, kept string, o OpenOptions) (Source, Source, error) {
			train, test, err := readSTL(ctx, dir, kept, part, f.members, o)
			return train, test, err
		},
	}
}

func readSTL(ctx context.Context, dir, kept, part string, members []member, o OpenOptions) (train, test *records, err error) {
	find := func(name string) member {
		return members[slices.IndexFunc(members, func(m member) bool { return m.name == name })]
	}
	layout := records{classes: stlClasses, side: 96, columns: true, kept: kept}
	if train, test, err = layout.openSplits(ctx, dir, "stl10", []member{find(part + "_X.bin")}, []member{find("test_X.bin")}, o); err != nil {
		return nil, nil, err
	}
	if part == "unlabeled" {
		train.name = "stl10-unlabelled/train"
	} else if err := train.readLabels(ctx, dir, find(part+"_y.bin")); err != nil {
		return nil, nil, err
	}
	return train, test, test.readLabels(ctx, dir, find("test_y.bin"))
}

// readLabels reads a file of labels 1 to 10, one byte each.
func (r *records) readLabels(ctx context.Context, dir string, file member) error {
	labels, err := file.read(ctx, dir, 1<<20)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, file.name)
	if len(labels) != r.Len() {
		return fmt.Errorf("%s has %d labels for %d images", name, len(labels), r.Len())
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
