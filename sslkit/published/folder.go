package published

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFolder makes a new folder of files, by name. It appears whole or not at all.
func WriteFolder(dir string, files map[string][]byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("published: writing %s: %w", dir, err)
		}
	}()
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.New("there is something of this name already: name another folder, or delete it")
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".export-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(tmp, name), content, 0o644); err != nil {
			return err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return err
	}
	return os.Rename(tmp, dir)
}
