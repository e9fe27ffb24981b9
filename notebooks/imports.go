// Package notebooks has no code: it imports what the notebooks' cells import, so
// that go.mod keeps it and the setup compiles it before the first cell does.
package notebooks

import (
	_ "github.com/janpfeifer/gonb/gonbui"
	_ "github.com/janpfeifer/must"

	_ "github.com/sslkit/lab/sslkit/pjrt"
)
