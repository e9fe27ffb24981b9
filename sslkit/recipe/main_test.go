package recipe_test

import (
	"os"
	"testing"

	"github.com/sslkit/lab/internal/labtest"
)

func TestMain(m *testing.M) { os.Exit(labtest.InFolder(m.Run)) }
