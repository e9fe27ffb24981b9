package sslkit

import (
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/sslkit/lab/sslkit/nn"
)

// Products in bfloat16 change a run a little, and leave all that is kept in float32.
func TestPrecision(t *testing.T) {
	mae := SmallMAE(nn.ViT(1, 32, 2))
	mae.DecoderDepth, mae.DecoderWidth = 1, 32
	for name, m := range map[string]Method{"simclr": paperSimCLR("mlp"), "mae": mae} {
		var losses [2][]float64
		for i, precision := range []string{"float32", BF16} {
			r := dividedRun(m, goBackend(t), 1)
			r.Precision = precision
			r.Progress = func(p Progress) { losses[i] = append(losses[i], p.Loss) }
			if _, err := r.Pretrain(t.Context()); err != nil {
				t.Fatal(err)
			}
			for v := range r.Store.IterVariables() {
				if v.DType() == dtypes.BFloat16 {
					t.Errorf("%s: %s is kept in bfloat16", name, v.Path())
				}
			}
		}
		// Cosines of vectors of 8 rounded numbers, divided by a temperature of 0.1: 2 % of the loss, in the worst case.
		if d := math.Abs(losses[1][0] - losses[0][0]); !(d > 1e-6 && d < 0.02*losses[0][0]) {
			t.Errorf("%s: losses %v, in float32 %v", name, losses[1], losses[0])
		}
	}
	r := dividedRun(mae, goBackend(t), 1)
	r.Precision = "fp8"
	if _, err := r.Pretrain(t.Context()); err == nil || !strings.Contains(err.Error(), `precision "fp8"`) {
		t.Errorf("error %v", err)
	}
}
