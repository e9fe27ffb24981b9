package nn

import (
	"fmt"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
)

// EMA moves the parameters under slow towards their namesakes under fast, slow = momentum*slow + (1-momentum)*fast (He et
// al. 2020, MoCo, Eq. 2), in training mode. Build fast first, then call EMA, then build slow: it computes with what was
// moved, and no gradient reaches fast through it.
//
// No variable of slow is trained from here on, if slow is given to [Freeze] once it is built. Running statistics are no parameters: those of slow follow what passes
// through slow. To begin with equal ones, see [Copy].
func EMA(slow, fast *model.Scope, g *Graph, momentum float64) {
	for v := range fast.IterVariables() {
		scope, name := model.SplitPath(twin(slow.Scope(), fast.Scope(), v))
		s := slow.Store().Scope(scope).VariableWithShape(name, v.Shape())
		s.SetTrainable(false) // on every build, since checkpoints do not keep it
		if v.Trainable && fast.IsTraining(g) {
			moved := Add(MulScalar(s.NodeValue(g), momentum), MulScalar(v.NodeValue(g), 1-momentum))
			s.SetNodeValue(StopGradient(moved))
		}
	}
}

// Freeze makes no variable under scope be trained. It belongs after what builds there, on every build: checkpoints do not
// keep it, and [LayerNorm] undoes it. Batch norms go on to follow their statistics, see [StillBatchNorm].
func Freeze(scope *model.Scope) {
	for v := range scope.IterVariables() {
		v.SetTrainable(false)
	}
}

// Copy gives the variables under the scope to, which exist, the values of their namesakes under from: parameters and running
// statistics.
func Copy(store *model.Store, to, from string) error {
	for v := range store.Scope(from).IterVariables() {
		path := twin(to, from, v)
		t := store.GetVariable(path)
		if t == nil {
			return fmt.Errorf("nn: copying %s: there is no %s", v.Path(), path)
		}
		if err := CopyValue(t, v); err != nil {
			return err
		}
	}
	return nil
}

// CopyValue gives to the value of from, and leaves from its own.
func CopyValue(to, from *model.Variable) error {
	value, err := from.Value()
	if err == nil {
		value, err = value.LocalClone()
	}
	if err == nil {
		err = to.SetValue(value)
	}
	if err != nil {
		return fmt.Errorf("nn: copying %s: %w", from.Path(), err)
	}
	return nil
}

// twin is the path of v's namesake under another scope than from.
func twin(to, from string, v *model.Variable) string {
	return model.JoinPath(to, strings.TrimPrefix(v.Path(), from))
}
