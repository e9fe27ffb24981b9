// sslkit pretrain --method moco --preset smoke
//
// fashion-mnist-10k, 2,000 training and 1,000 test examples, 3 epochs of batches of 128; 12 CPU-seconds, compiling included.
// k-NN of the last stage on the test set 59.1 ± 1.3 %, seeds 1, 2 and 3; untrained 51.6 ± 0.2 %. With --preset class (5,000 and
// 2,000 examples, 10 epochs): 72.2 ± 0.8 %.

package recipe

import (
	"errors"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/view"
)

func init() {
	sslkit.Register(sslkit.Registration{
		Name: "moco", Paper: "He et al., 2020; v2, Chen et al., 2020", Chapter: 3,
		New:    func() sslkit.Method { return mocoV2() },
		Preset: MoCo,
		Drawing: `
.        v(view 1) -> f[[encoder]] -> g[head] -> q(query q)
x(image) .            .               .          .           l<InfoNCE: which key|is of this image?>
.        w(view 2) -> h{encoder}   -> k{head} -x> y(key k)
.        .            .               .          m{queue of|older keys}
x -> v; x -> w; q -> l; y -> l; m -> l
f ~> h "EMA"; g ~> k "EMA"; y ..> m "afterwards"`,
	})
}

func mocoV2() *sslkit.MoCo {
	m := sslkit.MoCoV2(nn.ResNet(8, 8))
	m.View = view.SimCLRCIFAR() // without blur, for small images
	return smallMoCo(m)
}

func smallMoCo(m *sslkit.MoCo) *sslkit.MoCo {
	m.Dim, m.Split = 64, 8
	// The queue forgets within some epochs, and the key's encoder follows within a tenth of one: with the paper's 65,536 keys
	// and momentum of 0.999 neither would happen in so few steps.
	m.Queue, m.Momentum = 2048, 0.99
	return m
}

// MoCo returns the preset's configuration of MoCo v2 on a dataset. Version 1 differs in its head, views and temperature: see
// [MoCoV1]. The preset Paper is neither, but what the authors made for CIFAR-10: see [sslkit.MoCoCIFAR].
func MoCo(preset, dataset string) (sslkit.Config, error) {
	if preset == sslkit.Paper { // moco_cifar10_demo: its defaults, with the cosine that it is run with
		c := whole(dataset, sslkit.MoCoCIFAR(nn.ResNet18(64)))
		c.Epochs, c.Batch = 200, 512
		c.Optimizer = sslkit.Optimizer{Kind: "sgd", Rate: 0.06, Momentum: 0.9, WeightDecay: 5e-4}
		return c, nil
	}
	return sslkit.Usual(preset, dataset, mocoV2())
}

// MoCoV1 returns the preset's configuration of MoCo v1 on a dataset, of which there is no preset Paper.
func MoCoV1(preset, dataset string) (sslkit.Config, error) {
	if preset == sslkit.Paper {
		return sslkit.Config{}, errors.New("recipe: moco v1 has no preset paper: its network is a ResNet-50, for ImageNet; choose smoke or class")
	}
	return sslkit.Usual(preset, dataset, smallMoCo(sslkit.MoCoV1(nn.ResNet(8, 8))))
}
