package data

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/renameio/v2"
)

// readerVersion is raised when the same files are read as other images than
// before.
const readerVersion = "sslkit images 1"

// seen is an image file that was looked at.
type seen struct {
	size, modified int64  // when it was read
	digest         string // of the content, SHA-256
	facts          facts
	err            error // why it could not be read; what cannot be decoded is in facts
}

// stamp is what tells without reading a file that it is the one that was
// read. Times are in ns.
type stamp struct {
	size, modified, changed int64
	inode                   uint64
}

// kept is what is remembered of one file.
type kept struct {
	stamp
	read   int64 // when
	digest string
}

// racy is how much older than the reading a change must be, in ns: within the
// grain of the filesystem's clock a file can change and keep its stamp.
const racy = int64(2 * time.Second)

func (k kept) is(s stamp) bool {
	return k.stamp == s && max(s.modified, s.changed) < k.read-racy
}

// ledger remembers the digests of files by their stamps, and what is known of
// contents by their digests.
type ledger struct {
	path    string // "" if there is no place for it
	mu      sync.Mutex
	files   map[string]kept // by name below root
	facts   map[string]facts
	changed bool
}

// recall opens the ledger of a folder that is used as kind. What is missing or
// damaged is forgotten.
func recall(kind, root string, o OpenOptions) *ledger {
	m := &ledger{files: map[string]kept{}, facts: map[string]facts{}}
	full, err := filepath.Abs(root)
	if err != nil {
		return m
	}
	dir, err := o.cacheDir("digests")
	if err != nil {
		return m
	}
	m.path = filepath.Join(dir, fmt.Sprintf("%x", sha256.Sum256([]byte(kind+":"+full)))[:32])
	body, err := readSealed(m.path)
	if err != nil || !m.parse(body) {
		clear(m.files)
		clear(m.facts)
	}
	return m
}

// A line of "file" is size, times, inode, digest and name; one of
// "facts" is a digest and its facts.
func (m *ledger) parse(body []byte) bool {
	var err error
	lines := bufio.NewScanner(bytes.NewReader(body))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		switch kind {
		case "file":
			fields := strings.SplitN(rest, " ", 7)
			if len(fields) != 7 {
				return false
			}
			k := kept{digest: fields[5]}
			for i, number := range []*int64{&k.size, &k.modified, &k.changed, &k.read} {
				if *number, err = strconv.ParseInt(fields[i], 10, 64); err != nil {
					return false
				}
			}
			if k.inode, err = strconv.ParseUint(fields[4], 10, 64); err != nil {
				return false
			}
			name, err := strconv.Unquote(fields[6])
			if err != nil {
				return false
			}
			m.files[name] = k
		case "facts":
			digest, text, _ := strings.Cut(rest, " ")
			var f facts
			if err := json.Unmarshal([]byte(text), &f); err != nil {
				return false
			}
			m.facts[digest] = f
		default:
			return false
		}
	}
	return lines.Err() == nil
}

// save writes what is known of the present files. To forget costs only time.
func (m *ledger) save(splits []*folder) {
	if m.path == "" || !m.changed {
		return
	}
	var b bytes.Buffer
	written := map[string]bool{}
	for _, f := range splits {
		for i, file := range f.files {
			s := f.seen[i]
			if k, ok := m.files[file.path]; ok && k.digest == s.digest {
				fmt.Fprintf(&b, "file %d %d %d %d %d %s %q\n", k.size, k.modified, k.changed, k.read, k.inode, k.digest, file.path)
			}
			if known, ok := m.facts[s.digest]; ok && !written[s.digest] {
				written[s.digest] = true
				text, err := json.Marshal(known)
				if err != nil {
					return
				}
				fmt.Fprintf(&b, "facts %s %s\n", s.digest, text)
			}
		}
	}
	if err := os.MkdirAll(filepath.Dir(m.path), 0o755); err == nil {
		_ = writeSealed(m.path, b.Bytes())
	}
}

