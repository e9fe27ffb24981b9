package cli

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
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
	if want := "fashion-mnist-10k: 10000 training and 2000 test examples of 28x28x1, 10 classes\n"; out != want {
		t.Errorf("data get: %q, want %q", out, want)
	}
	var one data.Info
	out, _ = must(t, "data get fashion-mnist-10k --json")
	decode(t, out, &one)
	if one.Train != 10000 || one.Licence != "MIT" || !one.Present || one.Where != "embedded" {
		t.Errorf("data get --json: %+v", one)
	}
}

func TestDataCheck(t *testing.T) {
	t.Setenv("SSLKIT_HOME", t.TempDir())
	dir := t.TempDir()
	for i, name := range []string{"cat/1.png", "cat/2.png", "dog/3.png", "dog/4.png"} {
		img := image.NewGray(image.Rect(0, 0, 4, 4))
		img.Pix[0] = uint8(50 * i)
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	out, progress := must(t, "data check folder:"+dir)
	if progress != "" { // package data tells of large folders only
		t.Errorf("progress of four images: %s", progress)
	}
	wantAll(t, "data check", out, "2 training and 2 test examples, 2 classes", "4 grey", "sha256:")
	var v data.Inventory
	out, _ = must(t, "data check --json folder:"+dir)
	decode(t, out, &v)
	if v.Gray != 4 || v.Train != 2 || len(v.Classes) != 2 {
		t.Errorf("data check --json: %+v", v)
	}

	// What cannot be read is listed, by a name that does nothing to the terminal, and the exit code says so.
	if err := os.WriteFile(filepath.Join(dir, "dog", "\x1b[31m.png"), []byte("none"), 0o644); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run([]string{"data", "check", "folder:" + dir}, &stdout, &stderr); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	wantAll(t, "data check", stdout.String(), `dog/\x1b[31m.png: not a JPEG, PNG`)
	wantAll(t, "data check", stderr.String(), "1 of the files cannot be read")
	if strings.Contains(stdout.String(), "\x1b") {
		t.Error("a name reaches the terminal as it is")
	}
}
