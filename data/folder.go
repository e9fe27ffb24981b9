package data

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	_ "image/gif"  // decoder
	_ "image/jpeg" // decoder
	_ "image/png"  // decoder
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	_ "golang.org/x/image/bmp"  // decoder
	_ "golang.org/x/image/webp" // decoder
)

// maxPixels is the size of the largest image that is decoded. A file of a few
// kilobytes can ask for any amount of memory.
const maxPixels = 100_000_000

// decodeImage decodes an image of any known format as it is stored, and tells
// its Exif orientation (1 to 8, 1 is upright). It refuses an image over the
// limit by its header.
func decodeImage(r io.ReadSeeker) (img image.Image, orientation int, err error) {
	config, format, err := image.DecodeConfig(r)
	switch {
	case errors.Is(err, image.ErrFormat):
		return nil, 0, errors.New("not a JPEG, PNG, GIF, WebP or BMP image, or damaged")
	case err != nil:
		return nil, 0, truncated(err)
	case config.Width < 1 || config.Height < 1:
		return nil, 0, fmt.Errorf("image of %dx%d pixels", config.Width, config.Height)
	case config.Width > maxPixels/config.Height:
		return nil, 0, fmt.Errorf("image of %dx%d pixels is over the limit of %d million: make it smaller", config.Width, config.Height, maxPixels/1_000_000)
	}
	orientation = 1
	if format == "jpeg" {
		// The Exif segment is at the beginning and at most 64 kB.
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return nil, 0, err
		}
		head, err := io.ReadAll(io.LimitReader(r, 128<<10))
		if err != nil {
			return nil, 0, err
		}
		orientation = exifOrientation(head)
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, 0, err
	}
	if img, _, err = image.Decode(r); err != nil {
		return nil, 0, truncated(err)
	}
	return img, orientation, nil
}

// exifOrientation returns the orientation 1 to 8 of a JPEG file, 1 if it has
// none or an invalid one (Exif 2.3, 4.6.4 A: tag 0x0112 of the 0th IFD). Photos
// from telephones lie on their side without it, which would teach a method of
// rotations something wrong.
func exifOrientation(jpeg []byte) int {
	for b := jpeg[min(2, len(jpeg)):]; len(b) >= 4 && b[0] == 0xff && b[1] != 0xda; {
		size := 2 + int(binary.BigEndian.Uint16(b[2:]))
		if size < 4 || size > len(b) {
			break
		}
		if tiff, ok := bytes.CutPrefix(b[4:size], []byte("Exif\x00\x00")); ok && b[1] == 0xe1 {
			return tiffOrientation(tiff)
		}
		b = b[size:]
	}
	return 1
}

func tiffOrientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.BigEndian
	if tiff[0] == 'I' {
		order = binary.LittleEndian
	}
	start := int64(order.Uint32(tiff[4:]))
	if start+2 > int64(len(tiff)) {
		return 1
	}
	entries := tiff[start+2:]
	for n := order.Uint16(tiff[start:]); n > 0 && len(entries) >= 12; n, entries = n-1, entries[12:] {
		if order.Uint16(entries) == 0x0112 {
			if o := int(order.Uint16(entries[8:])); o >= 1 && o <= 8 {
				return o
			}
			break
		}
	}
	return 1
}

// upright turns a square image as its Exif orientation says.
func upright(img *image.RGBA, orientation int) *image.RGBA {
	if orientation == 1 {
		return img
	}
	last := img.Rect.Dx() - 1
	turned := image.NewRGBA(img.Rect)
	for y := range last + 1 {
		for x := range last + 1 {
			tx, ty := x, y
			if orientation >= 5 { // 5 is the transpose, 6 to 8 follow it like 2 to 4 the identity
				tx, ty = y, x
			}
			switch orientation {
			case 2, 6:
				tx = last - tx
			case 3, 7:
				tx, ty = last-tx, last-ty
			case 4, 8:
				ty = last - ty
			}
			turned.SetRGBA(tx, ty, img.RGBAAt(x, y))
		}
	}
	return turned
}

// openFolder opens a folder of images:
//
//	root/CLASS/...       a class each subfolder; a fifth of the images is the test split
//	root/train/CLASS/... and root/test/CLASS/... (or val): splits as given
//	root/*.jpg           no labels
//
// Images are in the order of their paths; subfolders of a class belong to it.
// Hidden files and those which don't end as images do are passed over.
func openFolder(root string, size int) (train, test Source, err error) {
	stat, err := os.Stat(root)
	if err != nil {
		return nil, nil, fmt.Errorf("data: folder of images: %w", err)
	}
	if !stat.IsDir() {
		return nil, nil, fmt.Errorf("data: %s is not a folder", root)
	}
	files, err := imageFiles(os.DirFS(root))
	if err != nil {
		return nil, nil, fmt.Errorf("data: folder of images: %w", err)
	}
	if len(files) == 0 {
		return nil, nil, fmt.Errorf("data: no images in %s: it needs files that end in %s, in one subfolder a class or without subfolders",
			root, strings.Join(extensions, ", "))
	}
	trainFiles, testFiles := splitFiles(files)
	if len(trainFiles) == 0 || len(testFiles) == 0 {
		return nil, nil, fmt.Errorf("data: %s has %d training and %d test images: both splits need one", root, len(trainFiles), len(testFiles))
	}
	classes, err := folderClasses(slices.Concat(trainFiles, testFiles))
	if err != nil {
		return nil, nil, fmt.Errorf("data: %s: %w", root, err)
	}
	return newFolder(root, "train", size, classes, trainFiles), newFolder(root, "test", size, classes, testFiles), nil
}

