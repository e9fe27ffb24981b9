package data

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A fifth of a video's frames, at its end, are for testing. Clips start this
// many frames apart in training; in testing one starts where another ends.
const (
	videoTest = 5
	videoStep = 2
)

// maxFrames is how much of a video file is read: about five minutes. What is
// cut off is said.
const maxFrames = 10_000

// openVideo opens clips of consecutive frames, cut to the central square: a
// folder of images, in the natural order of their names, or a file that ffmpeg
// can read. No frame is in both splits. There is no truth: Tracks are all 0.
func openVideo(ctx context.Context, path string, o OpenOptions) (train, test Source, err error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("data: video: %w", err)
	}
	var names []string
	s := &survey{}
	root := path
	switch {
	case stat.IsDir():
		w, err := walk(ctx, path, images)
		if err != nil {
			return nil, nil, fmt.Errorf("data: video: %w", err)
		}
		names, s.passed = w.files, w.passed
		slices.SortFunc(names, natural)
	case stat.Mode().IsRegular():
		var f *extracted
		if root, f, err = extractVideo(ctx, path, o); err != nil {
			return nil, nil, fmt.Errorf("data: video %s: %w", path, err)
		}
		for _, frame := range f.Frames {
			names = append(names, frame.Name)
		}
		s.notes, s.film = f.Notes, f.Digest
	default:
		return nil, nil, fmt.Errorf("data: video %s is neither a file nor a folder of frames", path)
	}
	files := make([]folderFile, len(names))
	for i, name := range names {
		files[i].path = name
	}
	from := len(files) - len(files)/videoTest
	if from < o.Frames || len(files)-from < o.Frames {
		return nil, nil, fmt.Errorf("data: video %s has %d frames: to train and test on clips of %d it needs %d",
			path, len(files), o.Frames, videoTest*o.Frames)
	}
	split := func(name string, files []folderFile, step int) *video {
		f := newFolder(root, name, o.Size, nil, files)
		f.survey = s
		return &video{f, "video:" + path + "/" + name, o.Frames, step}
	}
	return split("train", files[:from], videoStep), split("test", files[from:], o.Frames), nil
}

// extracted is what is kept beside the extracted frames of a video file: all of
// them, in their order.
type extracted struct {
	Digest string      `json:"digest"` // of the video file
	Frames []filmFrame `json:"frames"`
	Notes  []string    `json:"notes,omitempty"`
}

type filmFrame struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

const filmFile = "film"

// readFilm reads what extractVideo has written, and verifies all frames.
func readFilm(root string) (*extracted, error) {
	body, err := readSealed(filepath.Join(root, filmFile))
	if err != nil {
		return nil, err
	}
	f := &extracted{}
	if err := json.Unmarshal(body, f); err != nil {
		return nil, err
	}
	for _, frame := range f.Frames {
		if err := checksum("sha256:"+frame.Digest).verify(context.Background(), filepath.Join(root, frame.Name)); err != nil {
			return nil, fmt.Errorf("%s: %w", frame.Name, err)
		}
	}
	return f, nil
}

