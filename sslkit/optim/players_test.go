package optim

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
)

// In the game of the tests y minimises x*y + y^2/2 and x then (x-y)^2/2 + x*w: both losses have both variables. w is another
// variable of x's player.
func game(own ...optimizer.Interface) Players {
	value := func(scope *model.Scope, g *Graph, path string) *Node {
		at, name := model.SplitPath(path)
		return ReduceAllSum(scope.Store().Scope(at).VariableWithValue(name, []float64{2}).NodeValue(g))
	}
	return Players{
		{Scopes: []string{"critic"}, Optimizer: own[0], Loss: func(scope *model.Scope, g *Graph) *Node {
			x, y := value(scope, g, "/encoder/x"), value(scope, g, "/critic/y")
			return Add(Mul(x, y), MulScalar(Square(y), 0.5))
		}},
		{Scopes: []string{"encoder", "decoder"}, Optimizer: own[1], Loss: func(scope *model.Scope, g *Graph) *Node {
			x, y, w := value(scope, g, "/encoder/x"), value(scope, g, "/critic/y"), value(scope, g, "/decoder/w")
			return Add(MulScalar(Square(Sub(x, y)), 0.5), Mul(x, w))
		}},
	}
}

func playGame(t *testing.T, store *model.Store, o optimizer.Interface, steps int) (x, y, w float64) {
	t.Helper()
	exec := model.MustNewExec(open(t), store, func(scope *model.Scope, pull *Node) *Node {
		g := pull.Graph()
		for path, start := range map[string]float64{"/encoder/x": 3, "/critic/y": -1, "/decoder/w": 0.5} {
			at, name := model.SplitPath(path)
			scope.Store().Scope(at).VariableWithValue(name, []float64{start}).NodeValue(g)
		}
		o.UpdateGraph(scope, g, ScalarZero(g, dtypes.Float64))
		return pull
	})
	defer exec.Finalize()
	for range steps {
		if _, err := exec.Call(float32(1)); err != nil {
			t.Fatal(err)
		}
	}
	return flat(t, store, "/encoder/x")[0], flat(t, store, "/critic/y")[0], flat(t, store, "/decoder/w")[0]
}

// Each sees where those before it have moved, as the generator does the discriminator's step in Goodfellow et al. 2014,
// Algorithm 1, and takes the others' moves for constants.
func TestPlayersTakeTurns(t *testing.T) {
	const steps, rateY, rateX = 5, 0.1, 0.3
	x, y, w := 3., -1., 0.5
	for range steps {
		y -= rateY * (x + y)
		// Through y, which has moved along x, the derivative by x would be (x-y)*(1+rateY)+w instead. At the same time it
		// would be of the y before.
		x, w = x-rateX*(x-y+w), w-rateX*x
	}
	store := model.NewStore()
	gotX, gotY, gotW := playGame(t, store, game(SGD{Rate: Constant(rateY)}, SGD{Rate: Constant(rateX)}), steps)
	near(t, "x, y, w", []float64{gotX, gotY, gotW}, []float64{x, y, w}, 1e-6) // rates are float32
	if got := optimizer.GetGlobalStep(store); got != steps {
		t.Errorf("global step %d after %d steps of two players", got, steps)
	}
	for v := range store.IterVariables() {
		if trained := strings.HasPrefix(v.Path(), "/encoder") || strings.HasPrefix(v.Path(), "/critic") || strings.HasPrefix(v.Path(), "/decoder"); trained && !v.Trainable {
			t.Errorf("%s is left frozen", v.Path())
		}
	}
}

