package study

import (
	"reflect"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
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

func TestGrid(t *testing.T) {
	variants, axes, err := Grid(labtest.Full(), Field{"optimizer.rate", []any{0.1, 0.3}}, Field{"pad", []any{1, 2, 4}})
	if err != nil || len(variants) != 6 || len(axes) != 2 {
		t.Fatalf("%+v, %+v, %v", variants, axes, err)
	}
	if v := variants[4]; v.Name != "rate 0.3, pad 2" || v.Config.Optimizer.Rate != 0.3 || v.Config.Method.(*sslkit.Rotation).Pad != 2 {
		t.Errorf("the fifth is %s: %+v", v.Name, v.Config)
	}
	if want := (Axis{"pad", []string{"1", "2", "4"}}); !reflect.DeepEqual(axes[1], want) {
		t.Errorf("the second axis is %+v, want %+v", axes[1], want)
	}
	one, _, err := Grid(labtest.Full(), Field{"rate", []any{0.1}})
	if err != nil || len(one) != 1 || one[0].Name != "rate 0.1" {
		t.Errorf("of one field: %+v, %v", one, err)
	}
	if _, _, err := Grid(labtest.Full(), Field{"rate", []any{0.1}}, Field{"optimizer.rate", []any{0.2}}); err == nil {
		t.Error("a field that is varied twice passes")
	}
}
