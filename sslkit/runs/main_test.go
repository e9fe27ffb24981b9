package runs

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/recipe"
)

// Environment of the processes that tests start, which are this program again.
const (
	roleEnv   = "SSLKIT_TEST_ROLE"
	dirEnv    = "SSLKIT_TEST_DIR"
	configEnv = "SSLKIT_TEST_CONFIG"
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "pretrain":
		childPretrain()
	case "evaluate":
		childEvaluate()
	case "write":
		childWrite()
	case "full disk":
		childFullDisk()
	default:
		os.Exit(labtest.InFolder(m.Run))
	}
}

// newStore is an empty one whose news are kept.
func newStore(t testing.TB) (*Store, *labtest.News) {
	news := new(labtest.News)
	return &Store{Dir: t.TempDir(), Report: func(p Progress) { news.Add(p.Now+p.Note, p.Step) }}, news
}

// labelled is the supervised row beside Tiny, shortened.
func labelled(t testing.TB) sslkit.Config { return recipe.Supervised(labtest.Tiny(t)).WithEpochs(2) }

// pretrain is Store.Pretrain where nothing is to fail.
func pretrain(t testing.TB, s *Store, c sslkit.Config) *Record {
	t.Helper()
	r, err := s.Pretrain(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// child is this program in another role.
func child(role, dir string, c sslkit.Config) *exec.Cmd {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), roleEnv+"="+role, dirEnv+"="+dir, configEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	return cmd
}

// childPretrain runs the configuration, saving at each step, and prints "step N" after each, other news, and "done". From
// the step on that the file "hold" beside the runs names it waits as long as there is that file.
func childPretrain() {
	saveEvery = 0
	dir := os.Getenv(dirEnv)
	s := &Store{Dir: dir, Report: func(p Progress) {
		if p.Step.Steps == 0 {
			if text := p.Now + p.Note; text != "" {
				fmt.Println(text)
			}
			return
		}
		fmt.Println("step", p.Step.Step)
		for {
			text, err := os.ReadFile(filepath.Join(dir, "hold"))
			if from, _ := strconv.Atoi(string(text)); err != nil || p.Step.Step < from {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}}
	c, err := sslkit.ReadConfig(strings.NewReader(os.Getenv(configEnv)))
	if err == nil {
		_, err = s.Pretrain(context.Background(), c)
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("done")
}

// childWrite writes one record over and over, with another history each time.
func childWrite() {
	s := &Store{Dir: os.Getenv(dirEnv)}
	r := &Record{Key: keyA, Config: configs[keyA], Revision: sslkit.Revision{Number: 1}}
	for i := 0; ; i++ {
		r.History.Loss = append(r.History.Loss[:0], make([]float64, 100+i%2000)...)
		if err := s.write(r); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		fmt.Println("written")
	}
}
