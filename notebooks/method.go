package notebooks

import (
	"fmt"

	"github.com/janpfeifer/must"

	"github.com/sslkit/lab/sslkit"
)

// Register is sslkit.Register for a method that a cell declares, and returns what was registered:
//
//	var mine = notebooks.Register(sslkit.Registration{Name: "mine", New: func() sslkit.Method { ... }})
//	var config = must.M1(mine.Preset(sslkit.Smoke, "fashion-mnist-10k"))
//
// A variable it must be, since Go sets a program's variables before it calls its init functions, each after those that its value
// is made from; and all that cells have declared is one program.
func Register(r sslkit.Registration) sslkit.Registration {
	defer func() {
		if err, ok := recover().(error); ok {
			must.M(err)
		}
	}()
	sslkit.Register(r)
	return must.M1(sslkit.Lookup(r.Name))
}

// Method prints by which revision the runs of a method are told from those of other versions of it.
func Method(r sslkit.Registration) {
	fmt.Println(revision(r.Name, sslkit.Config{Method: r.New()}.Revision()))
}

func revision(name string, r sslkit.Revision) string {
	if r.Source == "" {
		return fmt.Sprintf("%s, revision %d: raise the number when you change what the method computes, or older runs are taken for it", name, r.Number)
	}
	return fmt.Sprintf("%s, revision %s, the digest of its source: edited, it is another method, and its runs are made anew", name, r.Source)
}
