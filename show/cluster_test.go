package show

import (
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
)

func TestClusters(t *testing.T) {
	s, _ := small(t)
	ctx := t.Context()
	deep, swav := contrastive(t, "deepcluster", "fashion-mnist-10k").WithEpochs(2), contrastive(t, "swav", "fashion-mnist-10k")
	deep.Method.(*sslkit.DeepCluster).Clusters = 4
	prototypes := swav.Method.(*sslkit.SwAV)
	prototypes.Prototypes, prototypes.SmallCrops = 5, 0
	record, err := s.Pretrain(ctx, deep)
	if err != nil {
		t.Fatal(err)
	}
	if nmi := record.History.Figures["nmi_classes"]; len(nmi) != 2 || nmi[1] <= 0 || nmi[1] > 1 {
		t.Errorf("NMI of clusters and classes %v, want two in (0, 1]", nmi)
	}
	f, err := Stability(record)
	says(t, f, err, "with the clusters before", "with the classes")
	for name, c := range map[string]sslkit.Config{"4 groups": deep, "5 groups": swav} {
		f, err = Sizes(ctx, s, c)
		says(t, f, err, "images", "of the commonest class", name)
		f, err = Groups(ctx, s, c, 2)
		says(t, f, err, "training images of 2 of the groups", "%")
	}
	f, err = Codes(ctx, s, swav)
	says(t, f, err, "prototype, of the most used", "Bag")
	if record, err = s.Pretrain(ctx, swav); err != nil {
		t.Fatal(err)
	}
	f, err = Entropy(record)
	says(t, f, err, "ln K", "entropy of the use", "entropy of a code", "K = 5")
	if _, err := Stability(record); err == nil || !strings.Contains(err.Error(), "no two epochs of clusters") {
		t.Errorf("swav's clusters: %v", err)
	}
	if _, err := Sizes(ctx, s, contrastive(t, "simclr", "fashion-mnist-10k")); err == nil || !strings.Contains(err.Error(), "no groups") {
		t.Errorf("groups of simclr: %v", err)
	}
}
