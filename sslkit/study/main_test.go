package study

import (
	"context"
	"os"
	"os/exec"
	"testing"

	"github.com/sslkit/lab/data"
	"github.com/sslkit/lab/internal/labtest"
	"github.com/sslkit/lab/internal/shorten"
	"github.com/sslkit/lab/sslkit"
	"github.com/sslkit/lab/sslkit/runs"
)

// roleEnv says what this program is to be, which tests start again.
const roleEnv = "SSLKIT_TEST_ROLE"

func TestMain(m *testing.M) {
	shorten.SupervisedEpochs = 2
	switch os.Getenv(roleEnv) {
	case "best":
		os.Exit(m.Run())
	case "study":
		childStudy()
	default:
		os.Exit(labtest.InFolder(m.Run))
	}
}

// onBest reports whether this process has the backend that users get. Where it has not, the test runs again in one that has:
// a process has one backend.
func onBest(t *testing.T) bool {
	t.Helper()
	if os.Getenv(roleEnv) == "best" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), roleEnv+"=best", "GOMLX_BACKEND="+os.Getenv(labtest.BackendEnv))
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Error(err)
	}
	return false
}

// opened are the training and the test images of a configuration.
func opened(t *testing.T, c sslkit.Config) (train, test data.Source) {
	t.Helper()
	j, err := (&runs.Store{Dir: t.TempDir()}).Job(t.Context(), c)
	if err == nil {
		err = j.Load(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	return j.Train, j.Test
}

// newStore is an empty one whose news are kept.
func newStore(t testing.TB) (*runs.Store, *labtest.News) {
	news := new(labtest.News)
	return &runs.Store{Dir: t.TempDir(), Report: func(p runs.Progress) { news.Add(p.Now+p.Note, p.Step) }}, news
}

// pretrain is Store.Pretrain where nothing is to fail.
func pretrain(t testing.TB, s *runs.Store, c sslkit.Config) *runs.Record {
	t.Helper()
	r, err := s.Pretrain(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
