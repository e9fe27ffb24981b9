package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/text/unicode/norm"
)

// openFolder opens a folder of images, see splitFolder.
func openFolder(ctx context.Context, root string, size int) (train, test Source, err error) {
	splits, err := splitFolder(ctx, root, size, images)
	if err != nil {
		return nil, nil, err
	}
	return splits[0], splits[1], nil
}

// splitFolder looks for the training and the test split of a folder of files of a medium:
//
//	root/CLASS/...       a class each subfolder; a fifth of its files is the test split
//	root/train/CLASS/... and root/test/CLASS/... (or val, and others): splits as given
//	root/*.jpg           no labels
//
// Files are in the order of their paths; subfolders of a class belong to it.
// Links are followed. Hidden files and those which don't end as the medium's do are
// passed over.
func splitFolder(ctx context.Context, root string, size int, m *medium) (splits []*folder, err error) {
	stat, err := os.Stat(root)
	if err != nil {
		return nil, fmt.Errorf("data: folder of %s: %w", m.things, err)
	}
	if !stat.IsDir() {
		return nil, fmt.Errorf("data: %s is not a folder", root)
	}
	w, err := walk(ctx, root, m)
	if err != nil {
		return nil, fmt.Errorf("data: folder of %s: %w", m.things, err)
	}
	if len(w.files) == 0 {
		passed := ""
		for _, p := range w.passed {
			passed += fmt.Sprintf("; %s", p)
		}
		return nil, fmt.Errorf("data: no %s in %s: it needs files that end in %s, in one subfolder a class or without subfolders%s",
			m.things, root, strings.Join(m.endings, ", "), passed)
	}
	a, err := arrange(w.files, m)
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", root, err)
	}
	classes, err := folderClasses(slices.Concat(a.train, a.test), m)
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", root, err)
	}
	if len(a.train) == 0 || len(a.test) == 0 {
		return nil, fmt.Errorf("data: %s has %d training and %d test %s: both splits need one", root, len(a.train), len(a.test), m.things)
	}
	s := &survey{passed: w.passed, notes: a.notes}
	for _, name := range a.stray {
		s.passed.add(m.things+" beside the splits", "", name)
	}
	if classes != nil {
		s.notes = append(s.notes, a.classesWithout(classes, w.unread, m)...)
	}
	splits = []*folder{newFolder(root, "train", size, classes, a.train), newFolder(root, "test", size, classes, a.test)}
	for _, f := range splits {
		f.survey, f.medium = s, m
	}
	return splits, nil
}

// folderFile is one file.
type folderFile struct {
	path  string // below the root, with slashes
	class string // "" without
}

// arrangement is which images are in which split, and why.
type arrangement struct {
	train, test []folderFile
	given       bool     // by folders
	splits      []string // the folders of the two, where they are given
	stray       []string // images beside them
	notes       []string
}

// A split's folder is one of these words, in any case, maybe behind a common
// prefix and before "set", "images" or a number: Train, test_set, val2017,
// seg_train.
var splitName = regexp.MustCompile(`^(.*[-_. ])?(train|training|test|testing|eval|evaluation|valid|val|validation|dev|devel|development)(?:[-_. ]?(?:set|data|images?|imgs?|split|[0-9]{1,4}))*$`)

// Of two folders that can be the test split the one of lower rank is.
var splitRank = map[string]int{
	"train": 0, "training": 0, "test": 1, "testing": 1, "eval": 2, "evaluation": 2,
	"valid": 3, "val": 3, "validation": 3, "dev": 4, "devel": 4, "development": 4,
}

// splitFolders returns the rank of each folder that is a split by its name.
func splitFolders(names []string) map[string]int {
	ranks, prefixes := map[string]int{}, map[string][]string{}
	for _, name := range names {
		if m := splitName.FindStringSubmatch(strings.ToLower(name)); m != nil {
			ranks[name] = splitRank[m[2]]
			prefixes[m[1]] = append(prefixes[m[1]], name)
		}
	}
	for prefix, names := range prefixes {
		// "bullet train" is a class, unless there is a "bullet test".
		training := func(name string) bool { return ranks[name] == 0 }
		testing := func(name string) bool { return ranks[name] > 0 }
		if prefix != "" && !(slices.ContainsFunc(names, training) && slices.ContainsFunc(names, testing)) {
			for _, name := range names {
				delete(ranks, name)
			}
		}
	}
	return ranks
}

