package data

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNamesTellsWhatOpenGives(t *testing.T) {
	t.Setenv("SSLKIT_HOME", t.TempDir())
	for _, info := range Names() {
		if info.Licence == "" || info.Where == "" || info.Train == 0 || info.Test == 0 {
			t.Errorf("%s: incomplete: %+v", info.Name, info)
		}
		if info.Present == (info.Download > 0) && info.Name != "espeak" { // which is made by a program that may be missing
			t.Errorf("%s: present %v, but %d bytes to download", info.Name, info.Present, info.Download)
		}
		if info.Where != "embedded" && info.Where != "drawn" {
			continue
		}
		train, test, err := Open(info.Name, OpenOptions{Offline: true})
		if err != nil {
			t.Fatal(err)
		}
		h, w, c := train.Shape()
		if train.Len() != info.Train || test.Len() != info.Test || h != info.Height || w != info.Width || c != info.Channels {
			t.Errorf("%s: %d and %d examples of %dx%dx%d, but Names tells %+v", info.Name, train.Len(), test.Len(), h, w, c, info)
		}
		if train.Name() != info.Name+"/train" || test.Name() != info.Name+"/test" {
			t.Errorf("%s: splits are called %s and %s", info.Name, train.Name(), test.Name())
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, test := range []struct {
		name string
		o    OpenOptions
		want string
	}{
		{"cifar", OpenOptions{}, `no dataset is called "cifar"; did you mean "cifar10" or "cifar100"? Known: fashion-mnist-10k, photos,`},
		{"fasion_mnist", OpenOptions{}, `did you mean "fashion-mnist"?`},
		{"CIFAR-10", OpenOptions{}, `did you mean "cifar10" or "cifar100"?`},
		{"imagenet", OpenOptions{}, `no dataset is called "imagenet". Known: `},
		{"", OpenOptions{}, `no dataset is called "". Known: `},
		{"photos", OpenOptions{Size: -1}, "image size -1"},
		{"photos", OpenOptions{Size: 100000}, "image size 100000"},
		{"photos", OpenOptions{PerPhoto: -1}, "-1 crops a photo"},
		{"clips", OpenOptions{Frames: 1}, "clips of 1 frames: choose 2 to 64"},
		{"cifar10", OpenOptions{Offline: true, Dir: t.TempDir()}, "cannot open cifar10: it is not on this machine, and Offline forbids to download it"},
	} {
		_, _, err := Open(test.name, test.o)
		wantError(t, err, test.want)
	}
}

func TestCacheDir(t *testing.T) {
	t.Setenv("SSLKIT_HOME", "/somewhere")
	if dir, err := CacheDir(); err != nil || dir != filepath.Join("/somewhere", "data") {
		t.Errorf("with SSLKIT_HOME: %s, %v", dir, err)
	}
	t.Setenv("SSLKIT_HOME", "")
	user, err := os.UserCacheDir()
	if err != nil {
		t.Skip(err)
	}
	if dir, err := CacheDir(); err != nil || dir != filepath.Join(user, "sslkit", "data") {
		t.Errorf("without: %s, %v", dir, err)
	}
}