// Both may be AdamW, with their own rates: moments are apart and the corrections of the bias those of one count.
func TestPlayersWithAdam(t *testing.T) {
	const steps, beta1, beta2 = 5, 0.5, 0.999
	x, y, w := 3., -1., 0.5
	var mx, my, mw, sx, sy, sw float64
	adam := func(v, m, s *float64, grad, rate, t float64) {
		*m, *s = beta1**m+(1-beta1)*grad, beta2**s+(1-beta2)*grad*grad
		*v -= rate * *m / (1 - math.Pow(beta1, t)) / (math.Sqrt(*s/(1-math.Pow(beta2, t))) + 1e-8)
	}
	for i := range steps {
		step, rate := float64(i+1), []float64{0.2, 0.2, 0.1, 0.1, 0.1}[i]
		adam(&y, &my, &sy, x+y, rate/10, step)
		gx, gw := x-y+w, x
		adam(&x, &mx, &sx, gx, rate, step)
		adam(&w, &mw, &sw, gw, rate, step)
	}
	base := AdamW{Rate: Steps(0.2, 0.5, 2), Beta1: beta1}
	store := model.NewStore()
	gotX, gotY, gotW := playGame(t, store, game(Scaled(base, 0.1), base), steps)
	near(t, "x, y, w", []float64{gotX, gotY, gotW}, []float64{x, y, w}, 1e-5) // rates and counts are float32
	if got := store.GetVariable("/adamw/updates").MustValue().Value().(float32); got != steps {
		t.Errorf("%g updates were counted in %d steps", got, steps)
	}
	if err := game(base, base).Clear(store.RootScope()); err != nil || store.GetVariable("/adamw/first/encoder/x") != nil {
		t.Errorf("clearing left the moments: %v", err)
	}
}

// A player without a loss of its own minimises that of the step.
func TestPlayerOfTheStep(t *testing.T) {
	p := Players{{Scopes: []string{"layer"}, Optimizer: SGD{Rate: Constant(0.1)}}}
	w, b := run(t, model.NewStore(), p, dtypes.Float64, 3)
	wantW, wantB := run(t, model.NewStore(), SGD{Rate: Constant(0.1)}, dtypes.Float64, 3)
	near(t, "weights", w, wantW, 0)
	near(t, "biases", b, wantB, 0)
}

func TestScaled(t *testing.T) {
	for _, c := range []struct{ base, want optimizer.Interface }{
		{SGD{Rate: Constant(0.5), Momentum: 0.9, WeightDecay: 0.1}, SGD{Rate: Constant(0.125), Momentum: 0.9, WeightDecay: 0.1}},
		{LARS{Rate: Constant(0.5), Momentum: 0.9}, LARS{Rate: Constant(0.125), Momentum: 0.9}},
		{AdamW{Rate: Constant(0.5), WeightDecay: 0.1}, AdamW{Rate: Constant(0.125), WeightDecay: 0.1}},
	} {
		w, b := run(t, model.NewStore(), Scaled(c.base, 0.25), dtypes.Float64, 3)
		wantW, wantB := run(t, model.NewStore(), c.want, dtypes.Float64, 3)
		near(t, "weights", w, wantW, 0)
		near(t, "biases", b, wantB, 0)
	}
}

func TestPlayersReject(t *testing.T) {
	sgd := SGD{Rate: Constant(0.1)}
	for want, p := range map[string]Players{
		"there are none":       {},
		"needs both":           {{Scopes: []string{"layer"}}},
		"player 1 has 0 sc":    {{Optimizer: sgd}},
		"player 2: optim.SGD:": {{Scopes: []string{"layer"}, Optimizer: sgd}, {Scopes: []string{"critic"}, Optimizer: Scaled(SGD{}, 2)}},
		"to no player":         {{Scopes: []string{"lay"}, Optimizer: sgd}},
		"players 1 and 2":      {{Scopes: []string{"layer"}, Optimizer: sgd}, {Scopes: []string{"layer"}, Optimizer: sgd}},
	} {
		rejects(t, want, func(scope *model.Scope, x *Node) *Node {
			l := problem(dtypes.Float32)(scope, x)
			p.UpdateGraph(scope, x.Graph(), l)
			return l
		})
	}
	rejects(t, "is unknown", func(_ *model.Scope, x *Node) *Node {
		Scaled(optimizer.StochasticGradientDescent(), 2)
		return x
	})
}
