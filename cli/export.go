package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/published"
	"github.com/sslkit/lab/sslkit/runs"
)

func (c *cli) export() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "export KEY",
		Short: "Write an encoder for timm and PyTorch",
		Long: `export writes the encoder of a run into a new folder: its parameters as model.safetensors, under the names and in the
layout of timm (vision transformers) or torchvision (residual networks), and config.json, which says how images are
normalised. timm loads a vit, and a resnet18, resnet34 or resnet50 of width 64 with the stem "imagenet", by

    timm.create_model("local-dir:FOLDER", pretrained=True)

For residual networks there is encoder.py in the folder as well, which loads them all: encoder.load("FOLDER").`,
		Example: `  sslkit export 41f0 --out encoder
  sslkit export 41f0 --format safetensors --out encoder --json`,
		Args: count(1, 1, "the key of a run"),
		RunE: func(_ *cobra.Command, args []string) error {
			if format != "safetensors" {
				return usagef("--format %s: safetensors is known", format)
			}
			if out == "" {
				return usagef("--out is missing: name a new folder")
			}
			if err := writable(out); err != nil {
				return err
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				j, err := trainedRun(ctx, store, args[0])
				if err != nil {
					return err
				}
				side, _, channels := j.Train.Shape()
				b := *sslkit.Backbone(j.Method)
				tensors, err := published.Export(j.Store, b, side)
				if err != nil {
					return err
				}
				if err := published.Write(out, tensors, published.Origin{Key: j.Key, Method: sslkit.NameOf(j.Method), Data: j.Data.Name,
					Backbone: b, Channels: channels, Size: side}); err != nil {
					return err
				}
				numbers := 0
				for _, t := range tensors {
					numbers += len(t.Values)
				}
				files, err := filepath.Glob(filepath.Join(out, "*"))
				if err != nil {
					return err
				}
				slices.Sort(files)
				result := struct {
					Key     string   `json:"key"`
					Tensors int      `json:"tensors"`
					Numbers int      `json:"numbers"`
					Files   []string `json:"files"`
				}{j.Key, len(tensors), numbers, files}
				return c.print(result, func() error {
					if err := c.printf("%s of run %s: %d tensors, %d numbers\n", fmt.Sprintf("%s of depth %d and width %d", b.Arch, b.Depth, b.Width), j.Key, len(tensors), numbers); err != nil {
						return err
					}
					return c.printWritten(files...)
				})
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "safetensors", "of the parameters")
	cmd.Flags().StringVar(&out, "out", "", "a new folder `DIR`")
	c.storeFlags(cmd)
	return cmd
}

// trainedRun is the run whose key begins with key, with what it has learnt.
func trainedRun(ctx context.Context, store *runs.Store, key string) (*runs.Job, error) {
	record, err := store.Get(key)
	if err != nil {
		return nil, err
	}
	return store.Trained(ctx, record.Config)
}
