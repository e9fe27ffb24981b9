package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// examples is how many files an inventory names of each finding, but for those
// that cannot be read, of which it names all.
const examples = 10

// Inventory is what a dataset holds and what is odd about it, looked at once before it is used. Names of files are
// below the dataset's folder, and printable: what is no character in them is escaped.
type Inventory struct {
	Name    string       `json:"name"`
	Digest  string       `json:"digest"` // see Digest
	Classes []ClassCount `json:"classes,omitempty"`
	Train   int          `json:"train"`
	Test    int          `json:"test"`

	// Of images, both splits together; of the built-in sets only Gray is known.
	Gray     int `json:"gray"`       // without a colour, or nearly so
	Turned   int `json:"turned"`     // by their Exif orientation
	Deep     int `json:"sixteen"`    // 16 bits a sample
	Low      int `json:"low_of_16"`  // 16 bits a sample, of which 12 or fewer are used: likely to be far too dark
	Dark     int `json:"near_black"` // 99 % of the pixels below 16 of 255
	Constant int `json:"constant"`   // all pixels, or all samples of a sound, equal

	// Test images that are in the training split too, by their pixels, and pairs of them.
	Duplicates     int         `json:"duplicates"`
	DuplicatePairs []Duplicate `json:"duplicate_pairs,omitempty"`

	Files      map[string][]string `json:"files,omitempty"`      // the first ten of each finding, by its JSON name
	Unreadable []Unreadable        `json:"unreadable,omitempty"` // all of them; a dataset with any cannot be opened
	Passed     []Passed            `json:"passed,omitempty"`     // files that are not used
	Notes      []string            `json:"notes,omitempty"`      // what else a reader of results should know, a sentence each
}

// ClassCount is how many examples of a class each split has.
type ClassCount struct {
	Name  string `json:"name"`
	Train int    `json:"train"`
	Test  int    `json:"test"`
}

// Duplicate is a test image and one of the training split with the same pixels.
type Duplicate struct {
	Train     string `json:"train"`
	Test      string `json:"test"`
	SameBytes bool   `json:"same_bytes"` // the files are equal too
}

// Unreadable is a file that ends as an image does and cannot be read.
type Unreadable struct {
	File   string `json:"file"`
	Reason string `json:"reason"`
}

// Passed is how many files were passed over for one reason.
type Passed struct {
	Reason string   `json:"reason"`
	Kind   string   `json:"kind,omitempty"` // the ending of their names
	Count  int      `json:"count"`
	Files  []string `json:"files"` // the first ten
}

func (p Passed) String() string {
	what := p.Reason
	if p.Kind != "" {
		what = fmt.Sprintf("%s (%s)", p.Reason, legible(p.Kind))
	}
	return fmt.Sprintf("%d passed over: %s", p.Count, what)
}

// things are what the dataset is made of.
func (v *Inventory) things() string {
	if _, _, sounds := soundKind(v.Name); sounds {
		return "sounds"
	}
	return "images"
}

// findings are the counts in the order of their importance.
func (v *Inventory) findings() []struct {
	count      int
	name, text string
} {
	constant := "of one colour throughout"
	if v.things() == "sounds" {
		constant = "silent throughout"
	}
	return []struct {
		count      int
		name, text string
	}{
		{v.Low, "low_of_16", "of 16 bits that use 12 or fewer, and are likely to be far too dark"},
		{v.Dark, "near_black", "nearly black"},
		{v.Constant, "constant", constant},
		{v.Gray, "gray", "grey"},
		{v.Deep, "sixteen", "of 16 bits"},
		{v.Turned, "turned", "turned by their Exif orientation"},
	}
}

// Line is the inventory in one line.
func (v *Inventory) Line() string {
	parts := []string{fmt.Sprintf("%s: %d training and %d test examples, %d classes", legible(v.Name), v.Train, v.Test, len(v.Classes))}
	if n := len(v.Unreadable); n > 0 {
		parts = append(parts, fmt.Sprintf("%d cannot be read", n))
	}
	if v.Duplicates > 0 {
		parts = append(parts, fmt.Sprintf("%d test %s are in the training split too", v.Duplicates, v.things()))
	}
	for _, f := range v.findings() {
		if f.count > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", f.count, f.text))
		}
	}
	rest := 0
	for _, p := range v.Passed {
		if p.Reason == "no "+v.things()+otherKind {
			rest += p.Count
		} else {
			parts = append(parts, p.String())
		}
	}
	if rest > 0 {
		parts = append(parts, fmt.Sprintf("%d other files passed over", rest))
	}
	return strings.Join(append(parts, v.Notes...), "; ")
}

