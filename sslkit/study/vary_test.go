package study

import (
	"reflect"
	"strings"
	"testing"
)

func TestWith(t *testing.T) {
	c := full()
	c.Seed = 1<<62 + 1 // no float64 holds it
	for _, test := range []struct {
		path  string
		value any
		read  func(Config) any
		want  any
	}{
		{"rate", 0.5, func(c Config) any { return c.Optimizer.Rate }, 0.5},
		{"method.rotation.angles", []int{90, 270}, func(c Config) any { return c.Method.Rotation.Angles }, []int{90, 270}},
		{"backbone.width", 48, func(c Config) any { return c.Method.Rotation.Backbone.Width }, 48},
		{"test", 7, func(c Config) any { return c.Data.Test }, 7},
		{"seed", 3, func(c Config) any { return c.Seed }, int64(3)},
	} {
		before := c.Key()
		got, err := c.With(test.path, test.value)
		if err != nil {
			t.Errorf("%s: %v", test.path, err)
			continue
		}
		if v := test.read(got); !reflect.DeepEqual(v, test.want) {
			t.Errorf("%s: got %v, want %v", test.path, v, test.want)
		}
		if c.Key() != before {
			t.Errorf("%s: the original changed as well", test.path)
		}
		// Nothing else has changed: put back, it is the same run.
		if back, err := got.With(test.path, test.read(c)); err != nil || back.Key() != before {
			t.Errorf("%s: put back, the key is %s, want %s; %v", test.path, back.Key(), before, err)
		}
	}
	// An omitted field, and one within an omitted struct.
	c.Data.Size = 0
	if got, err := c.With("size", 16); err != nil || got.Data.Size != 16 {
		t.Errorf("size: %+v, %v", got.Data, err)
	}
}

func TestWithMistakes(t *testing.T) {
	for _, test := range []struct {
		path  string
		value any
		want  string
	}{
		{"tempereture", 1, "no field is called"},
		{"rates", 1, `did you mean "optimizer.rate"`},
		{"rate", "fast", "optimizer.rate"},
		{"classes", 3, "no field is called"}, // of another method
		{"method.supervised.flip", true, "no field is called"},
	} {
		if _, err := full().With(test.path, test.value); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.path, err, test.want)
		}
	}
	ambiguous := Config{Method: Method{Random: &Random{}}}
	if _, err := ambiguous.With("", 1); err == nil {
		t.Error("an empty path names a field")
	}
}

func TestVary(t *testing.T) {
	variants, err := full().Vary("optimizer.rate", 0.1, 0.3)
	if err != nil || len(variants) != 2 || variants[0].Name != "rate 0.1" || variants[1].Config.Optimizer.Rate != 0.3 {
		t.Errorf("%+v, %v", variants, err)
	}
	if _, err := full().Vary("rate", 0.1, "x"); err == nil {
		t.Error("a value of the wrong type passes")
	}
}
