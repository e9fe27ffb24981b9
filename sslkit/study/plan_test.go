package study

import (
	"bytes"
	"context"
	"reflect"
	"strings"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit/eval"
)

// A plan comes back as it was written, of both kinds of study, without what is measured twice.
func TestPlan(t *testing.T) {
	s, _ := newStore(t)
	variants, _, err := Grid(labtest.Tiny(t), Field{"rate", []any{0.05, 0.1}})
	if err != nil {
		t.Fatal(err)
	}
	ablation, err := PlanAblation(context.Background(), s, variants, labtest.Quick(), 1, 2)
	if err != nil || len(ablation) != 2*(2+3) {
		t.Fatalf("%d tasks, %v, want two variants and three baselines of two seeds", len(ablation), err)
	}
	transfer, err := PlanTransfer(context.Background(), s, append(variants, Variant{"again", variants[0].Config}), DefaultTransfer(), 1)
	if err != nil || len(transfer) != 2+3 {
		t.Fatalf("%d tasks, %v, want one of two variants that are the same", len(transfer), err)
	}
	for _, tasks := range [][]Task{ablation, transfer} {
		var text bytes.Buffer
		if err := WritePlan(&text, tasks); err != nil {
			t.Fatal(err)
		}
		got, err := ReadPlan(&text)
		if err != nil || !reflect.DeepEqual(got, tasks) {
			t.Errorf("%+v, %v, want %+v", got, err, tasks)
		}
	}
	if _, err := PlanAblation(context.Background(), s, variants, eval.Defaults(), 1, 1); err == nil {
		t.Error("a seed that is given twice passes")
	}
}

// FuzzReadPlan: whatever a file holds, it is a plan that can be written again, or refused.
func FuzzReadPlan(f *testing.F) {
	f.Add(`{"key":"0123456789abcdef","name":"a","config":{"method":{"rotation":{"backbone":{"arch":"nin","depth":3,"width":6},"angles":[0,90],"pad":0,"flip":false}},"data":{"name":"photos"},` +
		`"epochs":1,"batch":2,"optimizer":{"kind":"sgd","rate":1,"momentum":0,"weight_decay":0},"seed":1},"options":{"k":1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		tasks, err := ReadPlan(strings.NewReader(text))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := WritePlan(&again, tasks); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadPlan(&again); err != nil {
			t.Errorf("what was read from %q cannot be read again: %v", text, err)
		}
	})
}
