package data

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// walked is what is below a folder.
type walked struct {
	files  []string // names below the root, with slashes, in the order of their bytes
	unread []string // files of kinds that are not read
	passed passings
}

// passings are files and folders that were passed over.
type passings []Passed

// maxKinds is how many kinds of files are told apart: some number their files
// where others have endings.
const maxKinds = 40

// add counts one more.
func (p *passings) add(reason, kind, name string) {
	if kind != "" && len(*p) >= maxKinds && !slices.ContainsFunc(*p, func(known Passed) bool { return known.Reason == reason && known.Kind == kind }) {
		kind = "(others)"
	}
	for i := range *p {
		if at := &(*p)[i]; at.Reason == reason && at.Kind == kind {
			at.Count++
			if len(at.Files) < examples {
				at.Files = append(at.Files, legible(name))
			}
			return
		}
	}
	*p = append(*p, Passed{Reason: reason, Kind: kind, Count: 1, Files: []string{legible(name)}})
}

// maxFolders ends a walk through links that multiply: 30 folders that each link
// to all others are more paths than can be walked.
const maxFolders = 1_000_000

// systemFolders hold thumbnails and other people's business.
var systemFolders = []string{"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}

// walk finds the files of a medium below root. It follows links to folders and to
// files, but not in circles, and opens nothing but folders. Hidden files and what
// does not end as those of the medium do are passed over, the latter counted.
func walk(ctx context.Context, root string, m *medium) (*walked, error) {
	w := &walked{}
	folders := 0
	var visit func(name string, above []fs.FileInfo) error
	visit = func(name string, above []fs.FileInfo) error {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if folders++; folders > maxFolders {
			return fmt.Errorf("more than %d folders, of which links make up most: are there folders that link to each other?", maxFolders)
		}
		entries, err := os.ReadDir(join(root, name))
		if err != nil {
			return err
		}
		for _, e := range entries {
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			below := path.Join(name, e.Name())
			ending := strings.ToLower(path.Ext(e.Name()))
			isOne := slices.Contains(m.endings, ending)
			kind := e.Type()
			var stat fs.FileInfo
			if kind&fs.ModeSymlink != 0 || kind.IsDir() {
				stat, err = os.Stat(join(root, below))
				switch {
				case err != nil && kind.IsDir():
					return err
				case errors.Is(err, fs.ErrNotExist) && !isOne:
					w.passed.add("links to nothing", "", below)
					continue
				case err != nil && !isOne && !errors.Is(err, fs.ErrPermission): // a link to itself
					w.passed.add("links that cannot be followed", "", below)
					continue
				case err != nil && !isOne:
					return err
				case err != nil: // one that is missing: who reads it will say so
					w.files = append(w.files, below)
					continue
				}
				kind = stat.Mode().Type()
			}
			switch {
			case kind.IsDir() && slices.Contains(systemFolders, e.Name()):
				w.passed.add("folders of the system", "", below)
			case kind.IsDir():
				if slices.ContainsFunc(above, func(a fs.FileInfo) bool { return os.SameFile(a, stat) }) {
					w.passed.add("links to a folder that holds them", "", below)
				} else if err := visit(below, append(above[:len(above):len(above)], stat)); err != nil {
					return err
				}
			case !kind.IsRegular():
				w.passed.add("no files but "+special(kind), "", below)
			case isOne:
				w.files = append(w.files, below)
			case slices.Contains(m.unread, ending):
				w.unread = append(w.unread, below)
				w.passed.add(m.things+unreadKind, ending, below)
			case ending == "":
				w.passed.add("no "+m.things+otherKind, "(no ending)", below)
			default:
				w.passed.add("no "+m.things+otherKind, ending, below)
			}
		}
		return nil
	}
	stat, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if err := visit(".", []fs.FileInfo{stat}); err != nil {
		return nil, err
	}
	slices.Sort(w.files)
	slices.SortStableFunc(w.passed, func(a, b Passed) int {
		return cmp.Or(cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Kind, b.Kind))
	})
	return w, nil
}

// join is without path.Clean, which names below a folder don't need.
func join(root, name string) string {
	if name == "." {
		return root
	}
	return root + "/" + name
}

// medium is a kind of files that examples are made of.
type medium struct {
	things  string                  // in the plural
	endings []string                // of names
	unread  []string                // of those that need another program
	examine func(file []byte) facts // what the content of one tells
	version string                  // raised when the same files are read as other examples; of images see readerVersion
}

var images = &medium{things: "images", endings: extensions, unread: unread, examine: examine}

// unread are the endings of images that need another program.
var unread = []string{
	".avif", ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".xcf", ".ico", ".tga", ".exr", ".hdr", ".pcx", ".pam", ".pfm",
	".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf", ".raw", ".dcm", ".eps", ".pdf", ".qoi", ".dds",
}

const (
	unreadKind = " of a kind that is not read"
	otherKind  = " by their names"
)

func special(kind fs.FileMode) string {
	switch {
	case kind&fs.ModeNamedPipe != 0:
		return "pipes"
	case kind&fs.ModeSocket != 0:
		return "sockets"
	}
	return "devices"
}

// legible is a name as it can be printed: what is no character, and what
// steers a terminal or turns the direction of writing, is escaped.
func legible(name string) string {
	var b strings.Builder
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, name[0])
		case r == ' ' || unicode.IsPrint(r) && r != '\\':
			b.WriteRune(r)
		case r == '\\':
			b.WriteString(`\\`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u{%x}`, r)
		}
		name = name[size:]
	}
	return b.String()
}

// natural compares names as people count: frame2 before frame10, whatever the
// case and leading zeros.
func natural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		first, number := run(x)
		second, otherNumber := run(y)
		x, y = x[len(first):], y[len(second):]
		var c int
		if number != "" && otherNumber != "" {
			c = cmp.Or(cmp.Compare(len(number), len(otherNumber)), cmp.Compare(number, otherNumber))
		} else {
			c = cmp.Compare(folded(first), folded(second))
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(a, b))
}

// folded has lower case, and folders before what they hold.
func folded(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "\x00") }

// run returns the digits that s begins with, and their number without leading
// zeros, or else one other character.
func run(s string) (text, number string) {
	end := 0
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		d, ok := digit(r)
		if !ok {
			break
		}
		if d > 0 || number != "" {
			number += string(rune('0' + d))
		}
		end += size
	}
	if end == 0 {
		_, size := utf8.DecodeRuneInString(s)
		return s[:size], ""
	}
	if number == "" {
		number = "0"
	}
	return s[:end], number
}

// digit is the value of a decimal digit of any script: they come in tens.
func digit(r rune) (int, bool) {
	if r < 0x80 {
		return int(r - '0'), r >= '0' && r <= '9'
	}
	for _, t := range unicode.Nd.R16 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return int(r-rune(t.Lo)) % 10, true
		}
	}
	for _, t := range unicode.Nd.R32 {
		if rune(t.Lo) <= r && r <= rune(t.Hi) {
			return int(r-rune(t.Lo)) % 10, true
		}
	}
	return 0, false
}
