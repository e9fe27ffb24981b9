package notebooks

import (
	"fmt"

	"github.com/janpfeifer/must"

	"github.com/sslkit/lab/sslkit"
)

// Method says of a method that a cell registers by which revision its runs are told from those of other versions of it.
func Method(name string) {
	r, err := sslkit.Lookup(name)
	must.M(err)
	fmt.Println(revision(name, sslkit.Config{Method: r.New()}.Revision()))
}

func revision(name string, r sslkit.Revision) string {
	if r.Source == "" {
		return fmt.Sprintf("%s: revision %d, as it was registered; raise it when you change what the method computes", name, r.Number)
	}
	return fmt.Sprintf("%s: revision %s, the digest of its source; edited, it is another method, whose runs are made anew", name, r.Source)
}
