package data

import (
	"context"
	"embed"
	"io"
	"sync"
)

//go:generate go run fashion_gen.go

// The embedded 10,000 and 2,000 examples; licence beside them.
//
//go:embed embedded/fashion
var fashionFiles embed.FS

var fashionClasses = []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}

// fashionMNIST is the full set: Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel
// Image Dataset for Benchmarking Machine Learning Algorithms", 2017.
var fashionMNIST = &idxSet{
	name: "fashion-mnist", licence: "MIT", classes: fashionClasses, train: 60000, test: 10000, side: 28,
	files: [4]asset{
		fashionAsset("train-images-idx3-ubyte.gz", 26421880, "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"),
		fashionAsset("train-labels-idx1-ubyte.gz", 29515, "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"),
		fashionAsset("t10k-images-idx3-ubyte.gz", 4422102, "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b"),
		fashionAsset("t10k-labels-idx1-ubyte.gz", 5148, "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34"),
	},
	// Debian's package dataset-fashion-mnist.
	places: func() []string { return []string{"/usr/share/datasets/fashion-mnist"} },
	torch:  "FashionMNIST",
}

// The checksums are of the content: Debian's files were compressed anew.
func fashionAsset(name string, size int64, sum checksum) asset {
	return asset{
		name: name, size: size, sum: "sha256-gunzip:" + sum,
		urls: []string{
			"https://fashion-mnist.s3.eu-central-1.amazonaws.com/" + name,
			"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" + name, // which has no HTTPS
		},
	}
}

// fashion10k is the embedded part of Fashion-MNIST.
type fashion10k struct{}

func (fashion10k) id() string { return "fashion-mnist-10k" }

func (s fashion10k) info(string) Info {
	return Info{
		Name: s.id(), Train: 10000, Test: 2000, Height: 28, Width: 28, Channels: 1,
		Classes: fashionClasses, Licence: "MIT", Present: true, Where: "embedded",
	}
}

func (fashion10k) open(context.Context, OpenOptions) (train, test Source, err error) {
	splits, err := openFashion10k()
	return splits[0], splits[1], err
}

// openFashion10k decompresses once a process.
var openFashion10k = sync.OnceValues(func() (splits [2]Source, err error) {
	part := func(name string) idxPart {
		return idxPart{path: name, open: func() (io.ReadCloser, error) { return fashionFiles.Open("embedded/fashion/" + name) }}
	}
	for i, split := range []struct{ name, prefix string }{{"train", "train"}, {"test", "t10k"}} {
		splits[i], err = readIdxSplit(context.Background(), "fashion-mnist-10k/"+split.name, fashionClasses,
			part(split.prefix+"-images-idx3-ubyte.gz"), part(split.prefix+"-labels-idx1-ubyte.gz"), 10000*28*28)
		if err != nil {
			return splits, err
		}
	}
	return splits, nil
})
