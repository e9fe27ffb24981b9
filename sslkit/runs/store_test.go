package runs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
)

// put writes a finished record with this key, begun so many hours after the first of all.
func put(t testing.TB, s *Store, key string, hour int) *Record {
	t.Helper()
	r := &Record{Key: key, Config: configs[key], Revision: sslkit.Revision{Number: 1}, Done: true, History: sslkit.History{Loss: []float64{2, 1}, Seconds: 3},
		Version: "v1", Started: time.Date(2024, 5, 6, hour, 0, 0, 0, time.UTC)}
	if err := s.write(r); err != nil {
		t.Fatal(err)
	}
	return r
}

var (
	configs = map[string]sslkit.Config{}
	keyA    = keyed("aaa")
	keyB    = keyed("aab")
	keyC    = keyed("c")
)

// keyed finds a configuration whose key begins with prefix.
func keyed(prefix string) string {
	c := labtest.Full()
	for c.Seed = 0; ; c.Seed++ {
		if key := c.Key(); strings.HasPrefix(key, prefix) {
			configs[key] = c
			return key
		}
	}
}

func damage(t testing.TB, s *Store, key string) {
	t.Helper()
	path := s.path(key, "record.json")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, text[:len(text)/2], 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenFolder(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	t.Setenv("HOME", dir) // where the user's cache folder is, depending on the system
	t.Setenv("XDG_CACHE_HOME", at("cache"))
	t.Setenv("LocalAppData", at("cache"))
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ arg, runs, home, want string }{
		{at("arg"), at("runs"), at("home"), at("arg")},
		{"", at("runs"), at("home"), at("runs")},
		{"", "", at("home"), filepath.Join(at("home"), "runs")},
		{"", "", "", filepath.Join(cache, "sslkit", "runs")},
	} {
		t.Setenv("SSLKIT_RUNS", test.runs)
		t.Setenv("SSLKIT_HOME", test.home)
		s, err := Open(test.arg)
		if err != nil {
			t.Error(err)
			continue
		}
		if s.Dir != test.want {
			t.Errorf("%+v: opened %s", test, s.Dir)
		}
		if info, err := os.Stat(test.want); err != nil || !info.IsDir() {
			t.Errorf("%+v: the folder was not made: %v", test, err)
		}
	}

	if err := os.WriteFile(at("file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = Open(filepath.Join(at("file"), "runs"))
	labtest.WantError(t, "a folder within a file", err, "set SSLKIT_HOME to another", at("file"))
}

func TestListIsInOrderAndSkipsWhatIsBroken(t *testing.T) {
	s, _ := newStore(t)
	if all, err := s.List(); len(all) != 0 || err != nil {
		t.Errorf("no runs: %v, %v", all, err)
	}
	late, early := put(t, s, keyA, 9), put(t, s, keyC, 1)
	put(t, s, keyB, 5)
	damage(t, s, keyB)
	// What else may lie there: locks, a stranger's folder, a file, a run of which nothing was written before a crash, what a
	// killed writer left.
	for _, dir := range []string{".locks", "notes", "dddddddddddddddd"} {
		if err := os.Mkdir(filepath.Join(s.Dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"README", keyA + "/.record.json123", keyA + "/record.json~"} {
		if err := os.WriteFile(filepath.Join(s.Dir, file), []byte("{"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.List()
	if !reflect.DeepEqual(all, []*Record{early, late}) {
		t.Errorf("records %v, want those of %s and %s, as written", all, keyC, keyA)
	}
	if !errors.Is(err, ErrDamaged) {
		t.Errorf("error %v, want ErrDamaged", err)
	}
	labtest.WantError(t, "a damaged record", err, keyB, "the same request begins it again")
	if strings.Contains(fmt.Sprint(err), keyA) {
		t.Errorf("%v blames a good record", err)
	}

	s.Dir = filepath.Join(s.Dir, "nowhere")
	if _, err := s.List(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a store without a folder: %v", err)
	}
}

func TestGetByPrefix(t *testing.T) {
	s, _ := newStore(t)
	a, c := put(t, s, keyA, 0), put(t, s, keyC, 0)
	put(t, s, keyB, 0)
	for prefix, want := range map[string]*Record{"aaa": a, keyA: a, "c": c} {
		if got, err := s.Get(prefix); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, %v", prefix, got, err)
		}
	}
	for prefix, want := range map[string][]string{
		"aa":        {"the keys of 2 runs begin with", keyA, keyB},
		"d":         {`no run's key begins with "d"`, "'sslkit runs list' shows them"},
		"":          {"no run's key begins with"},
		keyA + "a":  {"no run's key begins with"},
		"../" + "a": {"no run's key begins with"},
	} {
		_, err := s.Get(prefix)
		labtest.WantError(t, "prefix "+prefix, err, want...)
		_, err = s.Delete(prefix)
		labtest.WantError(t, "deleting prefix "+prefix, err, want...)
	}

	damage(t, s, keyC)
	_, err := s.Get("c")
	labtest.WantError(t, "a damaged record", err, keyC, "damaged", "the same request begins it again")
	// A record that was copied by hand passes for no other run.
	if err := os.Rename(s.path(keyA, "record.json"), s.path(keyC, "record.json")); err != nil {
		t.Fatal(err)
	}
	_, err = s.Get("c")
	labtest.WantError(t, "another run's record", err, "damaged", keyA)
	if all, _ := s.List(); len(all) != 1 {
		t.Errorf("%d records, want 1", len(all))
	}
}

func TestFind(t *testing.T) {
	s, _ := newStore(t)
	c := labtest.Tiny(t)
	if _, err := s.Find(context.Background(), c); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a run that was never begun: %v", err)
	}
	c.Backend = "go"
	digest, err := data.Digest(t.Context(), c.Data.Name, data.OpenOptions{Size: c.Data.Size})
	if err != nil {
		t.Fatal(err)
	}
	c.Data.Digest = digest
	configs[c.Key()] = c
	want := put(t, s, c.Key(), 0)
	c.Backend, c.Data.Digest = "", ""
	if got, err := s.Find(context.Background(), c); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	damage(t, s, want.Key)
	if _, err := s.Find(context.Background(), c); !errors.Is(err, ErrDamaged) {
		t.Errorf("a damaged record: %v", err)
	}
	c.Epochs = 0
	_, err = s.Find(context.Background(), c)
	labtest.WantError(t, "an invalid configuration", err, "choose at least 1")
}

func TestDelete(t *testing.T) {
	s, _ := newStore(t)
	put(t, s, keyA, 0)
	put(t, s, keyC, 0)
	unlock, err := s.lock(t.Context(), keyA)
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Delete("aa")
	labtest.WantError(t, "a run under way", err, keyA, "under way in process", fmt.Sprint(os.Getpid()), "stop that first")
	if _, err := s.Get(keyA); err != nil {
		t.Errorf("what was refused is gone: %v", err)
	}
	unlock()
	if key, err := s.Delete("aa"); key != keyA || err != nil {
		t.Errorf("deleted %s, %v", key, err)
	}
	if _, err := os.Stat(s.path(keyA)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
	if all, err := s.List(); len(all) != 1 || all[0].Key != keyC || err != nil {
		t.Errorf("left are %v, %v", all, err)
	}
	damage(t, s, keyC)
	if _, err := s.Delete("c"); err != nil {
		t.Errorf("a damaged record cannot be deleted: %v", err)
	}
}

func TestLockWaits(t *testing.T) {
	s, notes := newStore(t)
	unlock, err := s.lock(t.Context(), keyA)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.lock(ctx, keyA); !errors.Is(err, sslkit.ErrInterrupted) {
		t.Errorf("waiting was cancelled: %v", err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("process %d on %s is at the same run", os.Getpid(), host); !strings.Contains(notes.String(), want) {
		t.Errorf("news %q, want %q", notes, want)
	}
	if s.Busy(keyA) == "" || s.Busy(keyB) != "" {
		t.Errorf("at the run that is locked is %q, at another one %q", s.Busy(keyA), s.Busy(keyB))
	}
	other, err := s.lock(t.Context(), keyB) // another run's is free
	if err != nil {
		t.Fatal(err)
	}
	other()

	got := make(chan error)
	go func() {
		again, err := s.lock(context.Background(), keyA)
		if err == nil {
			again()
		}
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatalf("two have the same lock: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	unlock()
	if err := <-got; err != nil {
		t.Errorf("the lock is free: %v", err)
	}
}

// On a cluster a process alone names nobody.
func TestHolding(t *testing.T) {
	for _, names := range jobs {
		for _, name := range names {
			t.Setenv(name, "")
		}
	}
	if text := holding(); strings.Contains(text, "job") {
		t.Errorf("without a job: %q", text)
	}
	t.Setenv("SLURM_JOB_ID", "47")
	if text := holding(); !strings.HasSuffix(text, ", job 47") {
		t.Errorf("in a job: %q", text)
	}
	t.Setenv("SLURM_ARRAY_JOB_ID", "45")
	t.Setenv("SLURM_ARRAY_TASK_ID", "6")
	if text := holding(); !strings.HasSuffix(text, ", job 45_6") {
		t.Errorf("in an array: %q", text)
	}
}

// A lock of which nobody could be told is given back.
func TestLockWithoutHolder(t *testing.T) {
	s, _ := newStore(t)
	holder := s.lockFile(keyA) + ".holder"
	if err := os.MkdirAll(holder, 0o755); err != nil { // in the file's place
		t.Fatal(err)
	}
	if _, err := s.lock(t.Context(), keyA); err == nil {
		t.Fatal("no error")
	}
	if err := os.Remove(holder); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	unlock, err := s.lock(ctx, keyA)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}

// Killed at any moment, a writer leaves a whole record: the last one or the one before.
func TestRecordsAreAtomic(t *testing.T) {
	dir := t.TempDir()
	s := &Store{Dir: dir}
	for i := range 5 {
		cmd := child("write", dir, sslkit.Config{})
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 3 + i { // then it is within the next write
			if !lines.Scan() || lines.Text() != "written" {
				t.Errorf("the writer says %q", lines.Text())
			}
		}
		time.Sleep(time.Duration(i*331) * time.Microsecond)
		cmd.Process.Kill()
		cmd.Wait()
		if r, err := s.read(keyA); err != nil {
			t.Fatal(err)
		} else if len(r.History.Loss) < 100 {
			t.Fatalf("%d losses", len(r.History.Loss))
		}
		if all, err := s.List(); len(all) != 1 || err != nil {
			t.Fatalf("%d records, %v", len(all), err)
		}
	}
}

// childFullDisk puts a large record in the place of one, where no file can grow beyond 64 kB: writing fails in the middle, as
// on a full disk. The limit is the process's, so it has one of its own.
func childFullDisk() {
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1 << 16, Max: 1 << 16}); err != nil {
		fmt.Println(err)
		return
	}
	s := &Store{Dir: os.Getenv(dirEnv)}
	big, err := s.Get(keyA)
	if err == nil {
		big.History.Loss = make([]float64, 100_000)
		err = s.write(big)
	}
	fmt.Printf("%t %v", errors.Is(err, syscall.EFBIG), err)
}

func TestFullDisk(t *testing.T) {
	s, _ := newStore(t)
	old := put(t, s, keyA, 0)
	out, err := child("full disk", s.Dir, sslkit.Config{}).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"true", "runs: writing", s.path(keyA, "record.json")} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the writer says %q, without %q", out, want)
		}
	}
	if got, err := s.Get(keyA); err != nil || !reflect.DeepEqual(got, old) {
		t.Errorf("the old record is %+v, %v", got, err)
	}
	if entries, err := os.ReadDir(s.path(keyA)); err != nil || len(entries) != 1 {
		t.Errorf("left are %v, %v", entries, err)
	}
	put(t, s, keyA, 1) // there is room again
}

// Where nothing can be written the old record stays. A folder in the place of the file that is to come first stands for all
// reasons; for a full disk see TestFullDisk.
func TestWriteToNowhere(t *testing.T) {
	s, _ := newStore(t)
	if err := os.WriteFile(s.path(keyA), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	err := s.write(&Record{Key: keyA})
	labtest.WantError(t, "a file where the run's folder is to be", err, "runs: writing", keyA)

	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	old := put(t, s, keyC, 0)
	if err := os.Chmod(s.path(keyC), 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(s.path(keyC), 0o755)
	changed := *old
	changed.Version = "v2"
	labtest.WantError(t, "a read-only folder", s.write(&changed), "runs: writing", keyC)
	if got, err := s.Get(keyC); err != nil || !reflect.DeepEqual(got, old) {
		t.Errorf("the old record is %v, %v", got, err)
	}
}

func TestVersion(t *testing.T) {
	if Version() == "" {
		t.Error("no version")
	}
	// Of a checkout that a notebook's cell is built with, git says it.
	dir := t.TempDir()
	if got := checkedOut(dir, "(devel)"); got != "(devel)" {
		t.Errorf("a folder that is no checkout is at %s", got)
	}
	for _, args := range [][]string{{"init", "-q"}, {"-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"}} {
		if out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
			t.Skipf("git %v: %v %s", args, err, out)
		}
	}
	if got := checkedOut(dir, "(devel)"); !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(got) {
		t.Errorf("a checkout is at %q", got)
	}
}
