package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/onnx"
	"github.com/sslkit/lab/sslkit/published"
	"github.com/sslkit/lab/sslkit/runs"
)

func (c *cli) export() *cobra.Command {
	var format, out string
	var batch int
	cmd := &cobra.Command{
		Use:   "export KEY",
		Short: "Write an encoder for timm, PyTorch and ONNX",
		Long: `export writes the encoder of a run into a new folder: its parameters as model.safetensors, under the names and in the
layout of timm (vision transformers) or torchvision (residual networks), and config.json, which says how images are
normalised. timm loads a vit, and a resnet18, resnet34 or resnet50 of width 64 with the stem "imagenet", by

    timm.create_model("local-dir:FOLDER", pretrained=True)

For residual networks there is encoder.py in the folder as well, which loads them all: encoder.load("FOLDER").

With --format onnx the folder has model.onnx, the encoder of images of any network, and config.json. Its input "image"
is [N, C, H, W] in float32, pixels in [0, 1], which it normalises itself, of the run's size and N as --batch says; its
outputs are "features" [N, D], as 'sslkit embed' writes them, and the feature maps "stage_1", ... [N, D, h, w]. It is
written by onnxruntime, which must be there: pip install onnxruntime, or name its library by
ONNXRUNTIME_SHARED_LIBRARY_PATH. Before the folder appears the model is run, and features that are not ours are an error.`,
		Example: `  sslkit export 41f0 --out encoder
  sslkit export 41f0 --format onnx --batch 8 --out encoder-onnx
  sslkit export 41f0 --format safetensors --out encoder --json`,
		Args:              count(1, 1, "the key of a run"),
		ValidArgsFunction: c.completeKeys(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case format != "safetensors" && format != "onnx":
				return usagef("--format %s: choose safetensors or onnx", format)
			case format != "onnx" && cmd.Flags().Changed("batch"):
				return usagef("--batch is of a model in ONNX: give --format onnx, or leave it out")
			case batch < 1:
				return usagef("--batch %d: a model reads at least 1 image", batch)
			}
			if out == "" {
				return usagef("--out is missing: name a new folder")
			}
			if err := writable(out); err != nil {
				return err
			}
			if format == "onnx" {
				if _, err := onnx.Runtime(); err != nil { // now, and not after the data is read
					return err
				}
			}
			return c.compute(func(ctx context.Context, store *runs.Store) error {
				j, err := trainedRun(ctx, store, args[0])
				if err != nil {
					return err
				}
				if format == "onnx" {
					return c.exportONNX(j, batch, out)
				}
				side, _, _ := j.Train.Shape()
				b := *sslkit.Backbone(j.Method)
				tensors, err := published.Export(j.Store, b, side)
				if err != nil {
					return err
				}
				if err := published.Write(out, tensors, origin(j)); err != nil {
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
	cmd.Flags().StringVar(&format, "format", "safetensors", "safetensors or onnx")
	cmd.Flags().IntVar(&batch, "batch", 1, "images that a model in ONNX reads at a time")
	cmd.Flags().StringVar(&out, "out", "", "a new folder `DIR`")
	c.storeFlags(cmd)
	return cmd
}

// origin is what an exported encoder's config.json says of its run.
func origin(j *runs.Job) published.Origin {
	side, _, channels := j.Train.Shape()
	return published.Origin{Key: j.Key, Method: sslkit.NameOf(j.Method), Data: j.Data.Name, Backbone: *sslkit.Backbone(j.Method), Channels: channels, Size: side}
}

// trainedRun is the run whose key begins with key, with what it has learnt.
func trainedRun(ctx context.Context, store *runs.Store, key string) (*runs.Job, error) {
	record, err := store.Get(key)
	if err != nil {
		return nil, err
	}
	return store.Trained(ctx, record.Config)
}
