package grade

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A cell's program is this one in another role.
const failEnv = "SSLKIT_TEST_FAIL"

func TestMain(m *testing.M) {
	if os.Getenv(failEnv) == "" {
		os.Exit(m.Run())
	}
	Near("the loss", math.NaN(), 2, 0.5)
}

// In a notebook a failed check is one sentence, without a stack; elsewhere it is a panic with an error, which a test can recover.
func TestCheckSaysOneSentence(t *testing.T) {
	const want = "the loss is NaN, want 2 to within 0.5"
	file := filepath.Join(t.TempDir(), "said")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), failEnv+"=1", "SSLKIT_CELL_ERROR="+file)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); !errors.As(err, &exit) || exit.ExitCode() != 1 || stderr.Len() > 0 {
		t.Errorf("%v, want exit status 1; standard error has %q, want nothing", err, &stderr)
	}
	if said, _ := os.ReadFile(file); string(said) != want {
		t.Errorf("the kernel is to say %q, want %q", said, want)
	}
	t.Setenv("SSLKIT_CELL_ERROR", "")
	defer func() {
		if err, ok := recover().(error); !ok || err.Error() != want {
			t.Errorf("panic %v, want an error that says %q", err, want)
		}
	}()
	Near("the loss", math.NaN(), 2, 0.5)
}

func TestChecksOfRowsLookAtEachNumber(t *testing.T) {
	t.Setenv("SSLKIT_CELL_ERROR", "")
	fails := func(check func()) (failed bool) {
		defer func() { failed = recover() != nil }()
		check()
		return false
	}
	x := [][]float64{{1, 2}, {3, 4}}
	for name, other := range map[string][][]float64{"a row less": {{1, 2}}, "a number less": {{1, 2}, {3}}, "the last": {{1, 2}, {3, 5}}, "a row more": {{1, 2}, {3, 4}, {5}}} {
		if !fails(func() { NearRows("x", other, x, 0.1) }) {
			t.Errorf("%s: %v passes for %v", name, other, x)
		}
	}
	if fails(func() { NearRows("x", Clone(x), x, 0) }) || fails(func() { Same("x", []int{1, 2}, []int{1, 2}) }) || !fails(func() { Same("x", []int{1, 3}, []int{1, 2}) }) {
		t.Error("equal rows fail, or other numbers pass")
	}
}

func TestGradient(t *testing.T) {
	x := [][]float64{{2, 3}, {-1, 0}}
	got := Gradient(x, func() float64 { return x[0][0]*x[0][0]*x[0][1] + math.Sin(x[1][1]) })
	NearRows("the gradient", got, [][]float64{{12, 4}, {0, 1}}, 1e-8) // rounding, 1e-16*12/1e-5, and h*h
	NearRows("x, afterwards,", x, [][]float64{{2, 3}, {-1, 0}}, 0)
}

func TestPermutations(t *testing.T) {
	if got := fmt.Sprint(Permutations(3)); got != "[[0 1 2] [0 2 1] [1 0 2] [1 2 0] [2 0 1] [2 1 0]]" {
		t.Errorf("%s", got)
	}
	if got := Spread([][]int{{0, 1, 2}, {0, 2, 1}, {1, 2, 0}}); got != 2+3+2 {
		t.Errorf("they differ in %d places, want 7", got)
	}
}
