// sslkit pretrain --method densecl --preset smoke
//
// fashion-mnist-10k, 2,000 training and 1,000 test examples, 3 epochs of batches of 128; 20 CPU-seconds, compiling included.
// k-NN of the last stage on the test set 57.0 ± 3.8 %, seeds 1, 2 and 3; untrained 51.6 ± 0.2 %.

package recipe

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "densecl", Paper: "Wang et al., 2021", Chapter: 3,
		New:     func() sslkit.Method { return densecl() },
		Preset:  DenseCL,
		NoPaper: "its network is a ResNet-50, for ImageNet and COCO",
	})
}

func densecl() *sslkit.DenseCL {
	m := sslkit.DenseCLDefault(nn.ResNet(8, 8))
	m.View, m.Dim, m.Queue, m.Momentum = view.SimCLRCIFAR(), 64, 2048, 0.99
	return m
}

// DenseCL returns the preset's configuration of DenseCL on a dataset.
func DenseCL(preset, dataset string) (sslkit.Config, error) {
	return sslkit.Usual(preset, dataset, densecl())
}