var extensions = []string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp"}

func imageFiles(root fs.FS) (files []string, err error) {
	err = fs.WalkDir(root, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(entry.Name(), "."):
			if entry.IsDir() {
				return fs.SkipDir
			}
		case !entry.IsDir() && slices.Contains(extensions, strings.ToLower(path.Ext(name))):
			files = append(files, name)
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

// folderFile is one image.
type folderFile struct {
	path  string // below the root, with slashes
	class string // "" without
}

// splitFiles splits as the folders train and test (or val) say, or else by a
// hash of each path, so that an image stays on its side when others are added.
func splitFiles(files []string) (train, test []folderFile) {
	below := func(dir string) (inside []folderFile) {
		for _, f := range files {
			if rest, ok := strings.CutPrefix(f, dir+"/"); ok {
				inside = append(inside, folderFile{path: f, class: classOf(rest)})
			}
		}
		return inside
	}
	train, test = below("train"), below("test")
	if len(test) == 0 {
		test = below("val")
	}
	if len(train) > 0 && len(test) > 0 {
		return train, test
	}

	byHash := func(a, b string) int { return cmp.Compare(hashName(a), hashName(b)) }
	lowest, highest := slices.MinFunc(files, byHash), slices.MaxFunc(files, byHash)
	train, test = nil, nil
	for _, f := range files {
		file := folderFile{path: f, class: classOf(f)}
		// Of two images or more, each split has one.
		if f != highest && (f == lowest || hashName(f) < math.MaxUint64/5) {
			test = append(test, file)
		} else {
			train = append(train, file)
		}
	}
	return train, test
}

// classOf is the first folder of a path.
func classOf(name string) string {
	class, _, found := strings.Cut(name, "/")
	if !found {
		return ""
	}
	return class
}

// folderClasses returns the names of all classes in order, nil without any.
func folderClasses(files []folderFile) ([]string, error) {
	seen := map[string]string{}
	for _, f := range files {
		seen[f.class] = f.path
	}
	classes := slices.Sorted(maps.Keys(seen))
	if without, ok := seen[""]; ok {
		if len(classes) > 1 {
			return nil, fmt.Errorf("some images are in subfolders and some, like %s, are not: is a subfolder a class or not?", without)
		}
		return nil, nil
	}
	return classes, nil
}

// folder is a split of a folder of images, cut to the central square and
// resized when first read. The small images are kept.
type folder struct {
	root, split string
	size        int
	classes     []string
	files       []folderFile
	kept        []atomic.Pointer[[]uint8]
	room        atomic.Int64 // bytes that may still be kept
}

// folderRoom is the memory for small images a split; past it they are decoded
// each time.
const folderRoom = 1 << 30

func newFolder(root, split string, size int, classes []string, files []folderFile) *folder {
	f := &folder{root: root, split: split, size: size, classes: classes, files: files, kept: make([]atomic.Pointer[[]uint8], len(files))}
	f.room.Store(folderRoom)
	return f
}

func (f *folder) Name() string                         { return "folder:" + f.root + "/" + f.split }
func (f *folder) Len() int                             { return len(f.files) }
func (f *folder) Shape() (height, width, channels int) { return f.size, f.size, 3 }
func (f *folder) Label(i int) int32                    { return int32(slices.Index(f.classes, f.files[i].class)) }
func (f *folder) Classes() []string                    { return f.classes }

func (f *folder) Read(i int, pixels []uint8) error {
	if kept := f.kept[i].Load(); kept != nil {
		copy(pixels, *kept)
		return nil
	}
	name := filepath.Join(f.root, filepath.FromSlash(f.files[i].path))
	if err := f.decode(name, pixels); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if f.room.Add(-int64(len(pixels))) >= 0 {
		kept := slices.Clone(pixels)
		f.kept[i].Store(&kept)
	}
	return nil
}

func (f *folder) decode(name string, pixels []uint8) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	img, orientation, err := decodeImage(file)
	if err != nil {
		return err
	}
	b := img.Bounds()
	side := min(b.Dx(), b.Dy())
	corner := b.Min.Add(image.Pt((b.Dx()-side)/2, (b.Dy()-side)/2))
	square := image.Rectangle{corner, corner.Add(image.Pt(side, side))}
	rgb(upright(resize(img, square, f.size), orientation), pixels)
	return nil
}
