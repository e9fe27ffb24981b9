package runs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gomlx/gomlx/ml/model"
	"github.com/google/renameio/v2"

	"github.com/sslkit/lab/internal/sealed"
	"github.com/sslkit/lab/sslkit"
)

// Shipment marks a record that comes with a checkout, in the folder [Store.Shipped]. It is found whatever backend this machine
// has, verified as records of the store are, and never written; what is measured of it here is kept in the store.
type Shipment struct {
	Machine    string `json:"machine"`        // that trained it
	Parameters string `json:"parameters"`     // SHA-256 of its file of parameters, see [sslkit.WriteParameters]
	Half       bool   `json:"half,omitempty"` // which are rounded to float16; what comes with the record was measured before
}

const (
	shippedFile = "parameters.safetensors"
	// What takes more bytes than wholeShipped is shipped in half of them, and more than maxShipped not at all.
	wholeShipped = 256 << 10
	maxShipped   = 3 << 20
)

// Origin says where the record was made, "" if here.
func (r *Record) Origin() string {
	if r.Shipped == nil {
		return ""
	}
	return fmt.Sprintf("computed on %s, %s, code %s, %d epochs", r.Shipped.Machine, r.Finished.Format(time.DateOnly), r.Version, r.Config.Epochs)
}

// Ship copies finished runs, by their keys' beginnings, into dir: record, measurements, and the parameters without what only
// training needs. It is for the machine that trained them.
func (s *Store) Ship(ctx context.Context, dir string, prefixes ...string) error {
	for _, prefix := range prefixes {
		r, err := s.Get(prefix)
		if err == nil {
			err = s.ship(ctx, dir, r)
		}
		if err != nil {
			return fmt.Errorf("runs: shipping run %s: %w", prefix, err)
		}
	}
	return nil
}

func (s *Store) ship(ctx context.Context, dir string, r *Record) error {
	switch {
	case r.Shipped != nil:
		return errors.New("it came with this checkout")
	case !r.Done || r.Unchecked:
		return errors.New("it is not finished, or older than checksums")
	case userFiles(r.Config.Data.Digest):
		return errors.New("its data are files that others do not have")
	}
	j, err := s.Job(ctx, r.Config)
	if err != nil {
		return err
	}
	if err := j.Load(ctx); err != nil {
		return err
	}
	store, err := s.encoder(ctx, j, r)
	if err != nil {
		return err
	}
	to := filepath.Join(dir, r.Key)
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	shipped := &Shipment{Machine: machine()}
	path := filepath.Join(to, shippedFile)
	for _, shipped.Half = range []bool{false, true} {
		if shipped.Parameters, err = sslkit.WriteParameters(path, store, j.Method, shipped.Half); err != nil {
			return err
		}
		if info, err := os.Stat(path); err == nil && info.Size() <= wholeShipped {
			break
		}
	}
	if info, err := os.Stat(path); err != nil || info.Size() > maxShipped {
		return errors.Join(err, os.RemoveAll(to), fmt.Errorf("its parameters take more than %d MB", maxShipped>>20))
	}
	files, err := filepath.Glob(s.path(r.Key, "*.json"))
	if err != nil {
		return err
	}
	for _, file := range files {
		name := filepath.Base(file)
		if name == "record.json" {
			continue
		}
		if _, err := readMeasured[json.RawMessage](s, r, name); err != nil {
			return err
		}
		text, err := os.ReadFile(file)
		if err == nil {
			err = renameio.WriteFile(filepath.Join(to, name), text, 0o644)
		}
		if err != nil {
			return err
		}
	}
	out := *r
	out.Shipped = shipped
	out.Backend.Config, out.Backend.Tried = r.Backend.Kind, nil // without the paths of that machine
	return write(filepath.Join(to, "record.json"), &out)        // last: without it there is no run
}

// shippedPath is that of a file of a shipped run.
func (s *Store) shippedPath(key, file string) string { return filepath.Join(s.Shipped, key, file) }

// shippedKey returns the key of the shipped run of c's configuration on whatever backend, "" if there is none.
func (s *Store) shippedKey(c sslkit.Config) string {
	if s.Shipped == "" {
		return ""
	}
	s.index.Do(func() {
		s.byRun = make(map[string]string)
		entries, err := os.ReadDir(s.Shipped)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			s.Tell(Progress{Note: fmt.Sprintf("shipped records are not used: %v", err)})
		}
		for _, e := range entries {
			if !IsKey(e.Name()) {
				continue
			}
			r, err := s.readAt(s.shippedPath(e.Name(), "record.json"), e.Name())
			switch {
			case err != nil:
				s.Tell(Progress{Key: e.Name(), Note: fmt.Sprintf("%v; it is not used", err)})
			case r.Shipped != nil && r.Done:
				s.byRun[anywhere(r.Config).KeyAt(r.Revision)] = r.Key
			}
		}
	})
	return s.byRun[anywhere(c).Key()]
}

// anywhere is c without its backend.
func anywhere(c sslkit.Config) sslkit.Config {
	c.Backend = ""
	return c
}

// shippedEncoder reads the parameters of a shipped run.
func (s *Store) shippedEncoder(r *Record) (*model.Store, error) {
	path := s.shippedPath(r.Key, shippedFile)
	store, err := sslkit.ReadParameters(path, r.Shipped.Parameters)
	if err != nil {
		return nil, fmt.Errorf("runs: %s, which comes with this checkout: %w; bring the file back, or set SSLKIT_RECORDS to an empty folder to train it here", path, err)
	}
	return store, nil
}

// machine is what this process runs on, for people.
func machine() string {
	name := runtime.GOARCH
	if file, err := os.Open("/proc/cpuinfo"); err == nil {
		defer file.Close()
		for lines := bufio.NewScanner(file); lines.Scan(); {
			if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
				name = strings.TrimSpace(value)
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s", name, runtime.NumCPU(), runtime.GOOS)
}

// readSealed reads a measurement of a run, from the store or else from where shipped runs are.
func (s *Store) readSealed(r *Record, file string, v any) error {
	err := sealed.Read(s.path(r.Key, file), v)
	if errors.Is(err, fs.ErrNotExist) && r.Shipped != nil {
		err = sealed.Read(s.shippedPath(r.Key, file), v)
	}
	return err
}
