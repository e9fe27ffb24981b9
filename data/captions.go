package data

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// Captioned is a source whose examples have captions.
type Captioned interface {
	Source
	// Captions of example i, at least one. The first is for evaluation.
	Captions(i int) []string
}

// openCaptions opens a file of captions beside images:
//
//	image,caption
//	1000268201_693b08cb0e.jpg,A child in a pink dress is climbing up stairs .
//	1000268201_693b08cb0e.jpg,"A girl, going into a wooden building ."
//
// as Flickr8k has it: CSV, or with tabs where the name ends in .tsv; a first
// line that names no image is passed over; an image may have many captions.
// Images are below the file's folder, or below Images or images in it. A fifth
// of them is the test split, as in openFolder.
func openCaptions(file string, size int) (train, test Source, err error) {
	captions, lines, err := readCaptions(file)
	if err != nil {
		return nil, nil, fmt.Errorf("data: captions: %w", err)
	}
	if len(captions) == 0 {
		return nil, nil, fmt.Errorf("data: no captions in %s: it needs lines of an image and its caption", file)
	}
	images := slices.Sorted(maps.Keys(captions))
	root := filepath.Dir(file)
	for _, below := range []string{".", "Images", "images"} {
		if _, err := os.Stat(filepath.Join(root, below, images[0])); err == nil {
			root = filepath.Join(root, below)
			break
		}
	}
	for _, name := range images {
		if _, err := os.Stat(filepath.Join(root, name)); err != nil {
			return nil, nil, fmt.Errorf("data: the image of line %d of %s: %w", lines[name], file, err)
		}
	}
	trainFiles, testFiles := splitFiles(images)
	if len(trainFiles) == 0 || len(testFiles) == 0 {
		return nil, nil, fmt.Errorf("data: %s has captions of %d training and %d test images: both splits need one", file, len(trainFiles), len(testFiles))
	}
	open := func(split string, files []folderFile) Source {
		return &captioned{newFolder(root, split, size, nil, files), "captions:" + file + "/" + split, captions}
	}
	return open("train", trainFiles), open("test", testFiles), nil
}

// readCaptions returns the captions of each image, whose path has slashes, and
// the first line that names it.
func readCaptions(file string) (captions map[string][]string, lines map[string]int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // from spreadsheets
	if !utf8.Valid(text) {
		return nil, nil, fmt.Errorf("%s is not UTF-8 text: save it as such", file)
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	if strings.EqualFold(filepath.Ext(file), ".tsv") {
		r.Comma = '\t'
	}
	captions, lines = map[string][]string{}, map[string]int{}
	for first := true; ; first = false {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return captions, lines, nil
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", file, err)
		}
		line, _ := r.FieldPos(0)
		if len(row) != 2 {
			return nil, nil, fmt.Errorf("line %d of %s has %d fields, want 2, an image and its caption: a caption with commas goes in quotes", line, file, len(row))
		}
		name, caption := filepath.ToSlash(filepath.Clean(strings.TrimSpace(row[0]))), strings.TrimSpace(row[1])
		switch {
		case !slices.Contains(extensions, strings.ToLower(filepath.Ext(name))):
			if first {
				continue
			}
			return nil, nil, fmt.Errorf("line %d of %s: %q does not end as an image does (%s)", line, file, row[0], strings.Join(extensions, ", "))
		case !filepath.IsLocal(name):
			return nil, nil, fmt.Errorf("line %d of %s: %q is not below the file's folder", line, file, row[0])
		case caption == "":
			return nil, nil, fmt.Errorf("line %d of %s: the caption of %s is empty", line, file, name)
		}
		captions[name] = append(captions[name], caption)
		if lines[name] == 0 {
			lines[name] = line
		}
	}
}

// captioned is a split of a folder of images with captions.
type captioned struct {
	*folder
	name     string
	captions map[string][]string // by path
}

func (c *captioned) Name() string            { return c.name }
func (c *captioned) Captions(i int) []string { return c.captions[c.files[i].path] }

// Texts returns the distinct first captions of src, in the order of their first
// example, and which of them each example has.
func Texts(src Captioned) (texts []string, of []int32) {
	number := map[string]int32{}
	for i := range src.Len() {
		caption := src.Captions(i)[0]
		n, known := number[caption]
		if !known {
			n = int32(len(texts))
			number[caption] = n
			texts = append(texts, caption)
		}
		of = append(of, n)
	}
	return texts, of
}
