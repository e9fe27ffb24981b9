package study

import (
	"context"
	"slices"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

func temperatureClaim() (Claim, error) {
	c := Claim{Name: "temperature", Item: "3",
		Says: "The lower the temperature, the more evenly the projections are spread and the less alike are images of one class; 1 is too high for the features.",
		Note: "At 0.05, which is below the range of the paper that says so (Wang & Liu 2021), the spread is smaller again; why was not tested.",
		Figures: []Figure{
			geometry("spread", func(g *Geometry) float64 { return -g.Uniformity }),
			geometry("likeness in a class", func(g *Geometry) float64 { return g.Tolerance }),
			knn, few(10),
		},
	}
	config, err := recipe.SimCLR(sslkit.Class, onFashion)
	if err == nil {
		c.Arms, err = Vary(config, "temperature", 0.05, 0.2, 0.5, 1.0)
	}
	c.Expects = slices.Concat(above("spread", "temperature 0.2", "temperature 0.5"), above("spread", "temperature 0.5", "temperature 1"),
		above("likeness in a class", "temperature 1", "temperature 0.2"), above(knn.Name, "temperature 0.2", "temperature 1"))
	return c, err
}

func headClaim() (Claim, error) {
	c := Claim{Name: "head", Item: "3",
		Says:    "SimCLR needs a head that is thrown away: with a hidden layer better than linear, and linear better than none.",
		Figures: []Figure{knn, linear, few(10)},
		Expects: slices.Concat(above(knn.Name, "head mlp", "head linear", "head none")),
	}
	config, err := recipe.SimCLR(sslkit.Class, onFashion)
	if err != nil {
		return c, err
	}
	if c.Arms, err = Vary(config, "head", "mlp", "linear"); err != nil {
		return c, err
	}
	if config, err = config.With("head", "none"); err == nil {
		config, err = config.With("dim", 0)
	}
	c.Arms = append(c.Arms, Variant{"head none", config})
	return c, err
}

func viewsClaim() (Claim, error) {
	c := Claim{Name: "views", Item: "3", Seeds: threeSeeds,
		Says:    "Cropping and colour distortion together make good views; each alone leaves a shortcut.",
		Figures: []Figure{knn, linear, few(20)},
	}
	config, err := wide("simclr")
	if err != nil {
		return c, err
	}
	all := sslkit.View(config.Method)
	for _, v := range [][]string{{"crop", "color", "gray"}, {"crop"}, {"color", "gray"}} {
		changed, err := config.With("view", all.Only(v...))
		if err != nil {
			return c, err
		}
		name := v[0]
		if len(v) == 3 {
			name = "crop and color"
		}
		c.Arms = append(c.Arms, Variant{name, changed})
	}
	c.Expects = above(knn.Name, "crop and color", "crop", "color")
	return c, nil
}

func mocoClaim() (Claim, error) {
	c := Claim{Name: "momentum", Item: "3",
		Says:    "MoCo's keys must come from an encoder that moves slowly: without momentum it fails.",
		Figures: []Figure{knn, linear, few(10)},
		Expects: above(knn.Name, "momentum 0.99", "momentum 0"),
	}
	config, err := recipe.MoCo(sslkit.Class, onFashion)
	if err == nil {
		c.Arms, err = Vary(config, "moco.momentum", 0.99, 0.9, 0.0)
	}
	return c, err
}

func v2Claim() (Claim, error) {
	c := Claim{Name: "moco-v2", Item: "3",
		Says:    "MoCo v2 is better than v1, by the head of SimCLR and its views.",
		Figures: []Figure{knn, linear, few(10)},
		Expects: above(knn.Name, "v2", "v1"),
	}
	v2, err := recipe.MoCo(sslkit.Class, onFashion)
	if err != nil {
		return c, err
	}
	v1, err := recipe.MoCoV1(sslkit.Class, onFashion)
	if err != nil {
		return c, err
	}
	head, err := v1.With("mlp", true)
	if err == nil {
		head, err = head.With("moco.temperature", 0.2)
	}
	if err != nil {
		return c, err
	}
	views, err := v1.With("view", sslkit.View(v2.Method))
	c.Arms = []Variant{{"v1", v1}, {"v1 with v2's head", head}, {"v1 with v2's views", views}, {"v2", v2}}
	return c, err
}

func denseClaim() (Claim, error) {
	c := Claim{Name: "densecl", Item: "3.4", Seeds: threeSeeds,
		Says: "Comparing places instead of images (DenseCL) is better than MoCo where each place counts: segmentation and detection.",
		Figures: []Figure{
			frozen("mIoU", func(f *eval.DenseFit) float64 { return f.Segment.MIoU }),
			frozen("AP50", func(f *eval.DenseFit) float64 { return f.Detect.AP50 }),
			knn,
		},
	}
	for _, method := range []string{"densecl", "moco"} {
		config, err := wide(method)
		if err != nil {
			return c, err
		}
		c.Arms = append(c.Arms, Variant{method, config})
	}
	c.Arms = append(c.Arms, Variant{untrained, recipe.RandomInit(c.Arms[0].Config)})
	c.Expects = append(above("mIoU", "densecl", "moco"), above("AP50", "densecl", "moco")...)
	return c, nil
}

func imageTextClaim() (Claim, error) {
	c := Claim{Name: "clip", Item: "3.3", Seeds: threeSeeds,
		Says: "From images and their captions comes a classifier that needs no labels, only the classes' names, and a search by words.",
		Note: "Classes of emoji are called Objects or Symbols, which says little of a picture: there it is no better than who always names the commonest.",
		Figures: []Figure{
			retrieved("zero-shot", func(r *Retrieval) float64 { return r.ZeroShot }),
			retrieved("commonest class", func(r *Retrieval) float64 { return r.Commonest }),
			retrieved("its image among 5", func(r *Retrieval) float64 { return r.Image5 }),
			retrieved("5 by chance", func(r *Retrieval) float64 { return 5 / float64(r.Images) }),
		},
		Expects: []Expect{
			{More: Cell{"scenes", "zero-shot"}, Less: Cell{"scenes", "commonest class"}},
			{More: Cell{"emoji", "its image among 5"}, Less: Cell{"emoji", "5 by chance"}},
		},
	}
	for _, dataset := range []string{"scenes", "emoji"} {
		config, err := recipe.CLIP(sslkit.Class, dataset)
		if err != nil {
			return c, err
		}
		c.Arms = append(c.Arms, Variant{dataset, config})
	}
	return c, nil
}

// frozen is a figure of dense tasks on frozen encoders.
func frozen(name string, figure func(*eval.DenseFit) float64) Figure {
	return figureOf(name, 100, func(ctx context.Context, s *runs.Store, c sslkit.Config) (*eval.DenseScores, error) {
		o := eval.DenseDefaults()
		o.Seed = c.Seed
		return DenseScores(ctx, s, c, o)
	}, func(scores *eval.DenseScores) float64 { return figure(&scores.Frozen) })
}

func retrieved(name string, figure func(*Retrieval) float64) Figure {
	return figureOf(name, 100, ImageText, figure)
}
