package shard_test

import (
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/dtensor"

	"github.com/sslkit/lab/internal/shard"
	"github.com/sslkit/lab/sslkit/pjrt"
)

// Of examples that were gathered from all over the batch each of two devices holds half.
func TestBatch(t *testing.T) {
	_, choice, err := pjrt.Open()
	if err != nil || choice.Kind != "xla:cpu" {
		t.Skip("needs XLA's CPU plugin: ", choice.Kind, ", ", err)
	}
	backend, _, err := pjrt.OpenDevices(2)
	if err != nil {
		t.Fatal(err)
	}
	mesh, err := shard.Mesh(2)
	if err != nil {
		t.Fatal(err)
	}
	placing, err := shard.Divided(mesh, 2)
	if err != nil {
		t.Fatal(err)
	}
	// x [6, 2], reversed, and its first five, which two devices do not share equally.
	exec := MustNewExec(backend, func(x *Node) []*Node {
		last := Neg(AddScalar(Iota(x.Graph(), shapes.Make(dtypes.Int32, 6, 1), 0), -5))
		y := shard.Batch(Gather(x, last))
		return []*Node{y, shard.Batch(Slice(y, AxisRange(0, 5)))}
	}).AutoSharding(mesh).WithInputShardingSpecs(placing).WithOutputShardingSpecs(nil)
	x := tensors.FromFlatDataAndDimensions([]float32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, 6, 2)
	shares, err := dtensor.ShardTensor(placing, x)
	if err != nil {
		t.Fatal(err)
	}
	if got := tensors.MustCopyFlatData[float32](shares.Shards()[1]); !slices.Equal(got, []float32{6, 7, 8, 9, 10, 11}) {
		t.Errorf("the second device's share is %v", got)
	}
	out, err := exec.Call(shares)
	if err != nil {
		t.Fatal(err)
	}
	five := []float32{10, 11, 8, 9, 6, 7, 4, 5, 2, 3}
	for i, want := range [][]float32{{10, 11, 8, 9, 6, 7}, five, {4, 5, 2, 3, 0, 1}, five} { // of each device in turn
		if got := tensors.MustCopyFlatData[float32](out[i]); !slices.Equal(got, want) {
			t.Errorf("result %d is %v, want %v", i, got, want)
		}
	}
	one := MustNewExec(backend, func(x *Node) *Node {
		if y := shard.Batch(x); y != x {
			t.Error("something is constrained on one device")
		}
		return x
	})
	if _, err := one.Call(x); err != nil {
		t.Fatal(err)
	}
}
