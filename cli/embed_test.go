package cli

import (
	"encoding/binary"
	"encoding/csv"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/sslkit/lab/sslkit/published"
	"github.com/sslkit/lab/sslkit/runs"
	"github.com/sslkit/lab/sslkit/study"
)

// One run leaves by all doors: export and in again by --init, features in both forms, neighbours, and tables of pretrain and
// evaluate.
func TestDoors(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a network")
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	// 28 pixels of fashion-mnist are 7 patches of 4.
	line := "pretrain --json --train 100 --test 60 --arch vit --depth 2 --width 32 --epochs 1 --batch 50 --method rotation"
	out, _ := must(t, line+" --csv "+at("curves.csv")+" --md "+at("curves.md")+" --svg "+at("curves.svg"))
	var r runs.Record
	decode(t, out, &r)
	wantAll(t, "the curves", read(t, at("curves.csv")), "epoch,loss,rate,seconds,report/accuracy", "\n1,")
	wantAll(t, "the curves", read(t, at("curves.md")), "| epoch | loss")
	wantAll(t, "the figure", read(t, at("curves.svg")), "<svg", "epoch")

	out, _ = must(t, "export "+r.Key+" --out "+at("encoder"))
	wantAll(t, "export", out, "vit of depth 2 and width 32", "written: "+at("encoder/config.json"), "written: "+at("encoder/model.safetensors"))
	var config published.Config
	decode(t, read(t, at("encoder/config.json")), &config)
	if config.Architecture != "vit_base_patch16_224" || config.ModelArgs["img_size"] != 28.0 || config.Pretrained.Mean[0] != 0.5 || config.Pretrained.Std[0] != 0.25 {
		t.Errorf("config.json says %+v", config)
	}

	must(t, "embed "+r.Key+" --split all --out "+at("f.npy"))
	must(t, "embed "+r.Key+" --split test --out "+at("f.csv"))
	_, stderr := must(t, "embed --init "+at("encoder")+" --data fashion-mnist-10k --set train=100 --set test=60 --split test --out "+at("g.csv"))
	wantAll(t, "standard error", stderr, "a vit of depth 2 and width 32")
	if read(t, at("f.csv")) != read(t, at("g.csv")) {
		t.Error("features of an encoder that went out and came in again are others")
	}
	lines := csvOf(t, at("f.csv"))
	if len(lines) != 61 || len(lines[0]) != 4+32 || !slices.Equal(lines[0][:5], []string{"split", "index", "label", "path", "f1"}) {
		t.Fatalf("%d lines, the first is %v", len(lines), lines[0])
	}
	npy, shape := npyOf(t, at("f.npy"))
	if shape != "160, 32" {
		t.Fatalf("the array is [%s]", shape)
	}
	labels := csvOf(t, at("f-labels.csv"))
	if len(labels) != 161 || labels[101][0] != "test" || labels[101][1] != "0" || labels[101][2] != lines[1][2] {
		t.Errorf("%d labels, the 101st row is %v, in the other file %v", len(labels)-1, labels[101], lines[1][:3])
	}
	for k, v := range npy[100*32 : 101*32] { // the first of the test split
		if text := strconv.FormatFloat(float64(v), 'g', -1, 32); text != lines[1][4+k] {
			t.Fatalf("feature %d is %s in one file and %s in the other", k+1, text, lines[1][4+k])
		}
	}

	defer func(was int) { groupBytes = was }(groupBytes)
	groupBytes = 60 * 32 * 4 // 60 rows
	must(t, "embed "+r.Key+" --split all --out "+at("f.parquet"))
	file, err := os.Open(at("f.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table := parquet.NewGenericReader[parquetRow](file)
	defer table.Close()
	rows := make([]parquetRow, 161)
	if n, err := table.Read(rows); n != 160 || !errors.Is(err, io.EOF) || len(table.File().RowGroups()) != 3 {
		t.Fatalf("%d rows in %d groups, %v, want 160 in 3", n, len(table.File().RowGroups()), err)
	}
	for i, row := range rows[:160] {
		if !slices.Equal(row.Features, npy[i*32:(i+1)*32]) || row.Split != labels[i+1][0] || strconv.FormatInt(row.Index, 10) != labels[i+1][1] ||
			row.Label == nil || *row.Label != labels[i+1][2] || row.Path != nil {
			t.Fatalf("row %d is %+v, in the other files %v, %v", i, row, labels[i+1], npy[i*32:(i+1)*32])
		}
	}

	out, _ = must(t, "neighbours "+r.Key+" test:3 --k 5 --json --out "+at("near.svg"))
	var near study.Neighbours
	decode(t, out, &near)
	if len(near.Found) != 5 || near.Found[0].Class == "" || near.Found[0].Cosine < near.Found[4].Cosine {
		t.Errorf("the nearest are %+v", near.Found)
	}
	wantAll(t, "the picture", read(t, at("near.svg")), "<svg", "the image", near.Found[0].Class)

	out, _ = must(t, "evaluate --init "+at("encoder")+" --data fashion-mnist-10k --set train=100 --set test=60 --baselines=false --l2 0.01 --csv "+at("e.csv")+" --md "+at("e.md")+" --svg "+at("e.svg"))
	wantAll(t, "evaluate", out, "encoder, fashion-mnist-10k", "written: "+at("e.csv"), "written: "+at("e-blocks.svg"))
	wantAll(t, "its table", read(t, at("e.csv")), "encoder,linear,2,")
	wantAll(t, "its table", read(t, at("e.md")), "| encoder |")
	wantAll(t, "its figure", read(t, at("e.svg")), "<svg", "linear probe")
}

func csvOf(t *testing.T, path string) [][]string {
	t.Helper()
	lines, err := csv.NewReader(strings.NewReader(read(t, path))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// npyOf reads NumPy's format 1.0 by its description.
func npyOf(t *testing.T, path string) (values []float32, shape string) {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := 10 + int(binary.LittleEndian.Uint16(content[8:]))
	head := string(content[:n])
	found := regexp.MustCompile(`^NUMPY\x01\x00..\{'descr': '<f4', 'fortran_order': False, 'shape': \((.*)\), \} *\n$`).FindStringSubmatch(head[1:])
	if head[0] != 0x93 || found == nil || n%64 != 0 {
		t.Fatalf("a header of %d bytes: %q", n, head)
	}
	for rest := content[n:]; len(rest) > 0; rest = rest[4:] {
		values = append(values, math.Float32frombits(binary.LittleEndian.Uint32(rest)))
	}
	return values, found[1]
}

func TestDoorMistakes(t *testing.T) {
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	file := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(file, []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantMistakes(t, []mistake{
		{"export 12", 2, "--out is missing"},
		{"export 12 --out x --format torch", 2, "--format torch: choose safetensors or onnx"},
		{"export 12 --out x --batch 2", 2, "give --format onnx"},
		{"export 12 --out x --format onnx --batch 0", 2, "at least 1 image"},
		{"export 12 --out x", 1, `no run's key begins with "12"`},
		{"embed 12", 2, "--out is missing"},
		{"embed 12 --out x.txt", 2, "ends with .npy or .csv or .parquet"},
		{"embed 12 --out x.npy --split val", 2, "choose train, test or all"},
		{"embed --out x.npy", 2, "takes the key of a run, or --init FILE"},
		{"embed --init x --out x.npy", 2, "--data is missing"},
		{"embed 12 --init x --out x.npy", 2, "leave --init and --set out"},
		{"neighbours 12 test:1", 2, "say where to draw"},
		{"pretrain --init missing.safetensors", 1, "missing.safetensors"},
		{"pretrain --init " + file, 1, "not of safetensors"},
		{"pretrain --method given", 2, "name it by --init"},
		{"pretrain --tracker wandb", 2, `no tracker is called "wandb"`},
	})
}

// An encoder out of a file is a row of the table of methods.
func TestCompareInit(t *testing.T) {
	if testing.Short() {
		t.Skip("trains three networks")
	}
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	dir := filepath.Join(t.TempDir(), "theirs")
	small := []string{"--train", "100", "--test", "60", "--arch", "resnet", "--depth", "8", "--width", "4", "--epochs", "1", "--batch", "50"}
	out, _ := must(t, "pretrain --json --seed 7", small...)
	var r runs.Record
	decode(t, out, &r)
	must(t, "export "+r.Key+" --out "+dir)
	out, _ = must(t, "compare --json --methods rotation --seeds 1 --labels= --finetune 0 --l2 0.01 --init "+dir, small...)
	var table study.TransferTable
	decode(t, out, &table)
	var names []string
	for _, row := range table.Rows {
		if names = append(names, row.Name); row.Name == "theirs" && row.Baseline {
			t.Error("an encoder out of a file counts as a baseline")
		}
	}
	slices.Sort(names)
	if want := []string{"random init", "random, norms fitted", "rotation", "supervised", "theirs"}; !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
}
