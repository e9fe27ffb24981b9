package optim

import (
	"errors"
	"fmt"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Player is one side of a game: it moves variables of its own against a loss of its own.
type Player struct {
	Scopes    []string            // its variables are those under them, such as "critic", seen from the scope that is optimised
	Optimizer optimizer.Interface // see Players
	// Loss builds what it minimises, a scalar, when its turn comes. It may depend on others' variables. Without one it is
	// the loss of the step.
	Loss func(scope *model.Scope, g *Graph) *Node
}

// Players take turns within one step, in their order: each sees where those before it have moved, and holds the others'
// variables, moved or not, for constants (Goodfellow et al. 2014, "Generative Adversarial Nets", Algorithm 1 with k = 1).
//
// A variable that is trained belongs to one player. The optimizers of this package keep their state apart for each variable
// and count a step once, so that all may be of one kind. Players raises the global step by one, and takes no gradients that
// were accumulated.
type Players []Player

// Validate says what is wrong with a player, if anything.
func (p Players) Validate() error {
	if len(p) == 0 {
		return errors.New("optim.Players: there are none; name at least one")
	}
	for i, player := range p {
		if len(player.Scopes) == 0 || player.Optimizer == nil {
			return fmt.Errorf("optim.Players: player %d has %d scopes and optimizer %v: it needs both", i+1, len(player.Scopes), player.Optimizer)
		}
		if o, ok := player.Optimizer.(interface{ Validate() error }); ok {
			if err := o.Validate(); err != nil {
				return fmt.Errorf("optim.Players: player %d: %w", i+1, err)
			}
		}
	}
	return nil
}

// UpdateGraph lets each player move. It implements optimizer.Interface.
func (p Players) UpdateGraph(scope *model.Scope, g *Graph, loss *Node) {
	if err := p.Validate(); err != nil {
		panic(err)
	}
	steps := optimizer.GetGlobalStepVar(scope)
	taken := steps.NodeValue(g)
	for i, player := range p {
		own := loss
		if player.Loss != nil {
			own = player.Loss(scope, g)
		}
		steps.SetNodeValue(taken)
		p.move(scope, g, i, own)
	}
}

// move updates the variables of player i.
func (p Players) move(scope *model.Scope, g *Graph, i int, loss *Node) {
	var own []*model.Variable
	for v := range scope.IterVariables() {
		if !v.Trainable || !v.InUseByGraph(g) {
			continue
		}
		if p.owner(scope, v) == i {
			own = append(own, v)
			continue
		}
		v.SetTrainable(false) // as optimizers find by that what they may move
		defer v.SetTrainable(true)
	}
	p[i].Optimizer.UpdateGraph(scope, g, loss)
	for _, v := range own {
		v.SetNodeValue(StopGradient(v.NodeValue(g))) // it follows from others' variables, but they must not bend it
	}
}

// owner is the player whose variable v is.
func (p Players) owner(scope *model.Scope, v *model.Variable) int {
	found := -1
	for i, player := range p {
		for _, name := range player.Scopes {
			if !strings.HasPrefix(v.Path(), scope.At("%s", name).Scope()+"/") {
				continue
			}
			if found >= 0 {
				exceptions.Panicf("optim.Players: %s belongs to players %d and %d: it must have one", v.Path(), found+1, i+1)
			}
			found = i
		}
	}
	if found < 0 {
		exceptions.Panicf("optim.Players: %s belongs to no player: name its scope, or set its Trainable to false", v.Path())
	}
	return found
}

// Clear deletes the state of all players' optimizers. It implements optimizer.Interface.
func (p Players) Clear(scope *model.Scope) error {
	var errs []error
	for _, player := range p {
		errs = append(errs, player.Optimizer.Clear(scope))
	}
	return errors.Join(errs...)
}

// Scaled is o, which is an [SGD], [LARS] or [AdamW], with factor times its learning rate. It panics with an error on other ones.
func Scaled(o optimizer.Interface, factor float64) optimizer.Interface {
	times := func(rate Schedule) Schedule {
		if rate == nil { // which Validate reports
			return nil
		}
		return func(step *Node) *Node { return MulScalar(rate(step), factor) }
	}
	switch o := o.(type) {
	case SGD:
		o.Rate = times(o.Rate)
		return o
	case LARS:
		o.Rate = times(o.Rate)
		return o
	case AdamW:
		o.Rate = times(o.Rate)
		return o
	}
	exceptions.Panicf("optim.Scaled: the rate of %T is unknown; use SGD, LARS or AdamW", o)
	return nil
}
