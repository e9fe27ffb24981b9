package data

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pictures writes ten images into a folder.
func pictures(t *testing.T, dir, below string) {
	t.Helper()
	files := map[string][]byte{}
	for i := range 10 {
		files[fmt.Sprintf("%s/%d.png", below, i)] = encode(t, quarters(8+i, 8), "png")
	}
	writeFiles(t, dir, files)
}

func captionText(separator string) string {
	var b strings.Builder
	for i := range 10 {
		fmt.Fprintf(&b, "%d.png%scaption of %d\n", i, separator, i)
	}
	return b.String()
}

func TestCaptions(t *testing.T) {
	for _, c := range []struct{ file, below, text string }{
		{"captions.txt", "Images", "image,caption\n" + captionText(",")}, // Flickr8k
		{"a.csv", ".", "\ufefffile,caption\r\n" + captionText(",")},
		{"b.tsv", "images", captionText("\t")},
	} {
		dir := t.TempDir()
		pictures(t, dir, c.below)
		writeFiles(t, dir, map[string][]byte{c.file: []byte(c.text)})
		train, test, err := Open("captions:"+filepath.Join(dir, c.file), OpenOptions{Size: 4})
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if train.Len()+test.Len() != 10 || test.Len() < 1 {
			t.Errorf("%s: %d and %d images", c.file, train.Len(), test.Len())
		}
		for _, src := range []Source{train, test} {
			if src.Classes() != nil || src.Label(0) != -1 || !strings.HasPrefix(src.Name(), "captions:"+dir) {
				t.Errorf("%s: classes %v, label %d", src.Name(), src.Classes(), src.Label(0))
			}
			for i := range src.Len() {
				pixels := make([]uint8, 4*4*3)
				if err := src.Read(i, pixels); err != nil {
					t.Fatal(err)
				}
				if got := letters(pixels, 4); got != "rgbw" {
					t.Errorf("picture %d is %s", i, got)
				}
				name := paths(src.(*captioned).folder)[i]
				if got, want := src.(Captioned).Captions(i), "caption of "+strings.TrimSuffix(name, ".png"); !slices.Equal(got, []string{want}) {
					t.Errorf("%s has the captions %q", name, got)
				}
			}
		}
	}
}

func TestCaptionsOfOneImage(t *testing.T) {
	dir := t.TempDir()
	pictures(t, dir, "deep/er")
	writeFiles(t, dir, map[string][]byte{"c.csv": []byte("deep/er/1.png,one\n./deep/er/2.png,\"two, with \"\"quotes\"\"\"\ndeep/er/1.png, another \n")})
	train, test, err := Open("captions:"+filepath.Join(dir, "c.csv"), OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(train.(Captioned).Captions(0), test.(Captioned).Captions(0))
	slices.Sort(all)
	if want := []string{"another", "one", `two, with "quotes"`}; !slices.Equal(all, want) {
		t.Errorf("captions are %q, want %q", all, want)
	}
}

func TestCaptionsRefuse(t *testing.T) {
	dir := t.TempDir()
	pictures(t, dir, ".")
	writeFiles(t, dir, map[string][]byte{"bad.png": []byte("no image")})
	for text, want := range map[string]string{
		"":                               "no captions in",
		"image,caption\n":                "no captions in",
		"1.png,one\n":                    "both splits need one",
		"1.png,one\n11.png,x\n2.png,b\n": "the image of line 2 of",
		"1.png,one\n2.png, \n":           "line 2 of",
		"1.png,one\n2.png,\n":            "the caption of 2.png is empty",
		"1.png,a dog, running\n":         "line 1 of",
		"2.png,b\n1.png\n":               "has 1 fields, want 2, an image and its caption",
		"1.png,one\ncaption,2.png\n":     `"caption" does not end as an image does`,
		"1.png,one\n../2.png,b\n":        "is not below the file's folder",
		"1.png,one\n2.png,b\xff\n":       "is not UTF-8 text",
		"1.png,one\n2.png,\"b\n":         `extraneous or missing " in quoted-field`,
	} {
		writeFiles(t, dir, map[string][]byte{"c.csv": []byte(text)})
		_, _, err := Open("captions:"+filepath.Join(dir, "c.csv"), OpenOptions{})
		wantError(t, err, want)
	}
	_, _, err := Open("captions:"+filepath.Join(dir, "missing.csv"), OpenOptions{})
	wantError(t, err, "no such file")
	_, _, err = Open("captions:"+dir, OpenOptions{})
	wantError(t, err, "is a directory")

	// What cannot be decoded is told when it is read.
	writeFiles(t, dir, map[string][]byte{"c.csv": []byte("bad.png,x\n1.png,one\n")})
	train, test, err := Open("captions:"+filepath.Join(dir, "c.csv"), OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var errs []string
	for _, src := range []Source{train, test} {
		if err := src.Read(0, make([]uint8, 32*32*3)); err != nil {
			errs = append(errs, err.Error())
		}
	}
	if len(errs) != 1 || !strings.Contains(errs[0], "bad.png: not a JPEG, PNG, GIF, WebP or BMP image, or damaged") {
		t.Errorf("errors are %q", errs)
	}
}
