package sslkit

import (
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
)

// Of a vit for images of another size the error says what to do about it; of another network, that it is one.
func TestFitEncoder(t *testing.T) {
	store := func(path string, dims ...int) *model.Store {
		s := model.NewStore()
		s.VariableWithValue("/encoder/"+path, tensors.FromShape(shapes.Make(dtypes.Float32, dims...)))
		return s
	}
	theirs := store("positions/tokens", 1, 17, 32)
	if err := FitEncoder(store("positions/tokens", 1, 17, 32), theirs); err != nil {
		t.Error(err)
	}
	for want, to := range map[string]*model.Store{
		"its positions are of 17 tokens, and images of this size have 50: read images at the size": store("positions/tokens", 1, 50, 32),
		"holds another encoder": store("positions/tokens", 1, 17, 64),
		"is not there":          store("class/tokens", 1, 1, 32),
	} {
		if err := FitEncoder(to, theirs); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}
