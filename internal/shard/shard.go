// Package shard divides batches among the devices of one process: XLA's partitioner (Shardy) then divides the step, which is
// written as for one device.
package shard

import (
	"fmt"

	"github.com/gomlx/compute/distributed"
	. "github.com/gomlx/gomlx/core/graph"
)

const axis = "data"

// Mesh is so many devices in a row.
func Mesh(devices int) (*distributed.DeviceMesh, error) {
	return distributed.NewDeviceMesh([]int{devices}, []string{axis})
}

// Divided is the placing of a tensor of this rank whose first axis is divided among the devices of the mesh.
func Divided(mesh *distributed.DeviceMesh, rank int) (*distributed.ShardingSpec, error) {
	b := distributed.BuildSpec(mesh).S(axis)
	for range rank - 1 {
		b = b.R()
	}
	return b.Done()
}

// Batch is x [N, ...], of which each device is to hold its N/devices examples. On one device, and where that is no whole
// number, it is x itself.
//
// XLA loses track of the division at a Gather whose index varies over the batch, and would from there on do all of the work on
// each device. GoMLX v0.28.1 has no operation for what helps, a constraint; a function that returns its argument, divided so, is
// one. No gradient passes it: it is for pixels and targets.
func Batch(x *Node) *Node {
	g := x.Graph()
	if g.DistributedStrategy() != distributed.AutoSharding || x.Shape().Dim(0)%g.NumDevices() != 0 {
		return x
	}
	placing, err := Divided(g.DeviceMeshes()[0], x.Rank())
	if err != nil {
		panic(err)
	}
	name := fmt.Sprintf("divided_%d", x.Id())
	return NewFunctionWithSharding(g, name, func(g *Graph) ([]*Node, []*distributed.ShardingSpec) {
		return []*Node{Parameter(g, "x", x.Shape())}, []*distributed.ShardingSpec{placing}
	}).Call(x)[0]
}
