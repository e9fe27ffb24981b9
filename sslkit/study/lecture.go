package study

import (
	"context"
	"fmt"
	"slices"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/eval"
	"github.com/sslkit/lab/sslkit/nn"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

const (
	onFashion = "fashion-mnist-10k"
	onScenes  = "scenes"
)

// Lecture returns the claims of the lecture that are tested here, in its order.
func Lecture() ([]Claim, error) {
	var claims []Claim
	for _, make := range []func() (Claim, error){puzzlesClaim, taskGapClaim, fewLabelsClaim, temperatureClaim, headClaim, viewsClaim, mocoClaim, v2Claim} {
		c, err := make()
		if err != nil {
			return nil, fmt.Errorf("study: the lecture's claims: %w", err)
		}
		claims = append(claims, c)
	}
	return claims, nil
}

// LectureClaim is one of [Lecture], by its name.
func LectureClaim(name string) (Claim, error) {
	all, err := Lecture()
	if err != nil {
		return Claim{}, err
	}
	var names []string
	for _, c := range all {
		if c.Name == name {
			return c, nil
		}
		names = append(names, c.Name)
	}
	return Claim{}, fmt.Errorf("study: no claim is called %q: choose one of %q", name, names)
}

// above expects one figure to be higher in one arm than in others.
func above(figure, arm string, others ...string) (all []Expect) {
	for _, other := range others {
		all = append(all, Expect{More: Cell{arm, figure}, Less: Cell{other, figure}})
	}
	return all
}

func puzzlesClaim() (Claim, error) {
	c := Claim{Name: "puzzles", Item: "2",
		Says: "Predicting a transformation teaches features: context prediction, jigsaw puzzles and rotation each beat the untrained network.",
	}
	for _, name := range []string{"context", "jigsaw", "rotation"} {
		config, err := recipe.Preset(context.Background(), name, sslkit.Class, onScenes)
		if err == nil {
			config, err = config.With("backbone", nn.ResNet(8, 16))
		}
		if err != nil {
			return c, err
		}
		config.Epochs = 24 // of rotation, too
		c.Arms = append(c.Arms, Variant{name, config})
		c.Expects = append(c.Expects, above(knn.Name, name, untrained)...)
	}
	c.Arms = append(c.Arms, Variant{untrained, recipe.RandomInit(c.Arms[0].Config)})
	c.Figures = []Figure{knn, linear, few(20)}
	return c, nil
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
				accuracy[turn] = last(scores).Linear
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

func fewLabelsClaim() (Claim, error) {
	c := Claim{Name: "few-labels", Item: "1",
		Says: "What it is all for: with few labels, a network that learnt without labels beats the same network trained from scratch on these.",
	}
	config, err := recipe.SimCLR(sslkit.Class, onFashion)
	const learnt = "simclr"
	c.Arms = []Variant{{learnt, config}, {untrained, recipe.RandomInit(config)}}
	for _, n := range fewEach {
		scratch := Figure{Name: fmt.Sprintf("from scratch, %d each", n), Scale: 100, only: []string{untrained},
			of: func(ctx context.Context, s *runs.Store, c sslkit.Config) (float64, error) {
				// Ten times the steps that a pretrained network is fine-tuned for.
				p := eval.DefaultFineTune()
				p.Epochs, p.Steps = 20, 600
				fit, err := FineTune(ctx, s, c, p, eval.Labels{PerClass: n})
				if err != nil {
					return 0, err
				}
				return fit.Tested.Test, nil
			}}
		c.Figures = append(c.Figures, few(n), scratch)
		if n <= 10 {
			c.Expects = append(c.Expects, Expect{More: Cell{learnt, few(n).Name}, Less: Cell{untrained, scratch.Name}})
		}
	}
	return c, err
}

func temperatureClaim() (Claim, error) {
	c := Claim{Name: "temperature", Item: "3",
		Says: "The lower the temperature, the more evenly the features are spread and the less alike are images of one class; features are best in between.",
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
	c.Expects = slices.Concat(above("spread", "temperature 0.05", "temperature 1"), above("likeness in a class", "temperature 1", "temperature 0.05"),
		above(knn.Name, "temperature 0.2", "temperature 0.05", "temperature 1"))
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
	c := Claim{Name: "views", Item: "3",
		Says:    "Cropping and colour distortion together make good views; each alone leaves a shortcut.",
		Figures: []Figure{knn, linear, few(20)},
	}
	config, err := recipe.Preset(context.Background(), "simclr", sslkit.Class, onScenes)
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

// untrained is the arm of a network as it is drawn.
const untrained = "untrained"

// fewEach are the labels of each class that probes see, see few.
var fewEach = []int{1, 5, 10, 20}

// measured is how encoders are scored for claims: one measurement has all figures.
func measured() eval.Options {
	o := eval.Defaults()
	o.Few = &eval.FewShot{Draws: 5}
	for _, n := range fewEach {
		o.Few.Labels = append(o.Few.Labels, eval.Labels{PerClass: n})
	}
	return o
}

func last(s *runs.Scores) eval.Stage { return s.Stages[len(s.Stages)-1] }

func scored(name string, figure func(*runs.Scores) float64) Figure {
	return Figure{Name: name, Scale: 100, of: func(ctx context.Context, s *runs.Store, c sslkit.Config) (float64, error) {
		scores, err := s.Evaluate(ctx, c, measured())
		if err != nil {
			return 0, err
		}
		return figure(scores), nil
	}}
}

var (
	knn    = scored("k-NN", func(s *runs.Scores) float64 { return last(s).KNN })
	linear = scored("linear", func(s *runs.Scores) float64 { return last(s).Linear })
)

// few is the linear probe with n labels of each class, n of fewEach.
func few(n int) Figure {
	return scored(fmt.Sprintf("%s, %d each", linear.Name, n), func(s *runs.Scores) float64 { return s.Few[slices.Index(fewEach, n)].Test.Mean })
}

func geometry(name string, figure func(*Geometry) float64) Figure {
	return Figure{Name: name, Scale: 1, of: func(ctx context.Context, s *runs.Store, c sslkit.Config) (float64, error) {
		g, err := OnSphere(ctx, s, c)
		if err != nil {
			return 0, err
		}
		return figure(g), nil
	}}
}
