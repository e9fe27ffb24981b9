package study

import (
	"context"
	"slices"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
)

// threeSeeds are of experiments whose arms take minutes, or differ by far more than seeds do.
var threeSeeds = []int64{4, 5, 6}

func colorClaim() (Claim, error) {
	c := Claim{Name: "color", Item: "1.1", Seeds: threeSeeds,
		Says: "Colours have to be classified, and rare ones weighed up: regression is grey.",
		Figures: []Figure{
			colors("chroma, share of the true", func(p *Colors) float64 { return p.Chroma / p.Truth }),
			colors("error in a, b", func(p *Colors) float64 { return p.Error }),
			knn,
		},
		Expects: above("chroma, share of the true", "classes, rebalanced", "classes", "regression"),
	}
	config, err := recipe.Colorization(sslkit.Smoke, onScenes) // whose 6 epochs show it
	if err != nil {
		return c, err
	}
	classes, err := config.With("lambda", 1.0)
	if err != nil {
		return c, err
	}
	regression, err := config.With("regression", true)
	c.Arms = []Variant{{"classes, rebalanced", config}, {"classes", classes}, {"regression", regression}}
	return c, err
}

func inpaintingClaim() (Claim, error) {
	c := Claim{Name: "adversary", Item: "1.2", Seeds: threeSeeds,
		Says: "Painting a hole by the squared error alone blurs; an adversary makes it sharper, and the error larger.",
		Figures: []Figure{
			holes("detail, share of the true", func(p *Holes) float64 { return p.Detail / p.Truth }),
			holes("squared error, thousandths", func(p *Holes) float64 { return 1000 * p.Error }),
		},
	}
	config, err := recipe.Inpainting(sslkit.Class, onScenes)
	if err != nil {
		return c, err
	}
	config.Epochs = 12
	all, err := InpaintingLosses(config)
	if err != nil {
		return c, err
	}
	c.Arms = slices.DeleteFunc(all, func(v Variant) bool { return v.Name == "adversarial" }) // which no one uses alone
	for _, f := range c.Figures {
		c.Expects = append(c.Expects, above(f.Name, "joint", "L2")...)
	}
	return c, nil
}

func pixelsClaim() (Claim, error) {
	c := Claim{Name: "pixels", Item: "1",
		Says:    "Predicting pixels teaches features, but it spends them on detail: what tells images apart knows more of their classes.",
		Figures: []Figure{knn, linear, few(20)},
		Seeds:   threeSeeds,
	}
	color, err := recipe.Colorization(sslkit.Class, onScenes)
	if err != nil {
		return c, err
	}
	holes, err := recipe.InpaintingFeatures(sslkit.Class, onScenes)
	if err != nil {
		return c, err
	}
	contrast, err := wide("simclr")
	c.Arms = []Variant{{"colorization", color}, {"inpainting", holes}, {"simclr", contrast}, {untrained, recipe.RandomInit(holes)},
		{"untrained, on lightness", recipe.RandomInit(color)}}
	c.Expects = append(above(knn.Name, "simclr", "colorization", "inpainting"),
		append(above(knn.Name, "inpainting", untrained), above(knn.Name, "colorization", "untrained, on lightness")...)...)
	return c, err
}

// wide is a method's recipe on scenes with the network, and for as many epochs, that most methods have there.
func wide(method string) (sslkit.Config, error) {
	config, err := recipe.Preset(context.Background(), method, sslkit.Class, onScenes)
	if err != nil {
		return config, err
	}
	config.Epochs = 24
	return config.With("backbone", nn.ResNet(8, 16))
}

func colors(name string, figure func(*Colors) float64) Figure {
	return figureOf(name, 1, PaintColors, figure)
}

func holes(name string, figure func(*Holes) float64) Figure {
	return figureOf(name, 1, PaintHoles, figure)
}