// extractVideo returns a folder of the file's frames, from the cache or made by
// ffmpeg.
func extractVideo(ctx context.Context, path string, o OpenOptions) (string, *extracted, error) {
	cache, err := o.cacheDir("video")
	if err != nil {
		return "", nil, err
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return "", nil, err
	}
	// Another content of the same name is another video.
	digest, err := hashFile(ctx, full, o)
	if err != nil {
		return "", nil, err
	}
	root := filepath.Join(cache, fmt.Sprintf("%s-%d", digest[:32], o.Size))
	if f, err := readFilm(root); err == nil && f.Digest == digest {
		return root, f, nil
	}
	note, err := lookAtFilm(full)
	if err != nil {
		return "", nil, err
	}
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return "", nil, errors.New("reading a video file takes ffmpeg, which is not on the PATH: install it, or give a folder of frames")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", nil, err
	}
	part, err := os.MkdirTemp(cache, "part-")
	if err != nil {
		return "", nil, err
	}
	defer os.RemoveAll(part)
	f := &extracted{Digest: digest}
	if f.Notes, err = runFFmpeg(ctx, ffmpeg, full, part, o.Size); err != nil {
		return "", nil, err
	}
	if note != "" && len(f.Notes) == 0 {
		f.Notes = []string{note}
	}
	if err := f.list(part, maxFrames); err != nil {
		return "", nil, err
	}
	// What is there is damaged or of an earlier version, or another process was faster: both are as good.
	if err := os.RemoveAll(root); err != nil {
		return "", nil, err
	}
	if err := os.Rename(part, root); err != nil {
		if other, found := readFilm(root); found == nil {
			return root, other, nil
		}
		return "", nil, err
	}
	return root, f, nil
}

// hashFile is the digest of a file of any size.
func hashFile(ctx context.Context, path string, o OpenOptions) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return "", err
	}
	done := int64(0)
	h := sha256.New()
	_, err = io.Copy(h, &countingReader{r: contextReader{ctx, f}, read: func(n int) {
		done += int64(n)
		if o.Progress != nil {
			o.Progress("looking at "+filepath.Base(path), done, stat.Size())
		}
	}})
	return fmt.Sprintf("%x", h.Sum(nil)), err
}

// lookAtFilm refuses lists of other files, whose content nobody would look at,
// and notes what ffmpeg says nothing of.
func lookAtFilm(path string) (note string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 512))
	if err != nil {
		return "", err
	}
	stat, err := f.Stat()
	if err != nil {
		return "", err
	}
	text := strings.TrimLeft(string(head), "\ufeff \t\r\n")
	for _, list := range []string{"ffconcat ", "#EXTM3U", "<?xml", "<MPD", "[playlist]"} {
		if strings.HasPrefix(text, list) {
			return "", errors.New("it is a list of films, not a film: give one of them")
		}
	}
	// A transport stream (ISO 13818-1, 2.4.3.2) is packets of 188 bytes that each begin with 0x47, without a length.
	const packet = 188
	switch {
	case len(head) <= 2*packet || head[0] != 0x47 || head[packet] != 0x47 || head[2*packet] != 0x47:
		return "", nil
	case stat.Size()%packet != 0:
		return "the film is truncated: it ends within a packet", nil
	}
	return "a film of this kind (MPEG transport stream) does not tell its length: whether it is whole is not known", nil
}

// list writes the list of the frames beside them, of the given number at most.
func (f *extracted) list(part string, most int) error {
	entries, err := os.ReadDir(part)
	if err != nil {
		return err
	}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(part, e.Name()))
		if err != nil {
			return err
		}
		f.Frames = append(f.Frames, filmFrame{e.Name(), fmt.Sprintf("%x", sha256.Sum256(b))})
	}
	slices.SortFunc(f.Frames, func(a, b filmFrame) int { return cmp.Compare(a.Name, b.Name) })
	if len(f.Frames) > most {
		last := f.Frames[most] // the only one, see runFFmpeg
		if err := os.Remove(filepath.Join(part, last.Name)); err != nil {
			return err
		}
		f.Frames = f.Frames[:most]
		f.Notes = append(f.Notes, fmt.Sprintf("the film is cut to its first %d frames", most))
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return writeSealed(filepath.Join(part, filmFile), text)
}

