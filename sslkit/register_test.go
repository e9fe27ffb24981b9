package sslkit_test

import (
	"slices"
	"testing"

	"github.com/sslkit/lab/sslkit/nn"
)

// Every method trains through the store, at its smallest, and is found again by its own key.
func TestEveryMethod(t *testing.T) {
	if testing.Short() {
		t.Skip("trains each method")
	}
	s, _ := newStore(t)
	keys := make(map[string]string)
	for _, name := range Methods()[:len(Methods())-2] { // without the baselines
		c, err := Preset(name, Smoke, DefaultData(name))
		if err != nil {
			t.Fatal(err)
		}
		c.Epochs, c.Batch, c.Optimizer.Warmup = 1, 16, 0
		if c.Method.Tracking != nil {
			c.Data = Data{Name: "clips", Size: 16, Train: 32, Test: 16}
		} else if c.Method.CLIP != nil {
			c.Data.Train, c.Data.Test = 64, 32 // of the embedded emoji
		} else {
			c.Data = Data{Name: folder(t, true), Size: 24}
		}
		*c.Method.Network() = nn.ResNet(8, 4)
		switch m := c.Method; {
		case m.MAE != nil:
			*m.Network() = nn.ViT(2, 32, 4)
			m.MAE.DecoderDepth, m.MAE.DecoderWidth = 1, 32
		case m.MoCo != nil:
			m.MoCo.Queue = 64
		case m.DenseCL != nil:
			m.DenseCL.Queue, m.DenseCL.Grid = 64, 2
		case m.DeepCluster != nil:
			m.DeepCluster.Clusters = 6
		case m.SwAV != nil:
			m.SwAV.Prototypes, m.SwAV.SmallCrops, m.SwAV.SmallSize = 8, 1, 12
		}
		r, err := s.Pretrain(t.Context(), c)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !r.Done || len(r.History.Loss) != 1 || r.History.Figures["knn"] == nil && c.Method.Tracking == nil {
			t.Errorf("%s: %+v", name, r.History)
		}
		if other, taken := keys[r.Key]; taken {
			t.Errorf("%s has the key of %s", name, other)
		}
		keys[r.Key] = name
		if again, err := s.Pretrain(t.Context(), c); err != nil || !again.Finished.Equal(r.Finished) {
			t.Errorf("%s: asked again it is another run: %v", name, err)
		}
	}
}

func TestMethodNames(t *testing.T) {
	names := Methods()
	if slices.Contains(names, "") || !slices.Equal(names[len(names)-2:], []string{"supervised", "random"}) {
		t.Errorf("got %q: the baselines come last", names)
	}
	for _, name := range names[:len(names)-2] {
		c, err := Preset(name, Class, DefaultData(name))
		if err != nil || c.Method.Name() != name || !c.Method.SelfSupervised() || c.Method.Network().Arch == "" {
			t.Errorf("%s: %+v, %v", name, c.Method, err)
		}
	}
}
