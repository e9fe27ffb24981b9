package data

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// pickled writes a batch as the cPickle of Python 2, with which the published
// files were made: protocol 2, strings of bytes.
func pickled(labels map[string][]byte, data []byte) []byte {
	b := []byte("\x80\x02}q\x01(")
	memo := byte(2)
	put := func() { b = append(b, 'q', memo); memo++ }
	word := func(s string) { b = append(append(b, 'U', byte(len(s))), s...); put() }
	word("batch_label")
	word("testing batch 1 of 1")
	for _, key := range []string{"labels", "coarse_labels", "fine_labels"} {
		if labels[key] == nil {
			continue
		}
		word(key)
		b = append(b, ']')
		put()
		b = append(b, '(')
		for _, l := range labels[key] {
			b = append(b, 'K', l)
		}
		b = append(b, 'e')
	}
	word("data")
	b = append(b, "cnumpy.core.multiarray\n_reconstruct\n"...)
	put()
	b = append(b, "cnumpy\nndarray\n"...)
	put()
	b = append(b, "K\x00\x85U\x01b\x87R"...)
	put()
	b = append(b, "(K\x01M"...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(data)/3072))
	b = append(b, "M\x00\x0c\x86cnumpy\ndtype\n"...)
	put()
	b = append(b, "U\x02u1K\x00K\x01\x87R"...)
	put()
	b = append(b, "(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = append(append(b, data...), "tb"...)
	word("filenames")
	b = append(b, ']')
	put()
	return append(b, "(U\x05a.png"+"U\x05b.pnge"+"u."...)
}

// repickled rewrites binary records as the Python version.
func repickled(records []byte, header int) []byte {
	names := []string{"labels"}
	if header == 2 {
		names = []string{"coarse_labels", "fine_labels"}
	}
	labels := map[string][]byte{}
	var data []byte
	for r := range slices.Chunk(records, header+3072) {
		for k, name := range names {
			labels[name] = append(labels[name], r[k])
		}
		data = append(data, r[header:]...)
	}
	return pickled(labels, data)
}

func TestCIFARRecordsOfPickles(t *testing.T) {
	want := slices.Concat(cifarRecord(1, 3), cifarRecord(2, 9))
	check := func(name string, content []byte, header int, want []byte) {
		t.Helper()
		got, err := cifarRecords(content, header)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, error %v", name, len(got), err)
		}
	}
	check("Python 2", repickled(want, 1), 1, want)
	// By Python 3.11 and numpy 2.4.
	for _, name := range []string{"python3-protocol2", "python3-protocol3", "python3-protocol4", "python3-protocol5"} {
		content, err := os.ReadFile(filepath.Join("testdata", "pickle", name))
		if err != nil {
			t.Fatal(err)
		}
		check(name, content, 1, want)
	}
	content, err := os.ReadFile(filepath.Join("testdata", "pickle", "python3-bytes-keys"))
	if err != nil {
		t.Fatal(err)
	}
	check("cifar100", content, 2, slices.Concat(cifarRecord(1, 19, 99), cifarRecord(2, 0, 7)))
	check("cifar100 of Python 2", repickled(cifarRecord(5, 1, 2), 2), 2, cifarRecord(5, 1, 2))
}

// A pickle is a program: none is run.
func TestUnpickleRunsNothing(t *testing.T) {
	for _, c := range []struct{ pickle, want string }{
		{"\x80\x02cos\nsystem\nU\x04true\x85R.", `it wants to run "os system"`},
		{"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.", `it wants to run "os system"`},
		{"\x80\x02cbuiltins\neval\n.", `it wants to run "builtins eval"`},
		{"\x80\x02cnumpy\nload\n.", `it wants to run "numpy load"`},
		{"\x80\x02cnumpy\nndarray\n)R.", "unknown arguments of ndarray"},
		{"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aU\x05rot13\x86R.", "unknown arguments of encode"},
		{"\x80\x02(ios\nsystem\n.", "opcode 0x69"}, // INST
		{"\x80\x02Pid\n.", "opcode 0x50"},          // PERSID
		{"\x80\x02]}\x81.", "opcode 0x81"},         // NEWOBJ
		{"\x80\x00.", "protocol 0 instead of 2 to 5"},
		{"", "truncated at byte 0"},
		{"\x80\x02", "truncated"},
		{"\x80\x02.", "values are missing"},
		{"\x80\x02e.", "values are missing"},
		{"\x80\x02h\x05.", "a value that was not kept"},
		{"\x80\x02T\xff\xff\xff\x7fabc.", "truncated"},
		{"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "truncated"},
		{"\x80\x02}K\x01K\x02s.", "a key that is no text"},
		{"\x80\x02K\x01]b.", "a value of the wrong type"},
	} {
		_, err := unpickle([]byte(c.pickle))
		wantError(t, err, c.want)
	}
}

// Text that is kept and decoded again and again would take any memory.
func TestUnpickleIsBounded(t *testing.T) {
	b := []byte("\x80\x02c_codecs\nencode\nq\x00X\x00\x00\x01\x00")
	b = append(b, bytes.Repeat([]byte("a"), 1<<16)...)
	b = append(b, "q\x01U\x06latin1q\x02]"...)
	for range 100 {
		b = append(b, "h\x00h\x01h\x02\x86Ra"...)
	}
	_, err := unpickle(append(b, '.'))
	wantError(t, err, "more text than there is")
}

func TestCIFARRecordsRefuse(t *testing.T) {
	good := repickled(slices.Concat(cifarRecord(1, 3), cifarRecord(2, 9)), 1)
	for _, c := range []struct {
		name, old, new, want string
	}{
		{"no data", "data", "dada", "its data are not an array"},
		{"floats", "u1", "f4", "its data are not an array of Nx3072 bytes"},
		{"other shape", "M\x02\x00M\x00\x0c", "M\x01\x00M\x00\x0c", "its data are not an array of Nx3072 bytes"},
		{"no labels", "labels", "lapels", "its labels are not a list of 2"},
		{"labels for others", "K\x03K\x09e", "K\x03Ne", "number 1 of its labels is no label"},
		{"order of Fortran", "tb\x89T", "tb\x88T", "its data are not an array of Nx3072 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if bytes.Count(good, []byte(c.old)) != 1 {
				t.Fatalf("%q is there %d times", c.old, bytes.Count(good, []byte(c.old)))
			}
			_, err := cifarRecords(bytes.Replace(good, []byte(c.old), []byte(c.new), 1), 1)
			wantError(t, err, c.want)
		})
	}
	_, err := cifarRecords([]byte("\x80\x02]."), 1)
	wantError(t, err, "not a pickled dict")
}

