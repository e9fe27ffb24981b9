package data

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// speechSet is words spoken by eSpeak NG where that is installed, in each accent by each voice, at each pitch and speed. What is
// said, how and by whom is therefore known. Of the settings of pitch and speed a third are the test split, so that each pitch and
// each speed is in both, and no pair of them. A frame is as those of spoken-digits.
//
// Sounds are made once for a version of espeak-ng and kept in the cache.
type speechSet struct {
	words, accents, voices []string
	pitches, speeds        []int // espeak-ng's, 0 to 99, and words a minute; equally many of both
}

var speech = speechSet{
	words:   digitNames,
	accents: []string{"en-us", "en-gb-scotland", "en-029"}, // en-gb has the same sound in all voices
	voices:  []string{"m1", "m3", "f2", "f4"},
	pitches: []int{35, 50, 65}, speeds: []int{160, 190, 220},
}

const (
	speechFrames  = 46 // 0.93 s, in which the slowest word ends
	speechVersion = 1  // raised when the same sounds are made other frames of
	speechHead    = 6  // bytes before the frames of a sound: word, accent, voice, pitch, speed and count of frames
)

var errNoSpeech = errors.New("its sounds are made by espeak-ng, which is not on the PATH: install it ('apt-get install espeak-ng')")

func (speechSet) id() string { return "espeak" }

func (s speechSet) info(string) Info {
	all := len(s.words) * len(s.accents) * len(s.voices) * len(s.pitches)
	info := Info{Name: s.id(), Train: all * (len(s.speeds) - 1), Test: all, Height: 1, Width: digitCepstra, Channels: 1, Classes: s.words,
		Licence: "none on what eSpeak NG says", Where: "made by espeak-ng, which is not installed"}
	if path, err := exec.LookPath("espeak-ng"); err == nil {
		info.Present, info.Where = true, "made by "+path
	}
	return info
}

func (s speechSet) open(ctx context.Context, o OpenOptions) (train, test Source, err error) {
	body, err := s.made(ctx, o)
	if err != nil {
		return nil, nil, err
	}
	splits, err := s.parse(body)
	return splits[0], splits[1], err
}

// digest is that of the sounds.
func (s speechSet) digest(ctx context.Context, o OpenOptions) (string, error) {
	body, err := s.made(ctx, o)
	if err != nil {
		return "", fmt.Errorf("data: cannot open %s: %w", s.id(), err)
	}
	return fmt.Sprintf("sha256:%x", sha256.Sum256(body)), nil
}

// made are the sounds of this machine's espeak-ng, from the cache or made now.
func (s speechSet) made(ctx context.Context, o OpenOptions) ([]byte, error) {
	program, err := exec.LookPath("espeak-ng")
	if err != nil {
		return nil, errNoSpeech
	}
	version, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("espeak-ng --version: %w", err)
	}
	dir, err := o.cacheDir(s.id())
	if err != nil {
		return nil, err
	}
	about, _, _ := strings.Cut(string(version), "Data at") // a folder
	key := sha256.Sum256(fmt.Appendf(nil, "%d %s %+v %s", speechVersion, soundFiles.version, s, about))
	path := filepath.Join(dir, fmt.Sprintf("%x", key[:16]))
	if body, err := readSealed(path); err == nil {
		if _, err := s.parse(body); err == nil {
			return body, nil
		}
	}
	body, err := s.sayAll(ctx, program, o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return body, writeSealed(path, body)
}

// sayAll makes all sounds.
func (s speechSet) sayAll(ctx context.Context, program string, o OpenOptions) ([]byte, error) {
	if err := s.known(ctx, program); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "espeak-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	heads := s.heads()
	sounds, digests, errs := make([][][]float32, len(heads)), make([][32]byte, len(heads)), make([]error, len(heads))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next, done atomic.Int64
	var said sync.Mutex
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8) {
		workers.Go(func() {
			for n := int(next.Add(1)) - 1; n < len(heads); n = int(next.Add(1)) - 1 {
				if sounds[n], digests[n], errs[n] = s.say(ctx, program, filepath.Join(dir, fmt.Sprint(n)), heads[n]); errs[n] != nil {
					cancel()
					return
				}
				if o.Progress != nil {
					said.Lock()
					o.Progress("saying "+s.id(), done.Add(1), int64(len(heads)))
					said.Unlock()
				}
			}
		})
	}
	workers.Wait()
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) { // which the others are by the first
			return nil, err
		}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := s.distinct(heads, digests); err != nil {
		return nil, err
	}
	var train [][][]float32
	for n, head := range heads {
		if !s.tests(head) {
			train = append(train, sounds[n])
		}
	}
	low, high := bounds(train, digitCepstra)
	var body []byte
	for n, head := range heads {
		body = append(append(body, head[:]...), byte(len(sounds[n])))
		for _, frame := range sounds[n] {
			for c, v := range frame {
				body = append(body, step(v, low[c], high[c]))
			}
		}
	}
	return body, nil
}

