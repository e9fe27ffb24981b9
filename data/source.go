package data

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// CacheDir is where downloads are kept: $SSLKIT_HOME/data, or else sslkit/data
// in the user's cache folder.
func CacheDir() (string, error) {
	if home := os.Getenv("SSLKIT_HOME"); home != "" {
		return filepath.Join(home, "data"), nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("data: no cache folder: %w: set SSLKIT_HOME to a folder for downloads", err)
	}
	return filepath.Join(cache, "sslkit", "data"), nil
}

// cacheDir is the folder of dataset name for these options.
func (o OpenOptions) cacheDir(name string) (string, error) {
	if o.Dir != "" {
		return filepath.Join(o.Dir, name), nil
	}
	cache, err := CacheDir()
	return filepath.Join(cache, name), err
}

// asset is one published file.
type asset struct {
	name string   // in the cache
	urls []string // usual public addresses, tried in order
	size int64    // in bytes, as published
	sum  checksum
}

// checksum says how to verify a file: "sha256:" or "md5:" and the digest as
// published, or "sha256-gunzip:" and the digest of the decompressed content,
// for files which distributions compress anew.
type checksum string

var errChecksum = errors.New("wrong checksum")

func (c checksum) hash() hash.Hash {
	if strings.HasPrefix(string(c), "md5:") {
		return md5.New()
	}
	return sha256.New()
}

func (c checksum) check(h hash.Hash) error {
	_, want, _ := strings.Cut(string(c), ":")
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		return fmt.Errorf("%w: %s instead of %s", errChecksum, got, want)
	}
	return nil
}

// checkBytes is check for content in memory; an empty checksum is not checked.
func (c checksum) checkBytes(content []byte) error {
	if c == "" {
		return nil
	}
	h := c.hash()
	h.Write(content)
	return c.check(h)
}

// verify reads the file and compares its checksum. Damaged compression counts
// as a wrong checksum, other errors are those of the disk.
func (c checksum) verify(ctx context.Context, name string) error {
	f, _, err := openRegular(name)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = contextReader{ctx, f}
	h := c.hash()
	if strings.HasPrefix(string(c), "sha256-gunzip:") {
		z, err := gzip.NewReader(r)
		if err != nil {
			return fmt.Errorf("%w: %w", errChecksum, err)
		}
		r = z
	}
	if _, err := io.Copy(h, r); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("%w: %w", errChecksum, err)
	}
	return c.check(h)
}

// contextReader ends with the context.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// diskError is a failure to write, which no other address can help.
type diskError struct{ err error }

func (e *diskError) Unwrap() error { return e.err }
func (e *diskError) Error() string {
	return e.err.Error() + ": free some space there, or set SSLKIT_HOME to a folder on a disk with room that you may write to"
}

func isDiskError(err error) bool {
	_, ok := errors.AsType[*diskError](err)
	return ok
}

// diskWriter marks the errors of writing, to tell them from those of reading
// in io.Copy.
type diskWriter struct{ w io.Writer }

func (w diskWriter) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	if err != nil {
		err = &diskError{err}
	}
	return n, err
}

// exclusive makes the folder of a download and locks it against other
// processes (and goroutines) that want the same.
func exclusive(ctx context.Context, dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, &diskError{err}
	}
	lock := flock.New(filepath.Join(dir, ".lock"))
	if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
		return nil, fmt.Errorf("locking %s: %w", dir, err)
	}
	return func() { _ = lock.Unlock() }, nil
}

// downloader holds what tests change.
type downloader struct {
	client   *http.Client
	stall    time.Duration // without a byte before a transfer is given up
	pause    time.Duration // before the second attempt; doubled for the third
	attempts int           // an address
}

var web = downloader{
	client: &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout:   15 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		ForceAttemptHTTP2:     true,
	}},
	stall:    60 * time.Second,
	pause:    time.Second,
	attempts: 3,
}

// errRefused is an answer of the server that will not change soon.
var errRefused = errors.New("refused")

// fetch returns the path of a in dir, which the caller has locked. If need be
// it is downloaded to a .part file, on from where an earlier attempt ended,
// verified, and renamed: a file with the final name is complete.
func (d downloader) fetch(ctx context.Context, dir string, a asset, o OpenOptions) (string, error) {
	name := filepath.Join(dir, a.name)
	if _, err := os.Stat(name); err == nil {
		return name, nil
	}
	if o.Offline {
		return "", errOffline
	}
	var failed []error
	for _, url := range a.urls {
		err := d.fetchFrom(ctx, url, name, a, o)
		if err == nil {
			return name, nil
		}
		if ctx.Err() != nil || isDiskError(err) {
			return "", fmt.Errorf("downloading %s: %w", a.name, err)
		}
		failed = append(failed, fmt.Errorf("%s: %w", url, err))
	}
	return "", fmt.Errorf("cannot download %s: %w\nCheck the network (HTTPS_PROXY is honoured) and try again, which continues where this stopped; or put the file into %s yourself",
		a.name, errors.Join(failed...), dir)
}

func (d downloader) fetchFrom(ctx context.Context, url, name string, a asset, o OpenOptions) (err error) {
	part := name + ".part"
	for attempt := range d.attempts {
		if attempt > 0 {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(d.pause << (attempt - 1)):
			}
		}
		var resumed bool
		resumed, err = d.transfer(ctx, url, part, a, o)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case isDiskError(err) || errors.Is(err, errRefused):
			return err
		case err != nil:
			continue
		}
		if err = a.sum.verify(ctx, part); err == nil {
			if err := os.Rename(part, name); err != nil {
				return &diskError{err}
			}
			return nil
		}
		if !errors.Is(err, errChecksum) {
			return err
		}
		if e := os.Remove(part); e != nil {
			return &diskError{e}
		}
		if !resumed {
			return err
		}
		// Start afresh: the earlier part may have been that of another file.
	}
	return err
}

