package data

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/agnivade/levenshtein"
)

// OpenOptions of [Open]; the zero value is fine.
type OpenOptions struct {
	Size     int    // side of photo crops, of scenes, of clips and of a folder's images, with captions or not, and a video's frames, in pixels; default 32
	PerPhoto int    // crops of each photo; default 64
	Frames   int    // of a clip; default 8, at most 64. Of a sound as many as the longest has, or so many, and what is longer is cut; at most [LongestSound]
	Seed     int64  // decides photo crops, scenes and clips
	Dir      string // the cache of downloads; default CacheDir()
	Offline  bool   // never use the network
	// Progress, if set, is called while a file is downloaded or images are looked
	// at, in bytes; total is 0 where the server does not tell it.
	Progress func(file string, done, total int64)
}

// Info describes a dataset that [Open] knows.
type Info struct {
	Name     string   `json:"name"`
	Train    int      `json:"train"` // examples
	Test     int      `json:"test"`
	Height   int      `json:"height"`
	Width    int      `json:"width"`
	Channels int      `json:"channels"`
	Classes  []string `json:"classes,omitempty"`
	Licence  string   `json:"licence"`
	Present  bool     `json:"present"`            // Open needs no network
	Where    string   `json:"where"`              // the folder, "embedded", or the folder Open would download to
	Download int64    `json:"download,omitempty"` // bytes that Open would download
}

// dataset is what each of the named datasets can do.
type dataset interface {
	id() string
	// info looks at the disk, but neither into files nor at the network.
	info(cache string) Info
	open(ctx context.Context, o OpenOptions) (train, test Source, err error)
}

var datasets = []dataset{fashion10k{}, photoSet{}, emojiSet{}, digitSet{}, speech, glossSet{}, glossSet{all: true}, sceneSet{}, clipSet{}, filmSet{}, fashionMNIST, mnist, cifar10, cifar100, stl10, stl10Unlabelled}

// Names lists the datasets that [Open] knows, smallest first, and where they
// are. It does not use the network. Besides, Open takes "folder:PATH",
// "captions:FILE", "video:PATH", "audio:PATH" and "logmel:PATH".
func Names() []Info {
	cache, err := CacheDir()
	if err != nil {
		cache = "(set SSLKIT_HOME to a folder for downloads)"
	}
	infos := make([]Info, len(datasets))
	for i, d := range datasets {
		infos[i] = d.info(cache)
	}
	return infos
}

// Open returns the training and the test split of a dataset:
//
//	fashion-mnist-10k  10,000 and 2,000 of Fashion-MNIST, embedded
//	photos             crops of 191 upright photos, embedded; split by photo
//	emoji              2,776 colour images of 32x32 with captions, embedded: two of each emoji; split by emoji
//	scenes             10,000 and 2,000 drawn scenes, [Annotated] and [Captioned]
//	spoken-digits      3,000 recordings of six speakers as cepstra, embedded: [Clips], [Described] by digit and speaker
//	espeak             720 and 360 words said by espeak-ng, where that is installed, as cepstra: [Clips], [Described] by word, voice and accent
//	glosses            16,800 and 2,400 definitions of nouns in eight classes, embedded: texts, see [IsText]
//	glosses-all        all of WordNet's definitions of four words and more, in its 45 classes
//	clips              10,000 and 2,000 clips of drawn scenes, [Tracked]
//	moving-fashion     10,000 and 2,000 clips of Fashion-MNIST in motion, [Described] by what, direction and speed
//	fashion-mnist      Xiao et al. 2017: 60,000 and 10,000 grey images of 28x28
//	mnist              LeCun et al. 1998: 60,000 and 10,000 grey images of 28x28
//	cifar10, cifar100  Krizhevsky 2009: 50,000 and 10,000 colour images of 32x32
//	stl10              Coates et al. 2011: 5,000 and 8,000 colour images of 96x96
//	stl10-unlabelled   its 100,000 unlabelled images, and the same test split
//	folder:PATH        images in one subfolder a class, in train and test (or val, and others) or not, or without classes in PATH itself
//	captions:FILE      images and captions: lines of an image's path and its caption, in CSV, .tsv or as Flickr30k (.token, results.csv), Karpathy or COCO (.json) have them; images beside FILE or in a folder there
//	video:PATH         [Clips] of a folder of frames, in the natural order of their names, or of a file that ffmpeg reads; its last fifth is for testing
//	audio:PATH         [Clips] of sounds in WAV and FLAC, as 13 [Cepstra] a frame: folders as those of folder:PATH
//	logmel:PATH        the same as 40 bands of [LogMel] a frame
//
// What is neither embedded nor found on this machine is downloaded from its
// usual public address into the cache. Found are also the folders and archives
// of CIFAR (binary and Python version) and STL-10 and the folder raw of MNIST
// and Fashion-MNIST as torchvision stores them, in o.Dir, ./data, $TORCH_HOME,
// ~/.cache/torch, ~/.cache, ~/.keras/datasets and ~/data.
//
// The checksum of every file is verified whenever it is opened, or, of a file
// over 500 MB, that of each image when it is read. A damaged copy is passed over
// for another; if there is none, it is unpacked anew from its archive, or an
// error tells what to delete.
func Open(name string, o OpenOptions) (train, test Source, err error) {
	return OpenContext(context.Background(), name, o)
}

