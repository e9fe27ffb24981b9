package study

import (
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
)

// masked is MAE on Fashion-MNIST, for as many epochs as show what hiding does.
func masked() (sslkit.Config, error) {
	config, err := recipe.MAE(sslkit.Class, onFashion)
	config.Epochs = 40
	return config, err
}

func maskClaim() (Claim, error) {
	c := Claim{Name: "mask-ratio", Item: "5",
		Says:    "Most of an image has to be hidden, else the task is too easy: 75 % is better than 25 %.",
		Figures: []Figure{linear, knn, few(10)},
		Seeds:   threeSeeds,
	}
	config, err := masked()
	if err == nil {
		c.Arms, err = Vary(config, "mask", 0.75, 0.25, 0.0)
	}
	c.Expects = above(linear.Name, "mask 0.75", "mask 0.25", "mask 0")
	return c, err
}

func maskTokensClaim() (Claim, error) {
	c := Claim{Name: "mask-tokens", Item: "5",
		Says:    "The encoder must not see mask tokens: of a whole image it has never seen the like then, and it takes longer.",
		Figures: []Figure{linear, knn, few(10)},
		Seeds:   threeSeeds,
	}
	config, err := masked()
	if err != nil {
		return c, err
	}
	tokens, err := config.With("mask_tokens", true)
	c.Arms = []Variant{{"without", config}, {"with mask tokens", tokens}}
	c.Expects = above(linear.Name, "without", "with mask tokens")
	return c, err
}
