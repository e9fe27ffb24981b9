package recipe_test

import (
	"os"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
)

// Each recipe says at the top of its file how it is run and what that came to over the seeds.
func TestRecipesSayWhatTheyComeTo(t *testing.T) {
	for _, r := range sslkit.Registered() {
		if r.Role != sslkit.SelfSupervised {
			continue
		}
		text, err := os.ReadFile(r.Name + ".go")
		if err != nil {
			t.Error(err)
			continue
		}
		top, _, _ := strings.Cut(string(text), "\npackage recipe\n")
		for _, want := range []string{"// sslkit pretrain --method " + r.Name + " --preset smoke\n", " ± ", "seeds 1"} {
			if !strings.Contains(top+strings.ReplaceAll(top, "\n// ", " "), want) {
				t.Errorf("%s.go does not say %q at its top", r.Name, want)
			}
		}
	}
}