// OpenContext is [Open] with a context that ends a download, an extraction or a
// look at images; the same call later goes on.
//
// Images of the user's are all looked at before the first is used, see [Check].
// Where some cannot be read the error lists them.
func OpenContext(ctx context.Context, name string, o OpenOptions) (train, test Source, err error) {
	if train, test, err = open(ctx, name, &o); err != nil {
		return nil, nil, err
	}
	if splits, ok := filesOf(train, test); ok {
		if err := inspect(ctx, name, o, true, splits...); err != nil {
			return nil, nil, fmt.Errorf("data: %s: %w", name, err)
		}
		v := &Inventory{Name: name}
		v.survey(splits)
		if err := v.Err(); err != nil {
			return nil, nil, err
		}
	}
	return train, test, nil
}

// open opens without looking at the user's images, and fills o's defaults.
func open(ctx context.Context, name string, o *OpenOptions) (train, test Source, err error) {
	if path, features, sounds := soundKind(name); sounds {
		return openSounds(ctx, name, path, features, o.Frames)
	}
	if o.Size == 0 {
		o.Size = 32
	}
	if o.PerPhoto == 0 {
		o.PerPhoto = 64
	}
	if o.Frames == 0 {
		o.Frames = 8
	}
	if o.Size < 1 || o.Size > 4096 {
		return nil, nil, fmt.Errorf("data: image size %d: choose 1 to 4096 pixels", o.Size)
	}
	if o.PerPhoto < 1 {
		return nil, nil, fmt.Errorf("data: %d crops a photo: choose at least 1", o.PerPhoto)
	}
	if o.Frames < 2 || o.Frames > 64 {
		return nil, nil, fmt.Errorf("data: clips of %d frames: choose 2 to 64", o.Frames)
	}
	if path, ok := strings.CutPrefix(name, "folder:"); ok {
		return openFolder(ctx, filepath.Clean(path), o.Size)
	}
	if path, ok := strings.CutPrefix(name, "video:"); ok {
		return openVideo(ctx, filepath.Clean(path), *o)
	}
	if path, ok := strings.CutPrefix(name, "captions:"); ok {
		return openCaptions(filepath.Clean(path), o.Size)
	}
	var known []string
	for _, d := range datasets {
		if d.id() == name {
			if train, test, err = d.open(ctx, *o); err != nil {
				return nil, nil, fmt.Errorf("data: cannot open %s: %w", name, err)
			}
			return train, test, nil
		}
		known = append(known, d.id())
	}
	return nil, nil, unknown(name, known)
}

// unknown is the error for a dataset name that nobody knows.
func unknown(name string, known []string) error {
	var near []string
	for _, k := range known {
		plain := strings.NewReplacer("-", "", "_", "", " ", "")
		a, b := plain.Replace(strings.ToLower(name)), plain.Replace(k)
		if a != "" && strings.Contains(b, a) || levenshtein.ComputeDistance(a, b) <= 2 {
			near = append(near, fmt.Sprintf("%q", k))
		}
	}
	hint := "."
	if len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("data: no dataset is called %q%s Known: %s, folder:PATH, captions:FILE, video:PATH, audio:PATH, logmel:PATH", name, hint, strings.Join(known, ", "))
}

var errOffline = errors.New("it is not on this machine, and Offline forbids to download it")
