package study

import (
	"context"
	"fmt"
	"slices"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

func puzzlesClaim() (Claim, error) {
	c := Claim{Name: "puzzles", Item: "2", Seeds: threeSeeds,
		Says: "Predicting a transformation teaches features: context prediction, jigsaw puzzles and rotation each beat the untrained network.",
	}
	for _, name := range []string{"context", "jigsaw", "rotation"} {
		config, err := wide(name)
		if err != nil {
			return c, err
		}
		c.Arms = append(c.Arms, Variant{name, config})
		c.Expects = append(c.Expects, above(knn.Name, name, untrained)...)
	}
	c.Arms = append(c.Arms, Variant{untrained, recipe.RandomInit(c.Arms[0].Config)})
	c.Figures = []Figure{knn, linear, few(20)}
	return c, nil
}

func rotationsClaim() (Claim, error) {
	c := Claim{Name: "rotations", Item: "2.3", Seeds: freshSeeds,
		Says:    "Which angles are told apart matters: four rotations are better than only {0, 180}, or only {90, 270}.",
		Note:    "The rule was chosen after a look at the seeds 4 to 8, see task-gap.",
		Figures: []Figure{linear, knn},
	}
	config, err := recipe.Rotation(sslkit.Class, onFashion)
	if err != nil {
		return c, err
	}
	all, err := angleSets(config)
	c.Arms = slices.DeleteFunc(all, func(v Variant) bool { return v.Name == AngleSets[1].Name }) // 8 rotations: twice the time, not asked for
	c.Expects = above(linear.Name, AngleSets[0].Name, AngleSets[2].Name, AngleSets[3].Name)
	return c, err
}

func taskGapClaim() (Claim, error) {
	c := Claim{Name: "task-gap", Item: "2.3.1",
		Says: "The exercise must look like the exam: a network that tells {90, 270} apart never saw an upright image, and is the poorer on upright ones for it; judged on turned images it is not.",
	}
	config, err := recipe.Rotation(sslkit.Class, onFashion)
	if err == nil {
		c.Arms, err = angleSets(config)
	}
	gain := func(perClass int) Figure {
		name := "gain by the turn"
		if perClass > 0 {
			name = fmt.Sprintf("%s, %d labels each", name, perClass)
		}
		return Figure{Name: name, Scale: 100, of: func(ctx context.Context, s *runs.Store, c sslkit.Config) (float64, error) {
			var accuracy [2]float64
			for turn := range accuracy {
				o := GapOptions() // as TaskGapTurned
				o.NonLinear, o.Few = nil, nil
				o.Linear.PerClass, o.Turn = perClass, turn
				scores, err := s.Evaluate(ctx, c, o)
				if err != nil {
					return 0, err
				}
				accuracy[turn] = scores.Last().Linear
			}
			return accuracy[1] - accuracy[0], nil
		}}
	}
	c.Figures = []Figure{linear, gain(0), gain(FewTurned)}
	for _, f := range c.Figures[1:] {
		c.Expects = append(c.Expects, above(f.Name, AngleSets[3].Name, AngleSets[2].Name)...)
	}
	return c, err
}