// heads are all sounds there are: word, accent, voice, pitch and speed.
func (s speechSet) heads() (all [][speechHead - 1]byte) {
	for w := range s.words {
		for a := range s.accents {
			for v := range s.voices {
				for p := range s.pitches {
					for k := range s.speeds {
						all = append(all, [...]byte{byte(w), byte(a), byte(v), byte(p), byte(k)})
					}
				}
			}
		}
	}
	return all
}

// tests tells whether a sound is of the test split.
func (s speechSet) tests(head [speechHead - 1]byte) bool {
	return (int(head[3])+int(head[4]))%len(s.speeds) == 0
}

var espeakVariant = regexp.MustCompile(`!v/(\S+)`)

// known refuses accents and voices that this espeak-ng lacks: it would take others in silence.
func (s speechSet) known(ctx context.Context, program string) error {
	accents, err := exec.CommandContext(ctx, program, "--voices=en").Output()
	if err != nil {
		return fmt.Errorf("espeak-ng --voices=en: %w", err)
	}
	for _, accent := range s.accents {
		if !slices.Contains(strings.Fields(string(accents)), accent) {
			return fmt.Errorf("this espeak-ng has no accent %s: reinstall it, with its data", accent)
		}
	}
	voices, err := exec.CommandContext(ctx, program, "--voices=variant").Output()
	if err != nil {
		return fmt.Errorf("espeak-ng --voices=variant: %w", err)
	}
	var all []string
	for _, found := range espeakVariant.FindAllStringSubmatch(string(voices), -1) {
		all = append(all, found[1])
	}
	for _, voice := range s.voices {
		if !slices.Contains(all, voice) {
			return fmt.Errorf("this espeak-ng has no voice %s: reinstall it, with its data", voice)
		}
	}
	return nil
}

// say makes one sound.
func (s speechSet) say(ctx context.Context, program, file string, head [speechHead - 1]byte) (frames [][]float32, digest [32]byte, err error) {
	word, voice := s.words[head[0]], s.accents[head[1]]+"+"+s.voices[head[2]]
	cmd := exec.CommandContext(ctx, program, "-v", voice, "-p", fmt.Sprint(s.pitches[head[3]]), "-s", fmt.Sprint(s.speeds[head[4]]), "-w", file, word)
	if said, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return nil, digest, context.Cause(ctx)
		}
		return nil, digest, fmt.Errorf("espeak-ng -v %s %s: %w: %s", voice, word, err, legible(strings.TrimSpace(string(said))))
	}
	wav, err := os.ReadFile(file)
	if err != nil {
		return nil, digest, err
	}
	if err := os.Remove(file); err != nil {
		return nil, digest, err
	}
	sound, err := decodeSound(wav)
	if err == nil {
		frames, err = Cepstra(sound.samples, sound.rate, digitCepstra)
	}
	if err == nil && len(frames) == 0 {
		err = errors.New("it is too short")
	}
	if err != nil {
		return nil, digest, fmt.Errorf("espeak-ng -v %s %s: %w", voice, word, err)
	}
	return frames[:min(len(frames), speechFrames)], sha256.Sum256(wav), nil
}

// distinct refuses voices and accents that sound alike throughout: as espeak-ng 1.51 has it, all voices do in the accent en-gb.
func (s speechSet) distinct(heads [][speechHead - 1]byte, digests [][32]byte) error {
	whole := map[[2]byte]string{}
	for n, head := range heads {
		whole[[2]byte{head[1], head[2]}] += string(digests[n][:])
	}
	seen := map[string]string{}
	for a := range s.accents {
		for v := range s.voices {
			name, text := s.accents[a]+"+"+s.voices[v], whole[[2]byte{byte(a), byte(v)}]
			if other, known := seen[text]; known {
				return fmt.Errorf("by this espeak-ng %s sounds as %s does: it lacks one of them", name, other)
			}
			seen[text] = name
		}
	}
	return nil
}

// parse reads what sayAll has made.
func (s speechSet) parse(body []byte) (splits [2]Source, err error) {
	var parts [2]*sounds
	for i, name := range []string{"train", "test"} {
		parts[i] = &sounds{name: s.id() + "/" + name, length: speechFrames, labelled: labelled{kinds: []labelling{
			{"word", s.words, nil}, {"voice", s.voices, nil}, {"accent", s.accents, nil},
		}}}
		splits[i] = parts[i]
	}
	for n, want := range s.heads() {
		if len(body) < speechHead || [speechHead - 1]byte(body) != want || len(body) < speechHead+digitCepstra*int(body[speechHead-1]) {
			return splits, fmt.Errorf("sound %d is damaged", n)
		}
		end := speechHead + digitCepstra*int(body[speechHead-1])
		part := parts[0]
		if s.tests(want) {
			part = parts[1]
		}
		for k, label := range []byte{want[0], want[2], want[1]} {
			part.kinds[k].labels = append(part.kinds[k].labels, int32(label))
		}
		part.frames = append(part.frames, body[speechHead:end])
		body = body[end:]
	}
	if len(body) > 0 {
		return splits, errors.New("there is more than its sounds")
	}
	return splits, nil
}
