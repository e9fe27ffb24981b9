package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit/study"
)

// Without records nothing is trained, and what is missing is named.
func TestClaims(t *testing.T) {
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	t.Setenv("SSLKIT_RECORDS", "")
	page := filepath.Join(t.TempDir(), "claims.md")
	out, progress := must(t, "claims --md "+page)
	wantAll(t, "claims", out, "Without records: few-labels, color, adversary", "p below 5 %", "written: "+page)
	if progress != "" {
		t.Errorf("it works: %s", progress)
	}
	wantAll(t, "the page", read(t, page), "# The lecture's claims", "Without records: few-labels")

	var claims study.Claims
	out, _ = must(t, "claims temperature --json")
	decode(t, out, &claims)
	if len(claims.Missing) != 1 || claims.Missing[0] != "temperature" {
		t.Errorf("%s", out)
	}
}

func TestClaimsMistakes(t *testing.T) {
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	wantMistakes(t, []mistake{
		{"claims temprature", 2, `no claim is called "temprature": choose one of`},
		{"claims --seeds 1,2", 2, "--seeds: give at least three"},
		{"claims --md nowhere/claims.md", 2, "there is no folder for nowhere/claims.md"},
		{"claims --trane", 2, "(did you mean --train?)"},
	})
}

// Of a store without runs there are no results.
func TestResults(t *testing.T) {
	t.Setenv("SSLKIT_RUNS", t.TempDir())
	t.Setenv("SSLKIT_RECORDS", "")
	page := filepath.Join(t.TempDir(), "results.md")
	if out, _ := must(t, "results --md "+page); strings.Contains(out, "|") {
		t.Errorf("results of nothing:\n%s", out)
	}
	wantAll(t, "the page", read(t, page), "# Results", "[claims.md](claims.md)")
	wantMistakes(t, []mistake{{"results --md nowhere/results.md", 2, "there is no folder for nowhere/results.md"}})
}