// folders returns the first folders of names, and the names without one.
func folders(names []string) (first, without []string) {
	for _, name := range names {
		if top := firstFolder(name); top == "" {
			without = append(without, name)
		} else if len(first) == 0 || first[len(first)-1] != top {
			first = append(first, top)
		}
	}
	slices.Sort(first)
	return slices.Compact(first), without
}

// below returns the files in a folder, a class each of its subfolders.
func below(folder string, files []string) (inside []folderFile) {
	for _, f := range files {
		if rest, ok := strings.CutPrefix(f, folder+"/"); ok {
			inside = append(inside, folderFile{path: f, class: classOf(rest)})
		}
	}
	return inside
}

// arrange splits as the folders say, or else each class by a hash of the paths,
// so that an image stays on its side when others are added.
func arrange(files []string, m *medium) (*arrangement, error) {
	a := &arrangement{}
	tops, stray := folders(files)
	ranks := splitFolders(tops)
	if len(ranks) == 0 {
		if err := splitsBelow(tops, files); err != nil {
			return nil, err
		}
		a.train, a.test = holdOutFiles(below("", prefixed(files)))
		return a, nil
	}
	a.given, a.stray = true, stray
	splits := slices.SortedFunc(maps.Keys(ranks), func(a, b string) int { return cmp.Or(cmp.Compare(ranks[a], ranks[b]), cmp.Compare(a, b)) })
	for _, top := range tops {
		if _, known := ranks[top]; !known {
			return nil, fmt.Errorf("%s is a split by its name, but what is %s beside it? Splits are train, and test, val, valid, validation, dev or eval: rename %[2]s or move it away, or rename %[1]s if it is a class",
				legible(splits[0]), legible(top))
		}
	}
	for i, s := range splits[1:] {
		if ranks[s] == ranks[splits[i]] {
			return nil, fmt.Errorf("%s and %s mean the same split: join them, or move one away", legible(splits[i]), legible(s))
		}
	}
	if ranks[splits[0]] != 0 {
		return nil, fmt.Errorf("it has the split %s but no train: rename it to train if it is to be split, or give its path as the folder", legible(splits[0]))
	}
	a.train, a.splits = below(splits[0], files), splits[:1]
	labelled := a.train[0].class != ""
	for _, s := range splits[1:] {
		candidate := below(s, files)
		switch {
		case a.test != nil:
			a.notes = append(a.notes, fmt.Sprintf("%s is left out (%d %s): the test split is %s", legible(s), len(candidate), m.things, legible(a.splits[1])))
		case labelled && !slices.ContainsFunc(candidate, func(f folderFile) bool { return f.class != "" }):
			a.notes = append(a.notes, fmt.Sprintf("%s is left out: its %d %s are in no class", legible(s), len(candidate), m.things))
		default:
			a.test, a.splits = candidate, append(a.splits[:1:1], s)
		}
	}
	if a.test == nil {
		a.notes = append(a.notes, fmt.Sprintf("there is no test split: a fifth of %s is held out for it", legible(splits[0])))
		a.train, a.test = holdOutFiles(a.train)
	}
	return a, nil
}

// prefixed puts all names into one folder, "".
func prefixed(files []string) []string {
	all := make([]string, len(files))
	for i, f := range files {
		all[i] = "/" + f
	}
	return all
}