// String is the whole inventory as text, many lines.
func (v *Inventory) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n%d training and %d test examples, %d classes\n", legible(v.Name), v.Digest, v.Train, v.Test, len(v.Classes))
	width := len("class")
	for _, c := range v.Classes {
		width = max(width, len([]rune(legible(c.Name))))
	}
	if len(v.Classes) > 0 {
		fmt.Fprintf(&b, "\n%-*s  %8s  %8s\n", width, "class", "train", "test")
	}
	for _, c := range v.Classes {
		fmt.Fprintf(&b, "%-*s  %8d  %8d\n", width, legible(c.Name), c.Train, c.Test)
	}
	if len(v.Notes) > 0 {
		b.WriteByte('\n')
	}
	for _, n := range v.Notes {
		fmt.Fprintln(&b, n)
	}
	list := func(title string, count int, files []string) {
		fmt.Fprintf(&b, "\n%s\n", title)
		for _, f := range files {
			fmt.Fprintf(&b, "  %s\n", f)
		}
		if more := count - len(files); more > 0 {
			fmt.Fprintf(&b, "  and %d more\n", more)
		}
	}
	if n := len(v.Unreadable); n > 0 {
		var lines []string
		for _, u := range v.Unreadable {
			lines = append(lines, u.File+": "+u.Reason)
		}
		list(fmt.Sprintf("%d cannot be read", n), n, lines)
	}
	if v.Duplicates > 0 {
		var lines []string
		for _, d := range v.DuplicatePairs {
			lines = append(lines, d.Test+" is "+d.Train)
		}
		list(fmt.Sprintf("%d test %s are in the training split too", v.Duplicates, v.things()), v.Duplicates, lines)
	}
	for _, f := range v.findings() {
		if f.count > 0 {
			list(fmt.Sprintf("%d %s", f.count, f.text), f.count, v.Files[f.name])
		}
	}
	for _, p := range v.Passed {
		list(p.String(), p.Count, p.Files)
	}
	return b.String()
}

// Err is not nil where files cannot be read. It names the first ten of them.
func (v *Inventory) Err() error {
	n := len(v.Unreadable)
	if n == 0 {
		return nil
	}
	text := fmt.Sprintf("data: %d of the %s of %s cannot be read: mend them or move them away; 'sslkit data check' lists all", n, v.things(), legible(v.Name))
	for _, u := range v.Unreadable[:min(n, examples)] {
		text += "\n" + u.File + ": " + u.Reason
	}
	if n > examples {
		text += fmt.Sprintf("\nand %d more", n-examples)
	}
	return errors.New(text)
}

// ofFiles is a source of image files.
type ofFiles interface{ images() *folder }

// filesOf returns the files of the splits, false where they are built in.
func filesOf(train, test Source) ([]*folder, bool) {
	a, ok := train.(ofFiles)
	if !ok {
		return nil, false
	}
	return []*folder{a.images(), test.(ofFiles).images()}, true
}

// Check looks at every file of a dataset once and tells what is there. Files that cannot be read are in the inventory,
// where [Open] refuses them. What was seen is remembered by content: only what is new is read again. Of the built-in
// sets it counts classes.
func Check(ctx context.Context, name string, o OpenOptions) (*Inventory, error) {
	_, _, v, err := Inspect(ctx, name, o)
	return v, err
}

// Inspect is [Check], and returns the splits that it opened to look at. See [Inventory.Err] for what must not be used.
func Inspect(ctx context.Context, name string, o OpenOptions) (train, test Source, v *Inventory, err error) {
	if train, test, err = open(ctx, name, &o); err != nil {
		return nil, nil, nil, err
	}
	v = &Inventory{Name: name, Train: train.Len(), Test: test.Len()}
	splits, ok := filesOf(train, test)
	if !ok {
		if v.Digest, err = Digest(ctx, name, o); err != nil {
			return nil, nil, nil, err
		}
		v.count(train, test)
		if _, _, channels := train.Shape(); channels == 1 {
			v.Gray = v.Train + v.Test
		}
		return train, test, v, nil
	}
	if err := inspect(ctx, name, o, true, splits...); err != nil {
		return nil, nil, nil, err
	}
	v.survey(splits)
	v.count(train, test)
	if s := splits[0].survey; s != nil {
		v.Passed, v.Notes = s.passed, append(v.Notes, s.notes...)
	}
	// What cannot be read at all has no digest.
	if v.Digest, err = digestInspected(name, splits); err != nil && len(v.Unreadable) == 0 {
		return nil, nil, nil, err
	}
	return train, test, v, nil
}

