package recipe_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sslkit/lab/sslkit"
)

// Each recipe says at the top of its file how it is run, what that takes and what it came to over three seeds.
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
		command := "// sslkit pretrain --method " + r.Name + " --preset smoke\n"
		top += strings.ReplaceAll(top, "\n// ", " ")
		for _, want := range []string{regexp.QuoteMeta(command), " ± ", "1, 2(,| and) 3", "seconds"} {
			if !regexp.MustCompile(want).MatchString(top) {
				t.Errorf("%s.go does not say %q at its top (go run tops_gen.go %s writes it)", r.Name, want, r.Name)
			}
		}
	}
}
