package sslkit

import (
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/sslkit/lab/sslkit/nn"
)

// What tells the images of a batch apart refuses a batch in which there is nothing to tell: before the step is built, for who
// asks, and when it is.
func TestCrowdedMethods(t *testing.T) {
	moco := MoCoV1(nn.ResNet(8, 2))
	moco.Queue = 64
	dense := DenseCLDefault(nn.ResNet(8, 2))
	dense.Queue, dense.Split = 64, 1
	swav := tinySwAV()
	for name, c := range map[string]struct {
		m     Method
		least int
	}{
		"simclr": {SimCLRCIFAR(nn.ResNet(8, 2)), 2}, "moco": {moco, 8}, "densecl": {dense, 2}, "swav": {swav, 2},
		"clip": {SmallCLIP(nn.ResNet(8, 2)), 2},
	} {
		crowded, ok := c.m.(Crowded)
		if !ok || crowded.MinBatch() != c.least {
			t.Errorf("%s takes at least %v images, want %d", name, crowded, c.least)
			continue
		}
		build := func(n int) error {
			store, err := NewStore(1)
			if err != nil {
				t.Fatal(err)
			}
			g := NewGraph(goBackend(t), name)
			defer g.Finalize()
			return exceptions.TryCatch[error](func() {
				c.m.Loss(store.RootScope(), Batch{
					Image: Parameter(g, "x", shapes.Make(dtypes.Float32, n, 16, 16, 3)),
					Text:  Parameter(g, "text", shapes.Make(dtypes.Int32, n, 16)),
				})
			})
		}
		if err := build(c.least); err != nil {
			t.Errorf("%s, %d images: %v", name, c.least, err)
		}
		if err := build(c.least - 1); err == nil || !strings.Contains(err.Error(), "choose a larger batch") {
			t.Errorf("%s, %d images: error %v, want the batch named", name, c.least-1, err)
		}
	}
	if m := tinyDeepCluster(); Counted(m).MinImages() != m.Clusters {
		t.Errorf("deepcluster takes %d images for %d clusters", m.MinImages(), m.Clusters)
	}
	for _, m := range []Colored{Colorful(nn.ResNet(8, 2)), PaperVideoColorization(nn.ResNet(8, 2))} {
		if !m.NeedsColor() {
			t.Errorf("%T learns from grey", m)
		}
	}
}
