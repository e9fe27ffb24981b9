package main

import (
	"testing"

	"github.com/sslkit/lab/data"
)

func TestData(t *testing.T) {
	out, _ := must(t, "data")
	wantAll(t, "data", out, "name ", "fashion-mnist-10k   10000   2000  28x28x1  embedded", "\nstl10 ", "folder:PATH")
	if same, _ := must(t, "data list"); same != out {
		t.Errorf("data list differs from data:\n%s", same)
	}
	var all []data.Info
	out, _ = must(t, "data list --json")
	decode(t, out, &all)
	if len(all) != len(data.Names()) {
		t.Errorf("data list --json has %d datasets, want %d", len(all), len(data.Names()))
	}

	out, _ = must(t, "data get fashion-mnist-10k")
	if want := "fashion-mnist-10k: 10000 training and 2000 test images of 28x28x1, 10 classes\n"; out != want {
		t.Errorf("data get: %q, want %q", out, want)
	}
	var one data.Info
	out, _ = must(t, "data get fashion-mnist-10k --json")
	decode(t, out, &one)
	if one.Train != 10000 || one.Licence != "MIT" || !one.Present || one.Where != "embedded" {
		t.Errorf("data get --json: %+v", one)
	}
}
