// Package jpyexec is a file that env/kernel adds to GoNB's package of this name.
package jpyexec

import (
	"errors"
	"os"
)

// said returns what the cell that has just ended left to be said in place of its exit status, if it failed: see package
// notebooks. The file is there once.
func said(failed bool) error {
	file := os.Getenv("SSLKIT_CELL_ERROR")
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.Remove(file)
	}
	if err != nil || !failed {
		return nil
	}
	return errors.New(string(text))
}
