package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/pjrt"
	"github.com/sslkit/lab/sslkit/view"
)

// part is a program that does some of a step.
type part struct {
	name      string
	take      func(b train.Batch) error
	wall, cpu []float64
}

// parts measures where the time of a step of this library goes: programs of its views, of views and loss, of these and gradients,
// and of all of it take turns. What one has more than the one before it is its part; a program of less may be fused otherwise, so that
// parts are estimates.
func (o options) parts(s step, out io.Writer) error {
	if o.tiny {
		s = s.tiny()
	}
	remove, err := s.prepare()
	if err != nil {
		return err
	}
	defer remove()
	method, err := s.method()
	if err != nil {
		return err
	}
	backend, _, err := pjrt.Open()
	if err != nil {
		return err
	}
	loader, err := s.loader()
	if err != nil {
		return err
	}
	store, err := sslkit.NewStore(1)
	if err != nil {
		return err
	}
	image := func(in []*Node) *Node { return DivScalar(ConvertDType(in[0], dtypes.Float32), 255) }
	loss := func(scope *model.Scope, in []*Node) *Node {
		return method.Loss(scope, sslkit.Batch{Image: image(in), Index: in[1]})
	}
	trainer := train.NewTrainer(backend, store, func(scope *model.Scope, in []*Node) *Node {
		l := loss(scope, in)
		train.AddMainLoss(l)
		return l
	}, nil, s.optimizer(), nil, nil)
	program := func(name string, build func(scope *model.Scope, in []*Node) []*Node) (*part, error) {
		exec, err := model.NewExec(backend, store, build)
		return &part{name: name, take: func(b train.Batch) error {
			out, err := exec.Call(b.Inputs[0], b.Inputs[1])
			if err != nil {
				return err
			}
			for _, t := range out { // waits for it
				if _, err := t.LocalClone(); err != nil {
					return err
				}
			}
			return b.Finalize()
		}}, err
	}
	whole := &part{name: "update", take: func(b train.Batch) error {
		metrics, err := trainer.TrainStep(b)
		if err == nil {
			metrics[0].Value()
		}
		return err
	}}
	views, err := program("views", func(scope *model.Scope, in []*Node) []*Node { return s.views(scope, method, image(in)) })
	if err != nil {
		return err
	}
	forward, err := program("forward", func(scope *model.Scope, in []*Node) []*Node { return []*Node{loss(scope, in)} })
	if err != nil {
		return err
	}
	backward, err := program("backward", func(scope *model.Scope, in []*Node) []*Node {
		l := loss(scope, in)
		var of []*Node
		for v := range scope.Store().IterVariables() {
			if v.Trainable && v.InUseByGraph(l.Graph()) {
				of = append(of, v.NodeValue(l.Graph()))
			}
		}
		return append(Gradient(l, of...), l)
	})
	if err != nil {
		return err
	}
	all := []*part{whole, views, forward, backward} // the first makes the variables
	host := &part{name: "host"}
	fmt.Fprintf(out, "%s: %s\n", s.Method, s.about())
	next := func() (b train.Batch, err error) {
		for b, err = range loader.Epoch(0, 0) {
			return b, err
		}
		return b, err
	}
	for round := range o.rounds + 1 { // the first compiles
		for i := range all {
			p := all[(i+round)%len(all)]
			if round == 0 {
				p = all[i]
			}
			for k := range o.each + 1 {
				at, spent := now(), cpu()
				b, err := next()
				if err != nil {
					return err
				}
				loaded, spentLoading := now(), cpu()
				if err := p.take(b); err != nil {
					return fmt.Errorf("%s: %w", p.name, err)
				}
				if round > 0 && k > 0 {
					host.wall, host.cpu = append(host.wall, loaded-at), append(host.cpu, spentLoading-spent)
					p.wall, p.cpu = append(p.wall, now()-loaded), append(p.cpu, cpu()-spentLoading)
				}
			}
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "part\twall ms\tshare\tCPU ms\tcores\t")
	step, before, beforeCPU := median(whole.wall), 0.0, 0.0
	for _, p := range []*part{views, forward, backward, whole} {
		wall, cpu := median(p.wall), median(p.cpu)
		fmt.Fprintf(w, "%s\t%.0f\t%.0f %%\t%.0f\t%.1f\t\n", p.name, 1000*(wall-before), 100*(wall-before)/step, 1000*(cpu-beforeCPU), (cpu-beforeCPU)/(wall-before))
		before, beforeCPU = wall, cpu
	}
	fmt.Fprintf(w, "all\t%.0f\t\t%.0f\t%.1f\t\n", 1000*step, 1000*median(whole.cpu), median(whole.cpu)/step)
	fmt.Fprintf(w, "a batch, loaded beside it\t%.0f\t\t%.0f\t\t\n", 1000*median(host.wall), 1000*median(host.cpu))
	return w.Flush()
}

// views are those that a step draws of its images.
func (s step) views(scope *model.Scope, m sslkit.Method, x *Node) []*Node {
	if s.Method == "mae" {
		return []*Node{view.Flip(scope, view.RandomCrop(s.Pad)(scope, x))}
	}
	times := func(n int) *Node { return Concatenate(slices.Repeat([]*Node{x}, n), 0) }
	recipe := sslkit.View(m)
	out := []*Node{recipe.View(scope, times(2))}
	if s.SmallCrops > 0 {
		small, rest := view.RandomResizedCrop(s.SmallSize, s.SmallScale[0], s.SmallScale[1])(scope, times(s.SmallCrops)), *recipe
		rest.MinScale = 0
		out = append(out, rest.View(scope, small))
	}
	return out
}