// splitsBelow refuses splits where they are not looked for.
func splitsBelow(tops, files []string) error {
	inside := map[string][]string{}
	for _, f := range files {
		if top, rest, found := strings.Cut(f, "/"); found {
			inside[top] = append(inside[top], rest)
		}
	}
	for _, top := range tops {
		within, _ := folders(inside[top])
		ranks := splitFolders(within)
		training, testing := "", ""
		for _, name := range slices.Sorted(maps.Keys(ranks)) {
			if ranks[name] == 0 {
				training = name
			} else {
				testing = name
			}
		}
		if training != "" && testing != "" {
			return fmt.Errorf("the splits %s and %s are within %s: give the path of that folder, or, if it is a class, put the splits above the classes",
				legible(training), legible(testing), legible(top))
		}
	}
	return nil
}

// holdOutFiles takes a fifth of each class for testing, by a hash of each path.
// Of two images or more each split has one.
func holdOutFiles(files []folderFile) (train, test []folderFile) {
	classes := map[string][]folderFile{}
	for _, f := range files {
		f.path = strings.TrimPrefix(f.path, "/")
		classes[f.class] = append(classes[f.class], f)
	}
	for _, files := range classes {
		byHash := func(a, b folderFile) int {
			return cmp.Or(cmp.Compare(hashName(a.path), hashName(b.path)), cmp.Compare(a.path, b.path))
		}
		lowest, highest := slices.MinFunc(files, byHash), slices.MaxFunc(files, byHash)
		for _, f := range files {
			if f != highest && (f == lowest || hashName(f.path) < math.MaxUint64/5) {
				test = append(test, f)
			} else {
				train = append(train, f)
			}
		}
	}
	byPath := func(a, b folderFile) int { return cmp.Compare(a.path, b.path) }
	slices.SortFunc(train, byPath)
	slices.SortFunc(test, byPath)
	return train, test
}

// splitFiles splits names without classes.
func splitFiles(files []string) (train, test []folderFile) {
	if a, err := arrange(files, images); err == nil && a.given {
		return a.train, a.test
	}
	var all []folderFile
	for _, f := range files {
		all = append(all, folderFile{path: f})
	}
	return holdOutFiles(all)
}

func firstFolder(name string) string {
	top, _, found := strings.Cut(name, "/")
	if !found {
		return ""
	}
	return top
}

// classOf is the first folder of a path. What looks the same is the same, however
// the system that made it composes letters and accents.
func classOf(name string) string { return norm.NFC.String(firstFolder(name)) }

// folderClasses returns the names of all classes in order, nil without any.
func folderClasses(files []folderFile, m *medium) ([]string, error) {
	seen := map[string]string{}
	for _, f := range files {
		seen[f.class] = f.path
	}
	classes := slices.Sorted(maps.Keys(seen))
	if without, ok := seen[""]; ok {
		if len(classes) > 1 {
			return nil, fmt.Errorf("some %s are in subfolders and some, like %s, are not: is a subfolder a class or not?", m.things, legible(without))
		}
		return nil, nil
	}
	return classes, nil
}

// classesWithout names the folders that would be classes if their files could be
// read.
func (a *arrangement) classesWithout(classes, unread []string, m *medium) (notes []string) {
	lost := map[string]int{}
	count := func(files []folderFile) {
		for _, f := range files {
			if _, known := slices.BinarySearch(classes, f.class); !known && f.class != "" {
				lost[f.class]++
			}
		}
	}
	if !a.given {
		count(below("", prefixed(unread)))
	}
	for _, s := range a.splits {
		count(below(s, unread))
	}
	for _, class := range slices.Sorted(maps.Keys(lost)) {
		notes = append(notes, fmt.Sprintf("%s is no class: its %d %s are of a kind that is not read", legible(class), lost[class], m.things))
	}
	return notes
}

// survey is what was found besides the images of a folder or a film.
type survey struct {
	passed passings
	notes  []string
	film   string // digest of a film's frames
}

// folder is a split of a folder of images, cut to the central square and
// resized when first read. The small images are kept.
type folder struct {
	medium      *medium
	root, split string
	size        int
	classes     []string
	files       []folderFile
	labels      []int32
	seen        []seen  // once inspected
	survey      *survey // nil for captions
	settle      func()  // if set, called once both splits are inspected
	kept        []atomic.Pointer[[]uint8]
	room        atomic.Int64 // bytes that may still be kept
}