// transfer brings part to its full length; resumed, if some of it was there.
// Without an error the server has nothing more to send: whether that is the
// right file is for the checksum.
func (d downloader) transfer(ctx context.Context, url, part string, a asset, o OpenOptions) (resumed bool, err error) {
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return false, &diskError{err}
	}
	defer func() {
		if e := f.Close(); e != nil && err == nil {
			err = &diskError{e}
		}
	}()
	had, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return false, &diskError{err}
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer func() {
		if cause := context.Cause(ctx); cause != nil && err != nil {
			err = cause // says more than "context canceled"
		}
	}()
	watchdog := time.AfterFunc(d.stall, func() { cancel(fmt.Errorf("no data for %s", d.stall)) })
	defer watchdog.Stop()

	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err
	}
	// Else the transport decompresses what servers call gzip-encoded, and the
	// ranges and the checksum are those of another file.
	request.Header.Set("Accept-Encoding", "identity")
	if had > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", had))
	}
	response, err := d.client.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	done := had
	switch code := response.StatusCode; {
	case code == http.StatusOK:
		done = 0 // all of it, whether or not a range was asked for
	case code == http.StatusPartialContent && strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", done)):
	case code == http.StatusRequestedRangeNotSatisfiable && done > 0:
		return true, nil // complete, or not of this file
	case code >= 500 || code == http.StatusRequestTimeout || code == http.StatusTooManyRequests:
		return false, fmt.Errorf("the server answers %s", response.Status)
	default:
		return false, fmt.Errorf("%w: the server answers %s", errRefused, response.Status)
	}
	resumed = done > 0
	if done < had {
		if err := f.Truncate(0); err != nil {
			return resumed, &diskError{err}
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return resumed, &diskError{err}
		}
	}

	total := int64(0)
	if response.ContentLength >= 0 {
		total = done + response.ContentLength
	}
	// A wrong file is not worth a full disk.
	if most := 2 * a.size; total > most {
		return resumed, fmt.Errorf("%w: %d bytes instead of %d", errRefused, total, a.size)
	}
	body := &countingReader{r: io.LimitReader(response.Body, 2*a.size-done), read: func(n int) {
		watchdog.Reset(d.stall)
		done += int64(n)
		if o.Progress != nil {
			o.Progress(a.name, done, total)
		}
	}}
	if _, err := io.Copy(diskWriter{f}, body); err != nil {
		return resumed, err
	}
	if err := f.Sync(); err != nil {
		return resumed, &diskError{err}
	}
	return resumed, nil
}

type countingReader struct {
	r    io.Reader
	read func(n int)
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.read(n)
	return n, err
}

// extract unpacks members of the tar.gz archive into the folder dir, which
// appears only when all of them are there and the checksum is right. Members
// are known by the last element of their path, so none can lead elsewhere.
func extract(ctx context.Context, archive string, sum checksum, members []string, dir string, o OpenOptions) (err error) {
	f, stat, err := openRegular(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	temporary := dir + ".part"
	if err := os.RemoveAll(temporary); err != nil {
		return &diskError{err}
	}
	if err := os.MkdirAll(temporary, 0o755); err != nil {
		return &diskError{err}
	}
	defer func() {
		if err != nil {
			os.RemoveAll(temporary)
		}
	}()

	h := sum.hash()
	done := int64(0)
	source := &countingReader{r: contextReader{ctx, f}, read: func(n int) {
		done += int64(n)
		if o.Progress != nil {
			o.Progress("extracting "+filepath.Base(archive), done, stat.Size())
		}
	}}
	raw := io.TeeReader(source, h)
	found, err := untar(raw, members, temporary)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isDiskError(err):
		return err
	}
	// The checksum comes first: it explains all that untar may say.
	if _, e := io.Copy(io.Discard, raw); e != nil {
		return e
	}
	if e := sum.check(h); e != nil {
		if err != nil {
			e = fmt.Errorf("%w (%w)", e, err)
		}
		return fmt.Errorf("%s is damaged or truncated: %w", archive, e)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	for _, m := range members {
		if !slices.Contains(found, m) {
			return fmt.Errorf("%s lacks %s: is it another version of the dataset?", archive, m)
		}
	}
	if err := os.RemoveAll(dir); err != nil { // what lacks members
		return &diskError{err}
	}
	if err := os.Rename(temporary, dir); err != nil {
		return &diskError{err}
	}
	return nil
}

func untar(r io.Reader, members []string, dir string) (found []string, err error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	t := tar.NewReader(z)
	for {
		header, err := t.Next()
		if errors.Is(err, io.EOF) {
			return found, nil
		}
		if err != nil {
			return found, err
		}
		name := path.Base(header.Name)
		if header.Typeflag != tar.TypeReg || !slices.Contains(members, name) || slices.Contains(found, name) {
			continue
		}
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return found, &diskError{err}
		}
		_, err = io.Copy(diskWriter{f}, t)
		if e := f.Close(); e != nil && err == nil {
			err = &diskError{e}
		}
		if err != nil {
			return found, err
		}
		found = append(found, name)
	}
}
