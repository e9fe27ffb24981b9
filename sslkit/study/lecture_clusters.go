package study

import (
	"context"
	"fmt"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
	"github.com/sslkit/lab/sslkit/runs"
)

func deepClusterClaim() (Claim, error) {
	c := Claim{Name: "deepcluster", Item: "4.1",
		Says: "Clusters of a network's own features become classes as it learns them: they agree more with the true ones from epoch to epoch.",
		Note: "On Fashion-MNIST (seeds 4 to 6) clusters of untrained networks agree with the classes so differently, 37.9 ± 7.7, that 41.4 ± 1.5 after ten " +
			"epochs decided nothing.",
	}
	epoch := func(name string, of func(curve []float64) float64) Figure {
		return Figure{Name: name, Scale: 100, of: func(ctx context.Context, s *runs.Store, c sslkit.Config) (float64, error) {
			r, err := s.Find(ctx, c)
			if err != nil || !r.Done {
				r, err = s.Pretrain(ctx, c)
			}
			if err != nil {
				return 0, err
			}
			curve := r.History.Figures["nmi_classes"]
			if len(curve) == 0 {
				return 0, fmt.Errorf("study: run %s has no mutual information of clusters and classes", r.Key)
			}
			return of(curve), nil
		}}
	}
	const first, last = "agreement, epoch 1", "agreement, last epoch"
	c.Figures = []Figure{
		epoch(first, func(curve []float64) float64 { return curve[0] }),
		epoch(last, func(curve []float64) float64 { return curve[len(curve)-1] }),
		knn,
	}
	config, err := recipe.DeepCluster(sslkit.Class, onScenes)
	c.Arms = []Variant{{"deepcluster", config}, {untrained, recipe.RandomInit(config)}}
	c.Figures[0].only, c.Figures[1].only = []string{"deepcluster"}, []string{"deepcluster"}
	c.Expects = append([]Expect{{More: Cell{"deepcluster", last}, Less: Cell{"deepcluster", first}}}, above(knn.Name, "deepcluster", untrained)...)
	return c, err
}

func swavClaim() (Claim, error) {
	c := Claim{Name: "multi-crop", Item: "4.2",
		Says:    "Small crops beside two large ones are worth their time: as many seconds with two large crops alone give less.",
		Figures: []Figure{knn, linear, few(10)},
	}
	config, err := recipe.SwAV(sslkit.Class, onFashion)
	if err != nil {
		return c, err
	}
	two, err := config.With("small_crops", 0)
	// Two crops of 28 pixels have 1,568, four of 14 more 784.
	two.Epochs = config.Epochs * 3 / 2
	c.Arms = []Variant{{"2 large, 4 small", config}, {"2 large, 1.5 times the epochs", two}}
	c.Expects = above(knn.Name, c.Arms[0].Name, c.Arms[1].Name)
	return c, err
}