// pythonCIFAR returns s with these pickles as the members of its second form,
// all else unknown.
func pythonCIFAR(s *archiveSet, files map[string][]byte, header int) *archiveSet {
	c, f := *s, *s.forms[1]
	f.members = pinned(f.members, files)
	for i, m := range f.members {
		records, err := cifarRecords(files[m.name], header)
		if err != nil {
			panic(err)
		}
		f.members[i].records = sum256(records)
	}
	c.forms = []*form{s.forms[0], &f}
	return &c
}

// torchvision's folder is read as the binary version would be.
func TestCIFARPython(t *testing.T) {
	files := map[string][]byte{}
	for name, b := range untarred(t, cifar10Archive(t)) {
		if ext := filepath.Ext(name); ext == ".bin" {
			files[name[:len(name)-len(ext)]] = repickled(b, 1)
		}
	}
	s := pythonCIFAR(cifar10, files, 1)
	o := OpenOptions{Dir: t.TempDir(), Offline: true}
	dir := filepath.Join(o.Dir, "cifar-10-batches-py")
	writeFiles(t, dir, files)
	check := func() {
		t.Helper()
		train, test, err := s.open(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if train.Len() != 15 || test.Len() != 2 || train.Name() != "cifar10/train" || test.Name() != "cifar10/test" || len(train.Classes()) != 10 {
			t.Fatalf("%s of %d and %s of %d", train.Name(), train.Len(), test.Name(), test.Len())
		}
		checkCIFAR(t, train, 2, 11, 1)
		checkCIFAR(t, train, 14, 44, 4)
		checkCIFAR(t, test, 1, 101, 0)
	}
	check()
	if info := s.info(o.Dir); !info.Present || info.Where != dir {
		t.Errorf("%+v", info)
	}
	// Pickled anew it is another file of the same content.
	anew := bytes.Replace(files["test_batch"], []byte("testing batch"), []byte("pickled again"), 1)
	writeFiles(t, dir, map[string][]byte{"test_batch": anew})
	check()
	// Of other content it is another set.
	anew[len(anew)/2] ^= 1
	writeFiles(t, dir, map[string][]byte{"test_batch": anew})
	_, _, err := s.open(t.Context(), o)
	wantError(t, err, filepath.Join(dir, "test_batch")+": wrong checksum")

	archive := map[string][]byte{}
	for name, b := range files {
		archive["cifar-10-batches-py/"+name] = b
	}
	tgz := tarball(t, archive)
	s.forms[1].archive.size, s.forms[1].archive.sum = int64(len(tgz)), sum256(tgz)
	writeFiles(t, o.Dir, map[string][]byte{"cifar-10-python.tar.gz": tgz})
	check()
	checkOnly(t, filepath.Join(o.Dir, "cifar10"), "unpacked-python")
	checkContent(t, filepath.Join(dir, "test_batch"), anew) // what is the user's stays
}

func TestCIFAR100Python(t *testing.T) {
	s := pythonCIFAR(cifar100, map[string][]byte{
		"train": repickled(slices.Concat(cifarRecord(1, 19, 99), cifarRecord(2, 3, 0)), 2), "test": repickled(cifarRecord(3, 4, 55), 2),
	}, 2)
	o := OpenOptions{Dir: t.TempDir(), Offline: true}
	writeFiles(t, filepath.Join(o.Dir, "cifar-100-python"), map[string][]byte{
		"train": repickled(slices.Concat(cifarRecord(1, 19, 99), cifarRecord(2, 3, 0)), 2), "test": repickled(cifarRecord(3, 4, 55), 2),
	})
	train, test, err := s.open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	checkCIFAR(t, train, 0, 1, 99)
	checkCIFAR(t, test, 0, 3, 55)
}
