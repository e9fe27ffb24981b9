package data

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// LongestSound is how many frames of a sound can be read, of 20 ms: ten seconds.
const LongestSound = 500

const logMelBands = 40

// soundFiles are WAV and FLAC. The version counts for what [Cepstra], [LogMel] and steps make of them, too.
var soundFiles = &medium{
	things: "sounds", endings: []string{".wav", ".wave", ".flac"},
	unread:  []string{".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".aifc", ".wma", ".au", ".snd", ".amr", ".caf", ".webm", ".wv", ".ape"},
	examine: examineSound, version: "sounds 1",
}

// soundFeatures are numbers that describe a frame of a sound.
type soundFeatures struct {
	width int
	of    func(samples []float64, rate, width int) ([][]float32, error)
}

// soundKind is what a name of the form "audio:PATH" or "logmel:PATH" asks for.
func soundKind(name string) (path string, f soundFeatures, ok bool) {
	kind, path, _ := strings.Cut(name, ":")
	switch kind {
	case "audio":
		return path, soundFeatures{digitCepstra, Cepstra}, true
	case "logmel":
		return path, soundFeatures{logMelBands, LogMel}, true
	}
	return "", soundFeatures{}, false
}

// examineSound finds the facts of one file.
func examineSound(file []byte) facts {
	s, err := decodeSound(file)
	if err != nil {
		return facts{Error: err.Error()}
	}
	if frameCount(len(s.samples), s.rate) == 0 {
		return facts{Error: fmt.Sprintf("%.3f s is too short: a frame alone takes 0.032", float64(len(s.samples))/float64(s.rate))}
	}
	f := facts{Rate: s.rate, Samples: len(s.samples), Channels: s.channels, Constant: true}
	h := sha256.New()
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(s.rate)))
	var b [8]byte
	for _, v := range s.samples {
		binary.LittleEndian.PutUint64(b[:], math.Float64bits(v))
		h.Write(b[:])
		f.Constant = f.Constant && v == s.samples[0]
	}
	f.Pixels = hex.EncodeToString(h.Sum(nil)[:16])
	return f
}

// openSounds opens a folder of sounds, see splitFolder, in frames of 20 ms. All must have the same number of samples a second: none
// is resampled. Channels are averaged. With frames 0 a clip has as many as the longest sound, and else what is longer is cut.
//
// Each of the features is in steps of 1 to 255 between two of its values in the training split, which one in a thousand is below
// and one above.
func openSounds(ctx context.Context, name, path string, f soundFeatures, frames int) (train, test Source, err error) {
	if frames != 0 && (frames < 2 || frames > LongestSound) {
		return nil, nil, fmt.Errorf("data: sounds of %d frames: choose 2 to %d, or 0 for as many as the longest has", frames, LongestSound)
	}
	splits, err := splitFolder(ctx, filepath.Clean(path), 0, soundFiles)
	if err != nil {
		return nil, nil, err
	}
	s := &soundSet{soundFeatures: f, splits: splits, frames: frames}
	splits[0].settle = s.settle
	s.load = sync.OnceValue(s.read)
	return &recordings{splits[0], name + "/train", s, 0}, &recordings{splits[1], name + "/test", s, 1}, nil
}

// soundSet is both splits.
type soundSet struct {
	soundFeatures
	splits []*folder
	frames int // of a clip
	steps  [2][][]byte
	load   func() error // fills steps
}

