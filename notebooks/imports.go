package notebooks

// What the cells import beyond what this package does: so go.mod keeps it, and the setup compiles it
// before the first cell does.
import (
	_ "github.com/gomlx/gomlx/core/graph"
	_ "github.com/gomlx/gomlx/ml/model"

	_ "github.com/sslkit/lab/data"
	_ "github.com/sslkit/lab/notebooks/assignments/grade"
	_ "github.com/sslkit/lab/notebooks/assignments/training"
	_ "github.com/sslkit/lab/show"
	_ "github.com/sslkit/lab/sslkit"
	_ "github.com/sslkit/lab/sslkit/eval"
	_ "github.com/sslkit/lab/sslkit/loss"
	_ "github.com/sslkit/lab/sslkit/nn"
	_ "github.com/sslkit/lab/sslkit/recipe"
	_ "github.com/sslkit/lab/sslkit/runs"
	_ "github.com/sslkit/lab/sslkit/study"
	_ "github.com/sslkit/lab/sslkit/view"
)