// folderRoom is the memory for small images a split; past it they are decoded
// each time.
const folderRoom = 1 << 30

func newFolder(root, split string, size int, classes []string, files []folderFile) *folder {
	f := &folder{medium: images, root: root, split: split, size: size, classes: classes, files: files, kept: make([]atomic.Pointer[[]uint8], len(files))}
	f.room.Store(folderRoom)
	f.labels = make([]int32, len(files))
	for i, file := range files {
		label, found := slices.BinarySearch(classes, file.class) // they are in order
		if !found {
			label = -1
		}
		f.labels[i] = int32(label)
	}
	return f
}

// images of a split are what a digest and an inventory are of.
func (f *folder) images() *folder { return f }

func (f *folder) file(i int) string { return join(f.root, f.files[i].path) }

func (f *folder) Name() string                         { return "folder:" + f.root + "/" + f.split }
func (f *folder) Len() int                             { return len(f.files) }
func (f *folder) Shape() (height, width, channels int) { return f.size, f.size, 3 }
func (f *folder) Label(i int) int32                    { return f.labels[i] }
func (f *folder) Classes() []string                    { return f.classes }

func (f *folder) Read(i int, pixels []uint8) error {
	if kept := f.kept[i].Load(); kept != nil {
		copy(pixels, *kept)
		return nil
	}
	if err := f.decode(i, pixels); err != nil {
		return fmt.Errorf("%s: %w", legible(f.file(i)), err)
	}
	if f.room.Add(-int64(len(pixels))) >= 0 {
		kept := slices.Clone(pixels)
		f.kept[i].Store(&kept)
	}
	return nil
}

func (f *folder) decode(i int, pixels []uint8) error {
	file, now, err := readFile(f.file(i))
	if err != nil {
		return err
	}
	if f.seen != nil && (f.seen[i].size != now.Size() || f.seen[i].modified != now.ModTime().UnixNano()) {
		return errChanged
	}
	img, err := decodeImage(file)
	if err != nil {
		return err
	}
	rgb(img.square(f.size), pixels)
	return nil
}

var errChanged = errors.New("it has changed since the images were looked at: start again, once nobody writes to them")

// readFile reads a regular file that is not too large, and tells what it is. It
// never waits for a pipe.
func readFile(name string) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, reason(err)
	}
	defer f.Close()
	stat, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, reason(err)
	case !stat.Mode().IsRegular():
		return nil, nil, errors.New("not a file")
	case stat.Size() > maxFile:
		return nil, nil, fmt.Errorf("a file of %d MB is over the limit of %d", stat.Size()>>20, maxFile>>20)
	}
	b := make([]byte, stat.Size())
	if _, err := io.ReadFull(f, b); err != nil {
		return nil, nil, reason(truncated(err))
	}
	return b, stat, nil
}

// reason is an error without the path, which is said before it.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// File is the path of example i of a dataset of images in files of the user's, "" of others.
func File(src Source, i int) string {
	for {
		switch s := src.(type) {
		case interface{ part() *subset }:
			src, i = s.part().Source, int(s.part().index[i])
		case ofFiles:
			return s.images().file(i)
		default:
			return ""
		}
	}
}

// Image reads one image file as [Open] reads those of a folder: its middle square, in so many pixels, [size, size, channels] row by
// row, where channels are 3, or 1 for grey.
func Image(path string, size, channels int) ([]uint8, error) {
	file, _, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	img, err := decodeImage(file)
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", legible(path), err)
	}
	pixels := make([]uint8, 3*size*size)
	rgb(img.square(size), pixels)
	if channels == 3 {
		return pixels, nil
	}
	gray := make([]uint8, size*size)
	for i := range gray { // Rec. 601, as image/color's
		r, g, b := int(pixels[3*i]), int(pixels[3*i+1]), int(pixels[3*i+2])
		gray[i] = uint8((299*r + 587*g + 114*b + 500) / 1000)
	}
	return gray, nil
}
