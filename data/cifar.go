package data

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// cifar10 and cifar100: Krizhevsky, "Learning Multiple Layers of Features from
// Tiny Images", 2009. The binary version is downloaded; the Python version,
// which torchvision and Keras keep, is read where it is found. SHA-256 of the
// archives as TensorFlow Datasets and Keras verify them, of the binary files as
// torchvision for Ruby does; MD5 of the pickles as torchvision does.
var cifar10 = &archiveSet{
	about: Info{
		Name: "cifar10", Train: 50000, Test: 10000, Height: 32, Width: 32, Channels: 3, Licence: "none stated; for research, cite",
		Classes: cifar10Classes,
	},
	forms: []*form{
		{
			read:   cifarBinary("cifar10", 1, cifar10Classes),
			folder: "cifar-10-batches-bin", unpacked: "unpacked",
			archive: asset{
				name: "cifar-10-binary.tar.gz", size: 170052171,
				urls: []string{"https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"},
				sum:  "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
			},
			members: []member{
				{name: "data_batch_1.bin", sum: "sha256:cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"},
				{name: "data_batch_2.bin", sum: "sha256:a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"},
				{name: "data_batch_3.bin", sum: "sha256:bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"},
				{name: "data_batch_4.bin", sum: "sha256:014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"},
				{name: "data_batch_5.bin", sum: "sha256:755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"},
				{name: "test_batch.bin", sum: "sha256:8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
			},
		},
		{
			read:   cifarPython("cifar10", 1, cifar10Classes),
			folder: "cifar-10-batches-py", unpacked: "unpacked-python",
			archive: asset{
				name: "cifar-10-python.tar.gz", size: 170498071,
				sum: "sha256:6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
			},
			members: []member{
				{"data_batch_1", "md5:c99cafc152244af753f735de768cd75f", "sha256:cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"},
				{"data_batch_2", "md5:d4bba439e000b95fd0a9bffe97cbabec", "sha256:a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"},
				{"data_batch_3", "md5:54ebc095f3ab1f0389bbae665268c751", "sha256:bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"},
				{"data_batch_4", "md5:634d18415352ddfa80567beed471001a", "sha256:014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"},
				{"data_batch_5", "md5:482c414d41f54cd18b22e5b47cb7c3cb", "sha256:755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"},
				{"test_batch", "md5:40351d587109b95175f43aff81a1287e", "sha256:8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"},
			},
		},
	},
}

var cifar100 = &archiveSet{
	about: Info{
		Name: "cifar100", Train: 50000, Test: 10000, Height: 32, Width: 32, Channels: 3, Licence: "none stated; for research, cite",
		Classes: cifar100Classes,
	},
	forms: []*form{
		{
			read:   cifarBinary("cifar100", 2, cifar100Classes),
			folder: "cifar-100-binary", unpacked: "unpacked",
			archive: asset{
				name: "cifar-100-binary.tar.gz", size: 168513733,
				urls: []string{"https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"},
				sum:  "sha256:58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
			},
			members: []member{
				{name: "train.bin", sum: "sha256:f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"},
				{name: "test.bin", sum: "sha256:d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"},
			},
		},
		{
			read:   cifarPython("cifar100", 2, cifar100Classes),
			folder: "cifar-100-python", unpacked: "unpacked-python",
			archive: asset{
				name: "cifar-100-python.tar.gz", size: 169001437,
				sum: "sha256:85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
			},
			members: []member{
				{"train", "md5:16019d7e3df5f24257cddd939b257f8d", "sha256:f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"},
				{"test", "md5:f0ef6b0ae62326f3e7ffdfab6717acfc", "sha256:d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"},
			},
		},
	},
}

var cifar10Classes = []string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}

// The order of the fine labels, as the archives have it.
var cifar100Classes = strings.Fields(`
	apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle
	bowl boy bridge bus butterfly camel can castle caterpillar cattle
	chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur
	dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard
	lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain
	mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree
	plain plate poppy porcupine possum rabbit raccoon ray road rocket
	rose sea seal shark shrew skunk skyscraper snail snake spider
	squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor
	train trout tulip turtle wardrobe whale willow_tree wolf woman worm`)

