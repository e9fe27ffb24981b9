//go:build !noxla && cgo

package pjrt

import (
	"runtime"
	"strings"
	"testing"
)

func TestOpenDevices(t *testing.T) {
	first, choice, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	one, c, err := OpenDevices(0)
	if err != nil || one != first || c.Devices != 1 || c.Name() != choice.Name() {
		t.Errorf("no number: %+v, %v", c, err)
	}
	if choice.Kind == "go" {
		if _, _, err := OpenDevices(2); err == nil || !strings.Contains(err.Error(), "2 devices: XLA divides work among devices") {
			t.Errorf("pure Go: %v", err)
		}
		return
	}
	if choice.Kind != "xla:cpu" {
		t.Skip("an accelerator has as many as it has")
	}
	two, c, err := OpenDevices(2)
	if err != nil || two.NumDevices() < 2 || c.Devices != 2 || c.Name() != choice.Name() || !strings.Contains(c.Why, "2 devices") {
		t.Errorf("two: %+v, %v", c, err)
	}
	most := max(first.NumDevices(), runtime.NumCPU())
	if _, _, err := OpenDevices(most + 1); err == nil || !strings.Contains(err.Error(), "at most so many") {
		t.Errorf("%d: error %v", most+1, err)
	}
	more := first.NumDevices() + 1
	var c2 clients
	b, err := c2.open(first, more)
	if err != nil || b.NumDevices() != more {
		t.Fatal(err)
	}
	defer b.Finalize()
	if again, err := c2.open(first, more); again != b || err != nil {
		t.Errorf("the second call opens another client, %v", err)
	}
	if sum, err := add(b, 1, 2); sum != 3 || err != nil {
		t.Errorf("it computes 1+2 = %v, %v", sum, err)
	}
}
