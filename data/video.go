package data

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A fifth of a video's frames, at its end, are for testing. Clips start this
// many frames apart in training; in testing one starts where another ends.
const (
	videoTest = 5
	videoStep = 2
)

// maxFrames is how much of a video file is read: about five minutes.
const maxFrames = 10_000

// openVideo opens clips of consecutive frames, cut to the central square: a
// folder of images, in the order of their names, or a file that ffmpeg can
// read. No frame is in both splits. There is no truth: Tracks are all 0.
func openVideo(ctx context.Context, path string, o OpenOptions) (train, test Source, err error) {
	stat, err := os.Stat(path)
	if err != nil {
		return nil, nil, fmt.Errorf("data: video: %w", err)
	}
	root := path
	if !stat.IsDir() {
		if root, err = extractVideo(ctx, path, stat, o); err != nil {
			return nil, nil, fmt.Errorf("data: video %s: %w", path, err)
		}
	}
	names, err := imageFiles(os.DirFS(root))
	if err != nil {
		return nil, nil, fmt.Errorf("data: video: %w", err)
	}
	var files []folderFile
	for _, name := range names {
		files = append(files, folderFile{path: name})
	}
	from := len(files) - len(files)/videoTest
	if from < o.Frames || len(files)-from < o.Frames {
		return nil, nil, fmt.Errorf("data: video %s has %d frames: to train and test on clips of %d it needs %d",
			path, len(files), o.Frames, videoTest*o.Frames)
	}
	split := func(name string, files []folderFile, step int) *video {
		return &video{newFolder(root, name, o.Size, nil, files), "video:" + path + "/" + name, o.Frames, step}
	}
	return split("train", files[:from], videoStep), split("test", files[from:], o.Frames), nil
}

// extractVideo returns a folder of the file's frames, from the cache or made by
// ffmpeg.
func extractVideo(ctx context.Context, path string, stat fs.FileInfo, o OpenOptions) (string, error) {
	cache, err := o.cacheDir("video")
	if err != nil {
		return "", err
	}
	full, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	// Another file of the same name is another video.
	key := hashName(fmt.Sprint(full, stat.Size(), stat.ModTime().UnixNano(), o.Size))
	root := filepath.Join(cache, fmt.Sprintf("%s-%016x", filepath.Base(path), key))
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	ffmpeg, err := exec.LookPath("ffmpeg")
	if err != nil {
		return "", errors.New("reading a video file takes ffmpeg, which is not on the PATH: install it, or give a folder of frames")
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(cache, "part-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	square := fmt.Sprintf("crop='min(iw,ih)':'min(iw,ih)',scale=%d:%d:flags=area", o.Size, o.Size)
	cmd := exec.CommandContext(ctx, ffmpeg, "-nostdin", "-v", "error", "-i", full, "-an", "-vf", square,
		"-frames:v", fmt.Sprint(maxFrames), filepath.Join(part, "%06d.png"))
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("ffmpeg: %w: %s", err, strings.TrimSpace(said.String()))
	}
	if err := os.Rename(part, root); err != nil {
		if _, found := os.Stat(root); found == nil { // by another process meanwhile
			return root, nil
		}
		return "", err
	}
	return root, nil
}

// video is a split.
type video struct {
	folder       *folder
	name         string
	frames, step int
}

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