// cifarBinary reads a version of which the last member is the test split, with
// 1 or 2 labels an example, of which the last, the fine one, is used.
func cifarBinary(name string, labels int, classes []string) readForm {
	return func(ctx context.Context, f *form, dir, kept string, o OpenOptions) (Source, Source, error) {
		layout := records{classes: classes, side: 32, header: labels, kept: kept}
		last := len(f.members) - 1
		train, test, err := layout.openSplits(ctx, dir, name, f.members[:last], f.members[last:], o)
		return train, test, err
	}
}

// cifarPython is cifarBinary for pickles, which are held in memory.
func cifarPython(name string, labels int, classes []string) readForm {
	return func(ctx context.Context, f *form, dir, _ string, _ OpenOptions) (Source, Source, error) {
		last := len(f.members) - 1
		train, err := readPickles(ctx, dir, name+"/train", f.members[:last], labels, classes)
		if err != nil {
			return nil, nil, err
		}
		test, err := readPickles(ctx, dir, name+"/test", f.members[last:], labels, classes)
		return train, test, err
	}
}

// pickleLimit is the largest file of the Python version; cifar100's has 155
// million bytes.
const pickleLimit = 256 << 20

// readPickles returns a split. A file is right if it is the published one, or if
// its labels and pixels are those of the binary version, as after it was pickled
// anew.
func readPickles(ctx context.Context, dir, name string, members []member, header int, classes []string) (*memory, error) {
	m := &memory{name: name, height: 32, width: 32, channels: 3, classes: classes}
	for _, member := range members {
		file := filepath.Join(dir, member.name)
		content, err := readRegular(ctx, file, pickleLimit)
		if err != nil {
			return nil, err
		}
		published := member.sum.checkBytes(content)
		batch, err := cifarRecords(content, header)
		if published != nil && (err != nil || member.records.checkBytes(batch) != nil) {
			return nil, fmt.Errorf("%s: %w", file, published)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for len(batch) > 0 {
			label := batch[header-1]
			if int(label) >= len(classes) {
				return nil, fmt.Errorf("%s: label %d: there are %d classes", file, label, len(classes))
			}
			m.labels = append(m.labels, label)
			n := len(m.pixels)
			m.pixels = append(m.pixels, batch[header:header+3072]...)
			interleave(m.pixels[n:], batch[header:], 32, false)
			batch = batch[header+3072:]
		}
	}
	return m, nil
}

// cifarRecords returns the records of the binary version that have the labels
// and pixels of a batch of the Python version, with 1 or 2 labels each: a dict
// of data, an array of Nx3072 bytes, and lists of N labels.
func cifarRecords(content []byte, header int) ([]byte, error) {
	value, err := unpickle(content)
	if err != nil {
		return nil, err
	}
	batch, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("not a pickled dict")
	}
	data, ok := batch["data"].(*pickledArray)
	if !ok || data.dtype != "u1" || data.fortran || len(data.shape) != 2 || data.shape[0] < 1 || data.shape[1] != 3072 ||
		len(data.bytes)%3072 != 0 || len(data.bytes)/3072 != data.shape[0] {
		return nil, errors.New("its data are not an array of Nx3072 bytes")
	}
	n := data.shape[0]
	keys := []string{"labels"}
	if header == 2 {
		keys = []string{"coarse_labels", "fine_labels"}
	}
	labels := make([][]any, len(keys))
	for k, key := range keys {
		list, ok := batch[key].(*pickledList)
		if !ok || len(list.items) != n {
			return nil, fmt.Errorf("its %s are not a list of %d", key, n)
		}
		labels[k] = list.items
	}
	records := make([]byte, 0, n*(header+3072))
	for i := range n {
		for k, key := range keys {
			l, ok := labels[k][i].(int64)
			if !ok || l < 0 || l > 255 {
				return nil, fmt.Errorf("number %d of its %s is no label", i, key)
			}
			records = append(records, byte(l))
		}
		records = append(records, data.bytes[i*3072:][:3072]...)
	}
	return records, nil
}
