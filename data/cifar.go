package data

import (
	"os"
	"path/filepath"
	"strings"
)

// cifar10 and cifar100: Krizhevsky, "Learning Multiple Layers of Features from
// Tiny Images", 2009; the binary version.
var cifar10 = &archiveSet{
	about: Info{
		Name: "cifar10", Train: 50000, Test: 10000, Height: 32, Width: 32, Channels: 3, Licence: "none stated; for research, cite",
		Classes: []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"},
	},
	archive: asset{
		name: "cifar-10-binary.tar.gz", size: 170052171,
		urls: []string{"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"},
		sum:  "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
	},
	members: []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin"},
	read: func(s *archiveSet, dir string) (train, test *records, err error) {
		layout := records{classes: s.about.Classes, side: 32, header: 1}
		return layout.openSplits(dir, s.about.Name, s.members[:5], s.members[5:])
	},
}

var cifar100 = &archiveSet{
	about: Info{Name: "cifar100", Train: 50000, Test: 10000, Height: 32, Width: 32, Channels: 3, Licence: "none stated; for research, cite"},
	archive: asset{
		name: "cifar-100-binary.tar.gz", size: 168513733,
		urls: []string{"https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"},
		sum:  "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
	},
	members: []string{"train.bin", "test.bin", "fine_label_names.txt"},
	read: func(s *archiveSet, dir string) (train, test *records, err error) {
		text, err := os.ReadFile(filepath.Join(dir, "fine_label_names.txt"))
		if err != nil {
			return nil, nil, err
		}
		// The coarse label comes first and is passed over.
		layout := records{classes: strings.Fields(string(text)), side: 32, header: 2}
		return layout.openSplits(dir, s.about.Name, s.members[:1], s.members[1:2])
	},
}
