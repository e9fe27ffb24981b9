package study

import (
	"testing"

	"github.com/sslkit/lab/internal/labtest"
)

func TestVary(t *testing.T) {
	variants, err := Vary(labtest.Full(), "optimizer.rate", 0.1, 0.3)
	if err != nil || len(variants) != 2 || variants[0].Name != "rate 0.1" || variants[1].Config.Optimizer.Rate != 0.3 {
		t.Errorf("%+v, %v", variants, err)
	}
	if _, err := Vary(labtest.Full(), "rate", 0.1, "x"); err == nil {
		t.Error("a value of the wrong type passes")
	}
}
