package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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
// as Flickr8k has it: CSV, or with tabs where the name ends in .tsv, in which a
// quote is a letter; a first line that names no image is passed over; an image
// may have many captions. As they are published are read
//
//	results_20130124.token    of Flickr30k, and Flickr8k.token.txt: image.jpg#0, a tab, the caption
//	results.csv               of Flickr30k: image.jpg| 0| caption
//	dataset_flickr30k.json    Karpathy's splits: train (and restval), test; val is left out, or is test without that
//	captions_train2017.json   of COCO; captions_val2017.json beside it is the test split
//
// Images are below the file's folder, or below Images or images in it or a
// folder as those sets have: train2017 beside annotations. All have to be
// there. Where the file gives no splits, a fifth of the images is the test
// split, as in openFolder.
func openCaptions(file string, size int) (train, test Source, err error) {
	c, err := readCaptions(file)
	if err != nil {
		return nil, nil, fmt.Errorf("data: captions: %w", err)
	}
	open := func(split string, s captionSplit) Source {
		return &captioned{newFolder(s.root, split, size, nil, s.files), "captions:" + file + "/" + split, s.captions}
	}
	return open("train", c.train), open("test", c.test), nil
}

// captionSplits is what a file of captions tells, and where its images are.
type captionSplits struct {
	sources     []string // files of captions
	train, test captionSplit
}

type captionSplit struct {
	root     string // folder of the images
	files    []folderFile
	captions map[string][]string // by path below the root, with slashes
}

// captionEntry is one caption of an image.
type captionEntry struct {
	image, caption string
	split          string // "" where the file gives none
	where          string // line, and number in a list, for errors
}

func readCaptions(file string) (*captionSplits, error) {
	entries, err := readCaptionFile(file)
	if err != nil {
		return nil, err
	}
	c := &captionSplits{sources: []string{file}}
	trainEntries, testEntries := entries, []captionEntry(nil)
	testFile := cocoTest(file)
	switch {
	case entries[0].split != "":
		if trainEntries, testEntries, err = givenSplits(entries); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		testFile = file
	case testFile != "":
		if testEntries, err = readCaptionFile(testFile); err != nil {
			return nil, err
		}
		c.sources = append(c.sources, testFile)
	}
	if c.train, err = captionSplitOf(file, trainEntries); err != nil {
		return nil, err
	}
	if len(testEntries) > 0 {
		if c.test, err = captionSplitOf(testFile, testEntries); err != nil {
			return nil, err
		}
		for _, f := range c.test.files {
			if c.test.root == c.train.root && c.train.captions[f.path] != nil {
				return nil, fmt.Errorf("%s: %s is both a training and a test image", testFile, f.path)
			}
		}
		return c, nil
	}
	var names []string
	for _, f := range c.train.files {
		names = append(names, f.path)
	}
	c.test = c.train
	c.train.files, c.test.files = splitFiles(names)
	if len(c.train.files) == 0 || len(c.test.files) == 0 {
		return nil, fmt.Errorf("%s has captions of %d training and %d test images: both splits need one", file, len(c.train.files), len(c.test.files))
	}
	return c, nil
}

// cocoTest is the file of COCO's validation captions beside those for training,
// "" if there is none.
func cocoTest(file string) string {
	dir, name := filepath.Split(file)
	year, ok := strings.CutPrefix(name, "captions_train")
	if val := "captions_val" + year; ok && exist(dir, val) {
		return filepath.Join(dir, val)
	}
	return ""
}

// givenSplits parts entries as Karpathy's files tell.
func givenSplits(entries []captionEntry) (train, test []captionEntry, err error) {
	var val []captionEntry
	for _, e := range entries {
		switch e.split {
		case "train", "restval":
			train = append(train, e)
		case "val":
			val = append(val, e)
		case "test":
			test = append(test, e)
		default:
			return nil, nil, fmt.Errorf("%s: the split is %q, not train, restval, val or test", e.where, e.split)
		}
	}
	if len(test) == 0 {
		test = val
	}
	if len(train) == 0 || len(test) == 0 {
		return nil, nil, fmt.Errorf("it has %d captions of training and %d of test images: both splits need one", len(train), len(test))
	}
	return train, test, nil
}