// settle refuses sounds that do not fit together, decides how many frames a clip has, and notes what is so.
func (s *soundSet) settle() {
	rates := map[int]int{}
	each := func(do func(f *seen)) {
		for _, split := range s.splits {
			for i := range split.seen {
				if f := &split.seen[i]; f.err == nil && f.facts.Error == "" {
					do(f)
				}
			}
		}
	}
	each(func(f *seen) { rates[f.facts.Rate]++ })
	if len(rates) == 0 {
		return
	}
	common := slices.MaxFunc(slices.Sorted(maps.Keys(rates)), func(a, b int) int { return cmp.Compare(rates[a], rates[b]) })
	shortest, longest, long, mixed, whole := math.MaxInt, 0, 0, 0, s.frames == 0
	each(func(f *seen) {
		frames := frameCount(f.facts.Samples, common)
		switch {
		case f.facts.Rate != common:
			f.err = fmt.Errorf("%d samples a second, where the most have %d: resample it ('ffmpeg -i IN -ar %[2]d OUT'), or keep it elsewhere", f.facts.Rate, common)
			return
		case whole && frames > LongestSound:
			f.err = fmt.Errorf("%.1f s is too long: %d frames are read at most, of 20 ms; cut it into shorter ones, "+
				"or choose a number of frames (--set frames=100), and of all what is longer is left out",
				float64(f.facts.Samples)/float64(common), LongestSound)
			return
		case !whole && frames > s.frames:
			long++
		}
		if f.facts.Channels > 1 {
			mixed++
		}
		shortest, longest = min(shortest, f.facts.Samples), max(longest, f.facts.Samples)
	})
	if whole {
		s.frames = max(2, frameCount(longest, common))
	}
	note := func(format string, args ...any) {
		s.splits[0].survey.notes = append(s.splits[0].survey.notes, fmt.Sprintf(format, args...))
	}
	note("sounds of %.2f to %.2f s, of %d samples a second, in %d frames", float64(shortest)/float64(common), float64(longest)/float64(common), common, s.frames)
	if long > 0 {
		note("%d are longer, and cut", long)
	}
	if mixed > 0 {
		note("%d have several channels, which are averaged", mixed)
	}
}

// read decodes all sounds.
func (s *soundSet) read() error {
	var values [2][][][]float32
	type job struct{ split, i int }
	var jobs []job
	for k, f := range s.splits {
		values[k], s.steps[k] = make([][][]float32, len(f.files)), make([][]byte, len(f.files))
		for i := range f.files {
			jobs = append(jobs, job{k, i})
		}
	}
	var next atomic.Int64
	errs := make([]error, len(jobs))
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8) {
		workers.Go(func() {
			for n := int(next.Add(1)) - 1; n < len(jobs); n = int(next.Add(1)) - 1 {
				j := jobs[n]
				values[j.split][j.i], errs[n] = s.describe(s.splits[j.split], j.i)
			}
		})
	}
	workers.Wait()
	for n, err := range errs {
		if err != nil {
			return fmt.Errorf("%s: %w", legible(s.splits[jobs[n].split].file(jobs[n].i)), err)
		}
	}
	low, high := bounds(values[0], s.width)
	for k, sounds := range values {
		for i, frames := range sounds {
			for _, frame := range frames {
				for c, v := range frame {
					s.steps[k][i] = append(s.steps[k][i], step(v, low[c], high[c]))
				}
			}
		}
	}
	return nil
}

// describe reads one sound.
func (s *soundSet) describe(f *folder, i int) ([][]float32, error) {
	file, now, err := readFile(f.file(i))
	if err != nil {
		return nil, err
	}
	if f.seen != nil && (f.seen[i].size != now.Size() || f.seen[i].modified != now.ModTime().UnixNano()) {
		return nil, errChanged
	}
	sound, err := decodeSound(file)
	if err != nil {
		return nil, err
	}
	frames, err := s.of(sound.samples, sound.rate, s.width)
	return frames[:min(len(frames), s.frames)], err
}

// bounds are the values of each feature which one in a thousand is below, and one above.
func bounds(sounds [][][]float32, width int) (low, high []float32) {
	for c := range width {
		var all []float32
		for _, frames := range sounds {
			for _, frame := range frames {
				all = append(all, frame[c])
			}
		}
		slices.Sort(all)
		low, high = append(low, all[len(all)/1000]), append(high, all[len(all)-1-len(all)/1000])
	}
	return low, high
}

// step is v as a byte: 1 at low, 255 at high, and 128 where all values are one.
func step(v, low, high float32) byte {
	if !(low < high) {
		return 128
	}
	part := (float64(v) - float64(low)) / (float64(high) - float64(low))
	return byte(1 + math.Round(254*max(0, min(1, part))))
}

// recordings is a split.
type recordings struct {
	folder *folder
	name   string
	set    *soundSet
	split  int
}

func (r *recordings) images() *folder                      { return r.folder }
func (r *recordings) Name() string                         { return r.name }
func (r *recordings) Len() int                             { return r.folder.Len() }
func (r *recordings) Shape() (height, width, channels int) { return 1, r.set.width, 1 }
func (r *recordings) Label(i int) int32                    { return r.folder.Label(i) }
func (r *recordings) Classes() []string                    { return r.folder.Classes() }
func (r *recordings) Frames() int                          { return r.set.frames }

func (r *recordings) Read(i int, pixels []uint8) error {
	if err := r.set.load(); err != nil {
		return err
	}
	clear(pixels[copy(pixels, r.set.steps[r.split][i]):])
	return nil
}
