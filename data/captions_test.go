package data

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
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
		"1.png,one\n11.png,x\n2.png,b\n": "1 of the 3 images of",
		"1.png,one\n2.png, \n":           "c.csv: line 2: ",
		"1.png,one\n2.png,\n":            "the caption of 2.png is empty",
		"1.png,a dog, running\n":         "c.csv: line 1 has 3 fields",
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

	// What cannot be decoded is told before anything is used.
	writeFiles(t, dir, map[string][]byte{"c.csv": []byte("bad.png,x\n1.png,one\n")})
	_, _, err = Open("captions:"+filepath.Join(dir, "c.csv"), OpenOptions{})
	wantError(t, err, "bad.png: not a JPEG, PNG, GIF, WebP, TIFF, BMP or PNM image, or damaged")
}

// allCaptions are the captions of all images by path, of both splits.
func allCaptions(sources ...Source) map[string][]string {
	all := map[string][]string{}
	for _, src := range sources {
		c := src.(*captioned)
		for i := range c.Len() {
			all[filepath.ToSlash(filepath.Join(filepath.Base(c.root), c.files[i].path))] = c.Captions(i)
		}
	}
	return all
}

// A quote in a .tsv is a letter, as in most texts of the web.
func TestCaptionsQuotesInTSV(t *testing.T) {
	dir := t.TempDir()
	pictures(t, dir, "Images")
	writeFiles(t, dir, map[string][]byte{"c.tsv": []byte("1.png\t\"Hello there\r\n2.png\ta cat\n\n3.png\tsome \"dog\"\n")})
	train, test, err := Open("captions:"+filepath.Join(dir, "c.tsv"), OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"Images/1.png": {`"Hello there`}, "Images/2.png": {"a cat"}, "Images/3.png": {`some "dog"`}}
	if got := allCaptions(train, test); !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// The forms in which Flickr30k and COCO are published.
func TestCaptionsAsPublished(t *testing.T) {
	const karpathy = `{"images": [
		{"sentids": [0, 1], "imgid": 0, "sentences": [{"tokens": ["one"], "raw": "One.", "imgid": 0}, {"raw": "Uno."}], "split": "train", "filename": "1.png"},
		{"sentences": [{"raw": "Two."}], "split": "test", "filename": "2.png"},
		{"sentences": [{"raw": "Three."}], "split": "val", "filename": "3.png"},
		{"sentences": [{"raw": "Four."}], "split": "restval", "filename": "4.png"}
	], "dataset": "flickr30k"}`
	coco := func(captions string) string {
		return `{"info": {"year": 2017}, "annotations": [` + captions + `], "licenses": [],
			"images": [{"license": 1, "file_name": "1.png", "id": 11}, {"file_name": "2.png", "id": 12}, {"file_name": "3.png", "id": 13}]}`
	}
	for _, c := range []struct {
		name, file, below string
		files             map[string]string
		train, test       map[string][]string // together where the split is not given
	}{
		{"Flickr30k", "results_20130124.token", "flickr30k-images", map[string]string{
			"results_20130124.token": "1.png#0\tA \" red \" one , and .\n1.png#1\tOne .\n2.png#0\tTwo .\n",
		}, map[string][]string{"flickr30k-images/1.png": {`A " red " one , and .`, "One ."}, "flickr30k-images/2.png": {"Two ."}}, nil},
		{"Flickr8k", "Flickr8k.token.txt", "Flicker8k_Dataset", map[string]string{
			"Flickr8k.token.txt": "1.png#0\tOne , and .\n2.png#0\tTwo .\n",
		}, map[string][]string{"Flicker8k_Dataset/1.png": {"One , and ."}, "Flicker8k_Dataset/2.png": {"Two ."}}, nil},
		{"Flickr30k of Kaggle", "results.csv", "flickr30k_images", map[string]string{
			"results.csv": "image_name| comment_number| comment\n1.png| 0| One , and | more .\n1.png| 1| \"Uno\"\n2.png| 4   A dog runs across the grass .\n",
		}, map[string][]string{"flickr30k_images/1.png": {"One , and | more .", `"Uno"`}, "flickr30k_images/2.png": {"A dog runs across the grass ."}}, nil},
		{"Karpathy", "dataset_flickr30k.json", "flickr30k-images", map[string]string{"dataset_flickr30k.json": karpathy},
			map[string][]string{"flickr30k-images/1.png": {"One.", "Uno."}, "flickr30k-images/4.png": {"Four."}},
			map[string][]string{"flickr30k-images/2.png": {"Two."}}},
		{"Karpathy without test", "d.json", "images", map[string]string{"d.json": strings.ReplaceAll(karpathy, `"test"`, `"train"`)},
			map[string][]string{"images/1.png": {"One.", "Uno."}, "images/2.png": {"Two."}, "images/4.png": {"Four."}},
			map[string][]string{"images/3.png": {"Three."}}},
		{"COCO", "annotations/captions_train2017.json", "train2017", map[string]string{
			"annotations/captions_train2017.json": coco(`{"image_id": 11, "id": 1, "caption": "One.\n"}, {"image_id": 12, "caption": "Two."}, {"image_id": 11, "caption": "Uno."}`),
			"annotations/captions_val2017.json":   coco(`{"image_id": 13, "id": 1, "caption": "Three."}`),
		}, map[string][]string{"train2017/1.png": {"One.", "Uno."}, "train2017/2.png": {"Two."}}, map[string][]string{"val2017/3.png": {"Three."}}},
		{"COCO, validation alone", "annotations/captions_val2017.json", "val2017", map[string]string{
			"annotations/captions_val2017.json": coco(`{"image_id": 13, "id": 1, "caption": "Three."}, {"image_id": 12, "caption": "Two."}`),
		}, map[string][]string{"val2017/3.png": {"Three."}, "val2017/2.png": {"Two."}}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			pictures(t, dir, c.below)
			if c.name == "COCO" {
				pictures(t, dir, "val2017")
			}
			for name, text := range c.files {
				writeFiles(t, dir, map[string][]byte{name: []byte(text)})
			}
			file := filepath.Join(dir, filepath.FromSlash(c.file))
			train, test, err := Open("captions:"+file, OpenOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if c.test == nil {
				if got := allCaptions(train, test); !reflect.DeepEqual(got, c.train) {
					t.Errorf("%q, want %q", got, c.train)
				}
			} else {
				if got := allCaptions(train); !reflect.DeepEqual(got, c.train) {
					t.Errorf("training: %q, want %q", got, c.train)
				}
				if got := allCaptions(test); !reflect.DeepEqual(got, c.test) {
					t.Errorf("test: %q, want %q", got, c.test)
				}
			}
			read, err := readCaptions(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range read.sources {
				if _, err := os.Stat(name); err != nil {
					t.Error(err)
				}
			}
			if len(read.sources) != len(c.files) {
				t.Errorf("files of captions: %v", read.sources)
			}
		})
	}
}

func TestCaptionFormatsRefuse(t *testing.T) {
	dir := t.TempDir()
	pictures(t, dir, ".")
	for _, c := range []struct{ file, text, want string }{
		{"c.tsv", "1.png\ta\n2.png\tb\tc\n", "c.tsv: line 2: 3 fields, want 2"},
		{"c.tsv", "1.png\ta\n\n2.txt\tb\n", `c.tsv: line 3: "2.txt" does not end as an image does`},
		{"c.token", "1.png#0\ta\n2.png#0 b\n", "c.token: line 2: it has no tab"},
		{"results.csv", "image_name| comment_number| comment\n1.png| one\n", "line 2: the number of the caption is missing"},
		{"results.csv", "image_name| comment_number| comment\n1.png one\n", "line 2: it has no |"},
		{"results.csv", "image_name| comment_number| comment\n1.png| 0|\n", "line 2: the caption of 1.png is empty"},
		{"c.json", "", "c.json: line 1: unexpected EOF"},
		{"c.json", "[]", "line 1: want {, not ["},
		{"c.json", "{}", "no captions in"},
		{"c.json", "{\n\"images\": 3}", "line 2: want [, not 3"},
		{"c.json", "{\"images\": [\n{\"filename\": \"1.png\", \"split\": \"train\"},\n {\"split\": \"train\"}]}", "line 3, images[1]: the image has no name"},
		{"c.json", "{\"images\": [\n\n{\"filename\": \"1.png\"}]}", `line 3, images[0]: the image "1.png" has no split`},
		{"c.json", `{"images": [{"filename": "1.png", "split": "train", "sentences": [{"raw": "a"}]}, {"filename": "2.png", "split": "dev", "sentences": [{"raw": "a"}]}]}`, `images[1]: the split is "dev"`},
		{"c.json", `{"images": [{"filename": "1.png", "split": "train", "sentences": [{"raw": "a"}]}]}`, "1 captions of training and 0 of test images"},
		{"c.json", `{"images": [{"filename": "1.png", "split": "train", "sentences": [{"raw": "a"}]}, {"filename": "1.png", "split": "test", "sentences": [{"raw": "a"}]}]}`, "1.png is both a training and a test image"},
		{"c.json", `{"annotations": [{"image_id": 1, "caption": "a"}], "images": [{"id": 2, "file_name": "1.png"}]}`, "annotations[0]: no image has the id 1"},
		{"c.json", `{"images": [{"id": "2", "file_name": "1.png"}]}`, "images[0]: json: cannot unmarshal string"},
		{"c.json", "{\"images\": [\n{\"id\": 2,\n", "line 2, images[0]: unexpected EOF"},
	} {
		writeFiles(t, dir, map[string][]byte{c.file: []byte(c.text)})
		_, _, err := Open("captions:"+filepath.Join(dir, c.file), OpenOptions{})
		wantError(t, err, c.want)
	}
}

func TestCaptionsMissingImages(t *testing.T) {
	dir := t.TempDir()
	pictures(t, dir, "images")
	var b strings.Builder
	for i := range 25 {
		fmt.Fprintf(&b, "%d.png,a caption\n", i)
	}
	writeFiles(t, dir, map[string][]byte{"c.csv": []byte(b.String())})
	_, _, err := Open("captions:"+filepath.Join(dir, "c.csv"), OpenOptions{})
	wantError(t, err, "15 of the 25 images of "+filepath.Join(dir, "c.csv")+" are missing in "+filepath.Join(dir, "images")+": 10.png (line 11), 11.png (line 12)")
	wantError(t, err, "19.png (line 20) and 5 more")
}

// To open a FIFO would wait for ever.
func TestCaptionsOpenOnlyFiles(t *testing.T) {
	dir := t.TempDir()
	pictures(t, dir, ".")
	if err := exec.CommandContext(t.Context(), "mkfifo", filepath.Join(dir, "fifo.csv"), filepath.Join(dir, "fifo.png")).Run(); err != nil {
		t.Skip(err)
	}
	_, _, err := Open("captions:"+filepath.Join(dir, "fifo.csv"), OpenOptions{})
	wantError(t, err, "fifo.csv is no regular file but p")
	writeFiles(t, dir, map[string][]byte{"c.csv": []byte("1.png,a\nfifo.png,b\n")})
	_, _, err = Open("captions:"+filepath.Join(dir, "c.csv"), OpenOptions{})
	wantError(t, err, "fifo.png is no regular file but p")

	// Links are followed.
	if err := os.Symlink("1.png", filepath.Join(dir, "link.png")); err != nil {
		t.Skip(err)
	}
	writeFiles(t, dir, map[string][]byte{"c.csv": []byte("1.png,a\nlink.png,b\n")})
	if err := os.Symlink("c.csv", filepath.Join(dir, "link.csv")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open("captions:"+filepath.Join(dir, "link.csv"), OpenOptions{}); err != nil {
		t.Error(err)
	}
}