// captionSplitOf gathers the captions of each image, and finds the images.
func captionSplitOf(file string, entries []captionEntry) (captionSplit, error) {
	s := captionSplit{captions: map[string][]string{}}
	where := map[string]string{}
	for _, e := range entries {
		name, caption := filepath.ToSlash(filepath.Clean(e.image)), strings.TrimSpace(e.caption)
		switch {
		case !isImageName(name):
			return s, fmt.Errorf("%s: %s: %q does not end as an image does (%s)", file, e.where, e.image, strings.Join(extensions, ", "))
		case !filepath.IsLocal(name):
			return s, fmt.Errorf("%s: %s: %q is not below the file's folder", file, e.where, e.image)
		case caption == "":
			return s, fmt.Errorf("%s: %s: the caption of %s is empty", file, e.where, name)
		}
		if s.captions[name] == nil {
			where[name] = e.where
		}
		s.captions[name] = append(s.captions[name], caption)
	}
	images := slices.Sorted(maps.Keys(s.captions))
	s.root = captionRoot(file, images)
	var missing []string
	for _, name := range images {
		path := filepath.Join(s.root, filepath.FromSlash(name))
		stat, err := os.Stat(path)
		if err == nil {
			err = regular(path, stat)
		}
		switch {
		case errors.Is(err, os.ErrNotExist):
			missing = append(missing, fmt.Sprintf("%s (%s)", name, where[name]))
		case err != nil:
			missing = append(missing, fmt.Sprintf("%s (%s: %v)", name, where[name], err))
		}
		s.files = append(s.files, folderFile{path: name})
	}
	if n := len(missing); n > 0 {
		more := ""
		if n > 10 {
			missing, more = missing[:10], fmt.Sprintf(" and %d more", n-10)
		}
		return s, fmt.Errorf("%d of the %d images of %s are missing in %s: %s%s", n, len(images), file, s.root, strings.Join(missing, ", "), more)
	}
	return s, nil
}

func isImageName(name string) bool {
	return slices.Contains(extensions, strings.ToLower(filepath.Ext(name)))
}

// captionRoot is the folder that has most of the first images.
func captionRoot(file string, images []string) string {
	dir := filepath.Dir(file)
	roots := []string{dir}
	for _, below := range []string{"Images", "images", "flickr30k_images", "flickr30k-images", "Flicker8k_Dataset", "Flickr8k_Dataset"} {
		roots = append(roots, filepath.Join(dir, below))
	}
	if strings.EqualFold(filepath.Ext(file), ".json") {
		above := filepath.Join(dir, "..")
		roots = append(roots, above, filepath.Join(above, "images"))
		name := strings.TrimSuffix(filepath.Base(file), filepath.Ext(file))
		if part, ok := strings.CutPrefix(name, "captions_"); ok { // train2017
			for _, root := range slices.Clone(roots) {
				roots = append(roots, filepath.Join(root, part))
			}
		}
	}
	best, most := dir, 0
	for _, root := range roots {
		n := 0
		for _, name := range images[:min(len(images), 10)] {
			if exist(root, filepath.FromSlash(name)) {
				n++
			}
		}
		if n > most {
			best, most = root, n
		}
	}
	return best
}

// captionLimit is the largest file of captions in bytes; COCO's have 92
// million.
const captionLimit = 1 << 30

// readCaptionFile returns at least one entry.
func readCaptionFile(file string) ([]captionEntry, error) {
	text, err := readRegular(context.Background(), file, captionLimit)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // from spreadsheets
	if !utf8.Valid(text) {
		return nil, fmt.Errorf("%s is not UTF-8 text: save it as such", file)
	}
	parse := captionsCSV
	switch strings.ToLower(filepath.Ext(file)) {
	case ".tsv":
		parse = captionsTSV
	case ".token":
		parse = captionsToken
	case ".json":
		parse = captionsJSON
	default:
		switch {
		case strings.HasSuffix(strings.ToLower(file), ".token.txt"): // Flickr8k's
			parse = captionsToken
		case isPipeTable(text):
			parse = captionsPipe
		}
	}
	entries, err := parse(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("no captions in %s: it needs lines of an image and its caption", file)
	}
	return entries, nil
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
