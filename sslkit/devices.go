package sslkit

import (
	"fmt"
	"iter"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/distributed"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/dtensor"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train"

	"github.com/sslkit/lab/internal/shard"
)

// divided are epochs whose batches are divided among the first devices of the backend. The step sees the whole batch, so that
// negatives, batch norms and random draws are those of one device; variables are on each.
type divided struct {
	*epochs
	mesh *distributed.DeviceMesh
}

// divide places the variables that there are on each device: without that the compiler would choose a place for the random
// state, for one. Those that come later are placed so by GoMLX.
func divide(e *epochs, store *model.Store) (divided, error) {
	mesh, err := shard.Mesh(e.Devices)
	if err != nil {
		return divided{}, fmt.Errorf("sslkit: %d devices: %w", e.Devices, err)
	}
	everywhere := distributed.NewReplicatedShardingSpec(mesh)
	for v := range store.IterVariables() {
		if err := v.SetShardingSpec(everywhere); err != nil {
			return divided{}, fmt.Errorf("sslkit: placing %s on %d devices: %w", v.Path(), e.Devices, err)
		}
	}
	return divided{e, mesh}, nil
}

func (d divided) Strategy() distributed.Strategy { return distributed.AutoSharding }

func (d divided) DeviceAssignment() []compute.DeviceNum {
	all := make([]compute.DeviceNum, d.Devices)
	for i := range all {
		all[i] = compute.DeviceNum(i)
	}
	return all
}

func (d divided) DistributedIter() iter.Seq2[train.DistributedBatch, error] {
	return func(yield func(train.DistributedBatch, error) bool) {
		for batch, err := range d.Iter() {
			var shares train.DistributedBatch
			if err == nil {
				shares, err = d.share(batch)
			}
			if !yield(shares, err) || err != nil {
				return
			}
		}
	}
}

// share takes a batch apart.
func (d divided) share(batch train.Batch) (shares train.DistributedBatch, err error) {
	defer func() {
		for _, x := range batch.Inputs {
			_ = x.FinalizeAll() // memory that is freed later otherwise
		}
	}()
	for _, x := range batch.Inputs {
		t, err := d.shareOf(x)
		if err != nil {
			return shares, fmt.Errorf("sslkit: dividing a batch among %d devices: %w", d.Devices, err)
		}
		shares.Inputs = append(shares.Inputs, t)
	}
	return shares, nil
}

func (d divided) shareOf(x *tensors.Tensor) (*dtensor.Tensor, error) {
	placing, err := shard.Divided(d.mesh, x.Rank())
	if err != nil {
		return nil, err
	}
	return dtensor.ShardTensor(placing, x)
}

// checkDevices says why the run's batches cannot be divided as it asks, if they cannot.
func (r *Run) checkDevices() error {
	if r.Devices < 0 {
		return fmt.Errorf("sslkit: %d devices: choose at least 1", r.Devices)
	}
	if n := r.Backend.NumDevices(); r.Devices > n {
		return fmt.Errorf("sslkit: %d devices are asked for and the backend %s has %d: choose at most so many", r.Devices, r.Backend.Name(), n)
	}
	return nil
}