// A sealed file begins with the digest of what follows, and who wrote it.
func seal(body []byte) string {
	return fmt.Sprintf("%s sha256:%x\n", readerVersion, sha256.Sum256(body))
}

func writeSealed(path string, body []byte) error {
	return renameio.WriteFile(path, append([]byte(seal(body)), body...), 0o644)
}

func readSealed(path string) ([]byte, error) {
	file, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	_, body, _ := bytes.Cut(file, []byte("\n"))
	if !bytes.HasPrefix(file, []byte(seal(body))) {
		return nil, fmt.Errorf("%s is damaged", path)
	}
	return body, nil
}

// worthKeeping is from how many bytes on what was read is remembered: fewer are
// read again in no time.
const worthKeeping = 1 << 20

// worthTelling is from how many bytes on reading them is news. Tests change it.
var worthTelling int64 = 16 << 20

// inspect reads all files of the splits of one folder that are not remembered,
// and fills seen; with look it decodes them as well. What is wrong with a file
// is in its seen; an error is that of the context.
func inspect(ctx context.Context, name string, o OpenOptions, look bool, splits ...*folder) error {
	type job struct {
		f     *folder
		i     int
		stamp stamp
	}
	kind, _, _ := strings.Cut(name, ":")
	m := recall(kind+splits[0].medium.version, splits[0].root, o)
	var jobs []job
	var total, all int64
	for _, f := range splits {
		f.seen = make([]seen, len(f.files))
		for i := range f.files {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			stat, err := os.Stat(f.file(i))
			if err != nil {
				f.seen[i].err = reason(err)
				continue
			}
			s := stampOf(stat)
			all += s.size
			k, known := m.files[f.files[i].path]
			if known = known && k.is(s); known {
				f.seen[i] = seen{size: s.size, modified: s.modified, digest: k.digest}
				facts, looked := m.facts[k.digest]
				if f.seen[i].facts = facts; looked || !look {
					continue
				}
			}
			jobs = append(jobs, job{f, i, s})
			total += s.size
		}
	}
	var next atomic.Int64
	var done int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), 8, len(jobs)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(jobs) {
					return
				}
				j := jobs[n]
				m.read(j.f, j.i, j.stamp, look)
				m.mu.Lock()
				done += j.stamp.size
				if o.Progress != nil && total > worthTelling {
					o.Progress("looking at "+name, done, total)
				}
				m.mu.Unlock()
			}
		})
	}
	workers.Wait()
	if all >= worthKeeping {
		m.save(splits)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if settle := splits[0].settle; look && settle != nil {
		settle()
	}
	return nil
}

// read fills seen of one file.
func (m *ledger) read(f *folder, i int, before stamp, look bool) {
	s := &f.seen[i]
	now := time.Now().UnixNano()
	file, stat, err := readFile(f.file(i))
	if err == nil && stampOf(stat) != before {
		err = errChanged
	}
	if err != nil {
		s.err = err
		return
	}
	sum := sha256.Sum256(file)
	*s = seen{size: before.size, modified: before.modified, digest: hex.EncodeToString(sum[:])}
	m.mu.Lock()
	m.files[f.files[i].path] = kept{before, now, s.digest}
	known, looked := m.facts[s.digest]
	m.changed = true
	m.mu.Unlock()
	if look && !looked {
		known = f.medium.examine(file)
		m.mu.Lock()
		m.facts[s.digest] = known
		m.mu.Unlock()
	}
	s.facts = known
}

// digestOf is the digest of names, splits and contents.
func digestOf(kind, extra string, splits ...*folder) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s %s\n", readerVersion, kind, extra)
	for _, f := range splits {
		for i, file := range f.files {
			if err := f.seen[i].err; err != nil {
				return "", fmt.Errorf("data: %s: %w", legible(f.file(i)), err)
			}
			fmt.Fprintf(h, "%s %q %s\n", f.split, file.path, f.seen[i].digest)
		}
	}
	return fmt.Sprintf("sha256:%x", h.Sum(nil)), nil
}
