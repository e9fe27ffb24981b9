package data

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// captionsCSV reads lines of an image and its caption; one with commas or
// quotes is quoted.
func captionsCSV(text []byte) (entries []captionEntry, err error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	for first := true; ; first = false {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return entries, nil
		}
		if err != nil {
			return nil, err // tells the line
		}
		line, _ := r.FieldPos(0)
		if len(row) != 2 {
			return nil, fmt.Errorf("line %d has %d fields, want 2, an image and its caption: a caption with commas goes in quotes", line, len(row))
		}
		if image := strings.TrimSpace(row[0]); !first || isImageName(image) {
			entries = append(entries, captionEntry{image: image, caption: row[1], where: fmt.Sprintf("line %d", line)})
		}
	}
}

// captionLines calls read for each line that is not empty, but not for the
// first if that names no image.
func captionLines(text []byte, read func(line string) (image, caption string, err error)) (entries []captionEntry, err error) {
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimRight(line, "\r\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		image, caption, err := read(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if image = strings.TrimSpace(image); number > 1 || isImageName(image) {
			entries = append(entries, captionEntry{image: image, caption: caption, where: fmt.Sprintf("line %d", number)})
		}
	}
	return entries, nil
}

// captionsTSV reads lines of an image, a tab, and its caption; nothing is
// quoted.
func captionsTSV(text []byte) ([]captionEntry, error) {
	return captionLines(text, func(line string) (image, caption string, err error) {
		fields := strings.Split(line, "\t")
		if len(fields) != 2 {
			return "", "", fmt.Errorf("%d fields, want 2, an image and its caption, with a tab between them", len(fields))
		}
		return fields[0], fields[1], nil
	})
}

// captionsToken reads lines as captionsTSV, in which # and the number of the
// caption follow the image.
func captionsToken(text []byte) ([]captionEntry, error) {
	return captionLines(text, func(line string) (image, caption string, err error) {
		image, caption, ok := strings.Cut(line, "\t")
		if !ok {
			return "", "", errors.New("it has no tab between an image and its caption")
		}
		if i := strings.LastIndexByte(image, '#'); i >= 0 {
			image = image[:i]
		}
		return image, caption, nil
	})
}

// isPipeTable tells whether the first line is of captionsPipe.
func isPipeTable(text []byte) bool {
	line, _, _ := bytes.Cut(text, []byte("\n"))
	name, _, ok := strings.Cut(string(line), "|")
	name = strings.TrimSpace(name)
	return ok && (name == "image_name" || isImageName(name) && !strings.Contains(name, ","))
}

// captionsPipe reads lines of an image, the number of the caption, and the
// caption, between which is |. In the published file one line lacks the second
// of them: "2199200615.jpg| 4   A dog runs across the grass ."
func captionsPipe(text []byte) ([]captionEntry, error) {
	return captionLines(text, func(line string) (image, caption string, err error) {
		image, rest, ok := strings.Cut(line, "|")
		if !ok {
			return "", "", errors.New("it has no | between an image and the number of its caption")
		}
		rest = strings.TrimLeft(rest, " ")
		caption = strings.TrimLeft(rest, "0123456789")
		if caption == rest && isImageName(strings.TrimSpace(image)) {
			return "", "", errors.New("the number of the caption is missing")
		}
		return image, strings.TrimPrefix(strings.TrimLeft(caption, " "), "|"), nil
	})
}

// captionImage is an image in Karpathy's files, and in COCO's.
type captionImage struct {
	Split     string `json:"split"`
	Folder    string `json:"filepath"`
	Filename  string `json:"filename"`
	Sentences []struct {
		Raw string `json:"raw"`
	} `json:"sentences"`

	ID       int64  `json:"id"`
	FileName string `json:"file_name"`
}

// captionsJSON reads a list of images with sentences, which is Karpathy's form,
// or lists of images and of annotations, which is COCO's.
func captionsJSON(text []byte) ([]captionEntry, error) {
	r := &captionReader{text: text, d: json.NewDecoder(bytes.NewReader(text)), line: 1, names: map[int64]string{}}
	if err := r.object(); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%s: %w", r.place, err)
	}
	for _, a := range r.annotations { // which may come before the images
		name, ok := r.names[a.ImageID]
		if !ok {
			return nil, fmt.Errorf("%s: no image has the id %d", a.where, a.ImageID)
		}
		r.entries = append(r.entries, captionEntry{image: name, caption: a.Caption, where: a.where})
	}
	return r.entries, nil
}

// captionReader goes through a file value by value, to know the lines.
type captionReader struct {
	text    []byte
	d       *json.Decoder
	counted int64 // bytes
	line    int   // at counted
	list    string
	number  int    // of the value in the list
	place   string // of the last value that was begun, for errors

	entries     []captionEntry   // Karpathy's
	names       map[int64]string // COCO's images
	annotations []captionAnnotation
}

// captionAnnotation is a caption in COCO's files.
type captionAnnotation struct {
	ImageID int64  `json:"image_id"`
	Caption string `json:"caption"`

	where string
}

// begin finds out in which place the next value begins.
func (r *captionReader) begin() {
	at := r.d.InputOffset()
	for at < int64(len(r.text)) && strings.IndexByte(" \t\r\n,:", r.text[at]) >= 0 {
		at++
	}
	if at > r.counted {
		r.line += bytes.Count(r.text[r.counted:at], []byte("\n"))
		r.counted = at
	}
	r.place = fmt.Sprintf("line %d", r.line)
	if r.list != "" {
		r.place += fmt.Sprintf(", %s[%d]", r.list, r.number)
	}
}

func (r *captionReader) delim(want json.Delim) error {
	r.begin()
	t, err := r.d.Token()
	if err == nil && t != want {
		err = fmt.Errorf("want %s, not %v", want, t)
	}
	return err
}

func (r *captionReader) object() error {
	if err := r.delim('{'); err != nil {
		return err
	}
	for r.d.More() {
		r.begin()
		key, err := r.d.Token()
		if err != nil {
			return err
		}
		switch key {
		case "images":
			err = r.values("images", r.image)
		case "annotations":
			err = r.values("annotations", r.annotation)
		default:
			var other json.RawMessage
			err = r.d.Decode(&other)
		}
		if err != nil {
			return err
		}
	}
	return r.delim('}')
}

// values calls read for each value of a list.
func (r *captionReader) values(list string, read func() error) error {
	if err := r.delim('['); err != nil {
		return err
	}
	r.list, r.number = list, 0
	for ; r.d.More(); r.number++ {
		if err := read(); err != nil {
			return err
		}
	}
	r.list = ""
	return r.delim(']')
}

func (r *captionReader) image() error {
	r.begin()
	var image captionImage
	if err := r.d.Decode(&image); err != nil {
		return err
	}
	switch {
	case image.FileName != "":
		r.names[image.ID] = image.FileName
		return nil
	case image.Filename == "":
		return errors.New("the image has no name")
	case image.Split == "":
		return fmt.Errorf("the image %q has no split", image.Filename)
	}
	for _, s := range image.Sentences {
		r.entries = append(r.entries, captionEntry{path.Join(image.Folder, image.Filename), s.Raw, image.Split, r.place})
	}
	return nil
}

func (r *captionReader) annotation() error {
	r.begin()
	a := captionAnnotation{where: r.place}
	err := r.d.Decode(&a)
	r.annotations = append(r.annotations, a)
	return err
}