// runFFmpeg writes the frames into the folder part, one more than are used at
// most, and returns notes on what it could not read.
func runFFmpeg(ctx context.Context, ffmpeg, path, part string, size int) (notes []string, err error) {
	square := fmt.Sprintf("crop='min(iw,ih)':'min(iw,ih)',scale=%d:%d:flags=area", size, size)
	// A name can be anything, "concat:a" or "http://b" too: it is a file here, and leads to files alone. The pattern of
	// frames has no folder, in which a % would count.
	cmd := exec.CommandContext(ctx, ffmpeg, "-nostdin", "-hide_banner", "-loglevel", "level+info", "-nostats", "-progress", "pipe:1",
		"-protocol_whitelist", "file", "-i", "file:"+path, "-an", "-sn", "-dn", "-vf", square, "-frames:v", fmt.Sprint(maxFrames+1), "%06d.png")
	cmd.Dir = part
	var said, progress bytes.Buffer
	cmd.Stderr, cmd.Stdout = &said, &progress
	err = cmd.Run()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	complaints := complaintsOf(said.String())
	if err != nil {
		return nil, fmt.Errorf("ffmpeg: %w: %s", err, legible(strings.Join(complaints, "; ")))
	}
	entries, err := os.ReadDir(part)
	if err != nil {
		return nil, err
	}
	if len(entries) > maxFrames {
		return nil, nil // the end does not matter
	}
	if len(complaints) > 0 {
		notes = append(notes, fmt.Sprintf("the film is damaged or truncated: %d frames are read, ffmpeg says: %s", len(entries), legible(complaints[0])))
	}
	// Of a container that is cut off between two frames ffmpeg says nothing, but how long it was to be.
	if whole, read := duration(said.String()), outTime(progress.String()); whole > 0 && read < whole-max(.5, whole/50) {
		notes = append(notes, fmt.Sprintf("the film ends early: %.1f of %.1f seconds are read", read, whole))
	}
	return notes, nil
}

var (
	errorLine    = regexp.MustCompile(`(?m)^(?:\[[^\]]*\] )*(?:\[(?:error|fatal|panic)\] (.*)|\[warning\] (.*(?:corrupt|truncated|prematurely|partial|damaged).*))$`)
	addresses    = regexp.MustCompile(` @ 0x[0-9a-f]+`)
	durationLine = regexp.MustCompile(`Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)`)
	outTimeLine  = regexp.MustCompile(`(?m)^out_time_us=(\d+)`)
)

// complaintsOf are ffmpeg's messages of the level error or above, and warnings
// of damage.
func complaintsOf(log string) (all []string) {
	for _, m := range errorLine.FindAllStringSubmatch(addresses.ReplaceAllString(log, ""), -1) {
		all = append(all, strings.TrimSpace(m[1]+m[2]))
	}
	return all
}

// duration is what the container says, in seconds, 0 if nothing.
func duration(log string) float64 {
	m := durationLine.FindStringSubmatch(log)
	if m == nil {
		return 0
	}
	seconds := 0.
	for _, part := range m[1:] {
		v, _ := strconv.ParseFloat(part, 64) // digits
		seconds = 60*seconds + v
	}
	return seconds
}

// outTime is the end of the last frame that was written, in seconds.
func outTime(progress string) float64 {
	all := outTimeLine.FindAllStringSubmatch(progress, -1)
	if all == nil {
		return 0
	}
	us, _ := strconv.ParseFloat(all[len(all)-1][1], 64) // digits
	return us / 1e6
}

// video is a split.
type video struct {
	folder       *folder
	name         string
	frames, step int
}

func (v *video) images() *folder                      { return v.folder }
func (v *video) Name() string                         { return v.name }
func (v *video) Len() int                             { return (len(v.folder.files)-v.frames)/v.step + 1 }
func (v *video) Shape() (height, width, channels int) { return v.folder.Shape() }
func (v *video) Label(int) int32                      { return -1 }
func (v *video) Classes() []string                    { return nil }
func (v *video) Frames() int                          { return v.frames }
func (v *video) Tracks(_ int, id []uint8)             { clear(id) }

func (v *video) Read(i int, pixels []uint8) error {
	size := len(pixels) / v.frames
	for t := range v.frames {
		if err := v.folder.Read(i*v.step+t, pixels[t*size:(t+1)*size]); err != nil {
			return err
		}
	}
	return nil
}