// count counts the examples of each class.
func (v *Inventory) count(train, test Source) {
	classes := train.Classes()
	if len(classes) == 0 {
		return
	}
	v.Classes = make([]ClassCount, len(classes))
	for i, name := range classes {
		v.Classes[i].Name = name
	}
	for i := range train.Len() {
		if l := train.Label(i); l >= 0 {
			v.Classes[l].Train++
		}
	}
	for i := range test.Len() {
		if l := test.Label(i); l >= 0 {
			v.Classes[l].Test++
		}
	}
	var noTest, noTrain []string
	for _, c := range v.Classes {
		switch {
		case c.Test == 0:
			noTest = append(noTest, legible(c.Name))
		case c.Train == 0:
			noTrain = append(noTrain, legible(c.Name))
		}
	}
	thing := strings.TrimSuffix(v.things(), "s")
	if len(noTest) > 0 && len(noTest) < len(classes) {
		v.Notes = append(v.Notes, "classes without a test "+thing+": "+strings.Join(noTest, ", "))
	}
	if len(noTrain) > 0 {
		v.Notes = append(v.Notes, "classes without a training "+thing+": "+strings.Join(noTrain, ", "))
	}
}

// survey counts what was seen.
func (v *Inventory) survey(splits []*folder) {
	found := func(is bool, count *int, kind, file string) {
		if !is {
			return
		}
		*count++
		if v.Files == nil {
			v.Files = map[string][]string{}
		}
		if len(v.Files[kind]) < examples {
			v.Files[kind] = append(v.Files[kind], file)
		}
	}
	type place struct{ file, digest string }
	trained := map[string]place{}
	for k, f := range splits {
		for i, s := range f.seen {
			file := legible(f.files[i].path)
			switch {
			case s.err != nil:
				v.Unreadable = append(v.Unreadable, Unreadable{file, s.err.Error()})
				continue
			case s.facts.Error != "":
				v.Unreadable = append(v.Unreadable, Unreadable{file, s.facts.Error})
				continue
			}
			found(s.facts.Gray, &v.Gray, "gray", file)
			found(s.facts.Turned, &v.Turned, "turned", file)
			found(s.facts.Deep, &v.Deep, "sixteen", file)
			found(s.facts.Low, &v.Low, "low_of_16", file)
			found(s.facts.Dark, &v.Dark, "near_black", file)
			found(s.facts.Constant, &v.Constant, "constant", file)
			same, known := trained[s.facts.Pixels]
			switch {
			case k == 0 && !known:
				trained[s.facts.Pixels] = place{file, s.digest}
			case k == 1 && known:
				v.Duplicates++
				if len(v.DuplicatePairs) < examples {
					v.DuplicatePairs = append(v.DuplicatePairs, Duplicate{same.file, file, same.digest == s.digest})
				}
			}
		}
	}
}

// Digest tells the content of a dataset: "sha256:" and the digest of names and contents of the images that are used
// where it is made of the user's files, the digest of the sounds of "espeak", and else the version of the built-in set, "v1". A folder that is moved keeps
// its digest. Files are read whose size, times or inode have changed since they were last.
func Digest(ctx context.Context, name string, o OpenOptions) (string, error) {
	kind, _, _ := strings.Cut(name, ":")
	if name == speech.id() {
		return speech.digest(ctx, o)
	}
	if _, _, sounds := soundKind(name); kind != "folder" && kind != "captions" && kind != "video" && !sounds {
		return builtInVersion(name)
	}
	train, test, err := open(ctx, name, &o)
	if err != nil {
		return "", err
	}
	splits, ok := filesOf(train, test)
	if !ok {
		return "", fmt.Errorf("data: %s is not made of files", name)
	}
	if err := inspect(ctx, name, o, false, splits...); err != nil {
		return "", err
	}
	return digestInspected(name, splits)
}

// digestInspected is the digest of inspected splits.
func digestInspected(name string, splits []*folder) (string, error) {
	kind, file, _ := strings.Cut(name, ":")
	extra := ""
	switch {
	case kind == "captions":
		c, err := readCaptions(filepath.Clean(file))
		if err != nil {
			return "", fmt.Errorf("data: captions: %w", err)
		}
		h := sha256.New()
		for _, name := range c.sources {
			text, err := readRegular(context.Background(), name, captionLimit)
			if err != nil {
				return "", fmt.Errorf("data: captions: %s: %w", name, err)
			}
			sum := sha256.Sum256(text)
			h.Write(sum[:])
		}
		extra = fmt.Sprintf("%x", h.Sum(nil))
	case splits[0].medium.version != "":
		extra = splits[0].medium.version
	case splits[0].survey != nil:
		extra = splits[0].survey.film
	}
	return digestOf(kind, extra, splits...)
}

// versions of built-in sets whose pixels, labels or splits are not those of the first, "v1". Who changes a set raises its.
var versions = map[string]string{}

func builtInVersion(name string) (string, error) {
	var known []string
	for _, d := range datasets {
		if d.id() == name {
			return cmp.Or(versions[name], "v1"), nil
		}
		known = append(known, d.id())
	}
	return "", unknown(name, known)
}
