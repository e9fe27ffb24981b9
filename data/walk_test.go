package data

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func walkIn(t *testing.T, root string) *walked {
	t.Helper()
	w, err := walk(context.Background(), root, images)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		t.Skip("no links here: ", err)
	}
}

func TestWalkFollowsLinksButNotInCircles(t *testing.T) {
	root, elsewhere := t.TempDir(), t.TempDir()
	writeFiles(t, elsewhere, map[string][]byte{"cats/1.png": nil, "one.jpg": nil})
	writeFiles(t, root, map[string][]byte{"dog/1.png": nil})
	link(t, filepath.Join(elsewhere, "cats"), filepath.Join(root, "cat"))
	link(t, filepath.Join(elsewhere, "one.jpg"), filepath.Join(root, "dog", "linked.jpg"))
	link(t, "..", filepath.Join(root, "dog", "up"))
	link(t, "me", filepath.Join(root, "dog", "me"))
	link(t, "nowhere.png", filepath.Join(root, "dog", "gone.png"))
	link(t, "nowhere.txt", filepath.Join(root, "dog", "gone.txt"))
	w := walkIn(t, root)
	// gone.png is an image that is missing: who opens the folder is told.
	if want := []string{"cat/1.png", "dog/1.png", "dog/gone.png", "dog/linked.jpg"}; !slices.Equal(w.files, want) {
		t.Errorf("images %q, want %q", w.files, want)
	}
	var said []string
	for _, p := range w.passed {
		said = append(said, p.Reason+": "+strings.Join(p.Files, " "))
	}
	if want := []string{"links that cannot be followed: dog/me", "links to a folder that holds them: dog/up", "links to nothing: dog/gone.txt"}; !slices.Equal(said, want) {
		t.Errorf("passed over %q, want %q", said, want)
	}
}

func TestWalkTakesNamesOfEveryOrigin(t *testing.T) {
	root := t.TempDir()
	names := []string{"猫/写真.png", "кошка/фото.JPG", "قط/صورة.webp", "with space/a b.png", "quote\"/x'.png", "new\nline/1.png", "-dash/--.png", "100%/%d.png"}
	if runtime.GOOS == "linux" {
		names = append(names, "latin-\xe9/\xff.png")
	}
	files := map[string][]byte{}
	for _, n := range names {
		files[n] = nil
	}
	for _, n := range []string{".hidden.png", "__MACOSX/x.png", "猫/._写真.png", ".git/x.png", "猫/@eaDir/x.png"} {
		files[n] = nil
	}
	writeFiles(t, root, files)
	got := walkIn(t, root).files
	slices.Sort(names)
	if !slices.Equal(got, names) {
		t.Errorf("%q, want %q", got, names)
	}
}

func TestWalkCountsWhatItPassesOver(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string][]byte{"a.png": nil, "b.AVIF": nil, "c/d.avif": nil, "e.heic": nil, "notes.txt": nil, "README": nil})
	w := walkIn(t, root)
	var said []string
	for _, p := range w.passed {
		said = append(said, p.String())
	}
	want := []string{
		"2 passed over: images of a kind that is not read (.avif)", "1 passed over: images of a kind that is not read (.heic)",
		"1 passed over: no images by their names ((no ending))", "1 passed over: no images by their names (.txt)",
	}
	if !slices.Equal(said, want) || !slices.Equal(w.unread, []string{"b.AVIF", "c/d.avif", "e.heic"}) {
		t.Errorf("%q, unread %q", said, w.unread)
	}
}

func TestWalkRefuses(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, root, map[string][]byte{"locked/x.png": nil})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := walk(ctx, root, images); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled walk: %v", err)
	}
	if err := os.Chmod(filepath.Join(root, "locked"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(root, "locked"), 0o755)
	if _, err := os.ReadDir(filepath.Join(root, "locked")); err == nil {
		t.Skip("root may read everything")
	}
	_, err := walk(context.Background(), root, images)
	wantError(t, err, "locked")
}

func TestNatural(t *testing.T) {
	want := []string{
		"a/1.png", "a/2.png", "a/10.png", "a1/1.png", "Frame0.png", "frame01.png", "frame1.png", "FRAME2.png", "frame2b.png", "frame10.png",
		"frame99999999999999999999998.png", "frame99999999999999999999999.png", "フレーム２.png", "フレーム１０.png",
	}
	got := slices.Clone(want)
	slices.Reverse(got)
	slices.SortFunc(got, natural)
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, a := range want {
		for _, b := range want {
			if natural(a, b) != -natural(b, a) {
				t.Errorf("%q and %q have no order", a, b)
			}
		}
	}
}

func TestLegible(t *testing.T) {
	for name, want := range map[string]string{
		"猫 é.png": "猫 é.png", "\x1b[31mred": `\x1b[31mred`, "a\nb": `a\x0ab`, "\xff": `\xff`, "gp\u202egpj.exe": `gp\u{202e}gpj.exe`, `a\b`: `a\\b`,
	} {
		if got := legible(name); got != want {
			t.Errorf("%q is printed as %s, want %s", name, got, want)
		}
	}
}

// FuzzArrange takes any names for those of images.
func FuzzArrange(f *testing.F) {
	f.Add("train/cat/1.png\nvalid/cat/2.png\nREADME.png")
	f.Add("cat/1.png\ncat/2.png\ndog/1.png")
	f.Add("seg_train/a/1.png\nseg_test/a/1.png")
	f.Add("Train/1.png\nTEST/2.png\nval/3.png")
	f.Add("a/train/1.png\na/test/1.png")
	f.Fuzz(func(t *testing.T, text string) {
		var names []string
		for _, n := range strings.Split(text, "\n") {
			if n = strings.Trim(filepath.ToSlash(filepath.Clean(n)), "/"); n != "" && n != "." && !strings.HasPrefix(n, "..") {
				names = append(names, n)
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
		if len(names) == 0 {
			return
		}
		a, err := arrange(names, images)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		classes := map[string][2]int{}
		for k, split := range [][]folderFile{a.train, a.test} {
			for _, file := range split {
				if seen[file.path] || !slices.Contains(names, file.path) {
					t.Errorf("%q is there twice or was not given", file.path)
				}
				seen[file.path] = true
				n := classes[file.class]
				n[k]++
				classes[file.class] = n
			}
		}
		for class, n := range classes {
			if !a.given && n[0]+n[1] > 1 && (n[0] == 0 || n[1] == 0) {
				t.Errorf("class %q has %d and %d images", class, n[0], n[1])
			}
		}
	})
}
