package data

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// openRegular opens a file, or what a link leads to. It refuses what is no
// file of bytes: to open a FIFO waits for a writer that may never come, and a
// device may have no end.
func openRegular(name string) (*os.File, os.FileInfo, error) {
	stat, err := os.Stat(name)
	if err != nil {
		return nil, nil, err
	}
	if err := regular(name, stat); err != nil {
		return nil, nil, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, err
	}
	if stat, err = f.Stat(); err == nil {
		err = regular(name, stat)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, stat, nil
}

func regular(name string, stat os.FileInfo) error {
	switch {
	case stat.IsDir():
		return fmt.Errorf("%s is a directory, not a file", name)
	case !stat.Mode().IsRegular():
		return fmt.Errorf("%s is no regular file but %s", name, stat.Mode().Type())
	}
	return nil
}

// readRegular reads a file of at most limit bytes.
func readRegular(ctx context.Context, name string, limit int64) ([]byte, error) {
	f, stat, err := openRegular(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if stat.Size() > limit {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that are read", name, stat.Size(), limit)
	}
	var content bytes.Buffer
	content.Grow(int(stat.Size()) + bytes.MinRead)
	// It may have grown since.
	n, err := content.ReadFrom(io.LimitReader(contextReader{ctx, f}, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("%s has more than the %d bytes that are read", name, limit)
	}
	return content.Bytes(), err
}

// member is a file of a dataset and its published checksum.
type member struct {
	name    string
	sum     checksum
	records checksum // of its labels and pixels as the binary version has them; of a pickle only
}

func memberNames(members []member) []string {
	names := make([]string, len(members))
	for i, m := range members {
		names[i] = m.name
	}
	return names
}

// read returns the content of m, a file of at most limit bytes in dir, if it
// is the published one.
func (m member) read(ctx context.Context, dir string, limit int64) ([]byte, error) {
	name := filepath.Join(dir, m.name)
	content, err := readRegular(ctx, name, limit)
	if err != nil {
		return nil, err
	}
	if err := m.sum.checkBytes(content); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return content, nil
}

// largeFile is the size from which a file is not read through at each opening:
// the digests of its records are kept, and each is verified when it is read.
// Tests change it.
var largeFile int64 = 500 << 20

type digest = [sha256.Size]byte

// scan reads a file of records through, compares its checksum and returns the
// digest of each record, which the file must still have when that is read, and
// the last byte of each header.
func (r *records) scan(ctx context.Context, f *os.File, size int64, sum checksum, o OpenOptions) (digests []digest, labels []uint8, err error) {
	whole := sum.hash()
	record := make([]byte, r.size())
	done := int64(0)
	in := bufio.NewReaderSize(&countingReader{r: contextReader{ctx, f}, read: func(n int) {
		done += int64(n)
		if o.Progress != nil && size > largeFile {
			o.Progress("verifying "+filepath.Base(f.Name()), done, size)
		}
	}}, int(min(size, 1<<20)))
	for range size / r.size() {
		if _, err := io.ReadFull(in, record); err != nil {
			if ctx.Err() != nil {
				return nil, nil, context.Cause(ctx)
			}
			return nil, nil, fmt.Errorf("%s: %w", f.Name(), truncated(err))
		}
		whole.Write(record)
		digests = append(digests, sha256.Sum256(record))
		if r.header > 0 {
			labels = append(labels, record[r.header-1])
		}
	}
	if err := sum.check(whole); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return digests, labels, nil
}

// scanLarge is scan for a file of records without headers, which takes the
// digests that were kept when a file of this checksum was last read through.
// They are a line each, after one that says of what and before the digest of
// all of them; a damaged or missing list is made again.
func (r *records) scanLarge(ctx context.Context, f *os.File, size int64, m member, o OpenOptions) ([]digest, error) {
	list := filepath.Join(r.kept, m.name+".sha256")
	head := fmt.Sprintf("SHA-256 of each %d bytes of %d, %s\n", r.size(), size, m.sum)
	if digests, err := readDigests(list, head, int(size/r.size())); err == nil {
		return digests, nil
	}
	digests, _, err := r.scan(ctx, f, size, m.sum, o)
	if err != nil {
		return nil, err
	}
	// Without it the next opening takes longer, and that is all.
	if os.MkdirAll(r.kept, 0o755) == nil {
		_ = renameio.WriteFile(list, formatDigests(head, digests), 0o644)
	}
	return digests, nil
}

func formatDigests(head string, digests []digest) []byte {
	text := []byte(head)
	for _, d := range digests {
		text = append(hex.AppendEncode(text, d[:]), '\n')
	}
	all := sha256.Sum256(text)
	return append(hex.AppendEncode(text, all[:]), '\n')
}

func readDigests(name, head string, count int) ([]digest, error) {
	const line = 2*sha256.Size + 1
	want := len(head) + (count+1)*line
	text, err := readRegular(context.Background(), name, int64(want))
	if err != nil {
		return nil, err
	}
	if len(text) != want || string(text[:len(head)]) != head {
		return nil, errors.New("of another file")
	}
	all := sha256.Sum256(text[:want-line])
	if string(text[want-line:]) != hex.EncodeToString(all[:])+"\n" {
		return nil, errChecksum
	}
	digests := make([]digest, count)
	for i := range digests {
		if _, err := hex.Decode(digests[i][:], text[len(head)+i*line:][:line-1]); err != nil {
			return nil, err
		}
	}
	return digests, nil
}
