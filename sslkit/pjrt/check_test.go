package pjrt

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// sharedLibrary is a small but whole ELF file with one segment, a symbol table and section headers at its end, as linkers
// write them. edit may change the file header.
func sharedLibrary(symbol string, edit func(*elf.Header64)) []byte {
	const headers = 64 + 56
	names := "\x00.dynsym\x00.dynstr\x00.shstrtab\x00"
	symbols := "\x00" + symbol + "\x00"
	var body bytes.Buffer
	write := func(v any) { binary.Write(&body, binary.LittleEndian, v) }
	write(elf.Sym64{})
	write(elf.Sym64{Name: 1, Info: elf.ST_INFO(elf.STB_GLOBAL, elf.STT_FUNC), Shndx: 1})
	body.WriteString(symbols)
	body.WriteString(names)
	end := uint64(headers + body.Len())

	machine := elf.EM_X86_64
	if runtime.GOARCH == "arm64" {
		machine = elf.EM_AARCH64
	}
	h := elf.Header64{Type: uint16(elf.ET_DYN), Machine: uint16(machine), Version: 1, Phoff: 64, Shoff: end,
		Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64, Shnum: 4, Shstrndx: 3}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA], h.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), 1
	if edit != nil {
		edit(&h)
	}
	var file bytes.Buffer
	out := func(v any) { binary.Write(&file, binary.LittleEndian, v) }
	out(h)
	out(elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: 5, Filesz: end, Memsz: end, Align: 4096})
	file.Write(body.Bytes())
	strings := uint64(headers + 48)
	out(elf.Section64{})
	out(elf.Section64{Name: 1, Type: uint32(elf.SHT_DYNSYM), Off: headers, Size: 48, Link: 2, Info: 1, Entsize: 24})
	out(elf.Section64{Name: 9, Type: uint32(elf.SHT_STRTAB), Off: strings, Size: uint64(len(symbols))})
	out(elf.Section64{Name: 17, Type: uint32(elf.SHT_STRTAB), Off: strings + uint64(len(symbols)), Size: uint64(len(names))})
	return file.Bytes()
}

func TestCheckELF(t *testing.T) {
	whole := sharedLibrary("GetPjrtApi", nil)
	for _, test := range []struct {
		name string
		file []byte
		want string // in the error; "" for none
	}{
		{"whole", whole, ""},
		{"longer", append(bytes.Clone(whole), "signature"...), ""},
		{"text", []byte("version https://git-lfs.github.com/spec/v1\n"), "no ELF header"},
		{"two bytes", whole[:2], "no ELF header"},
		{"other machine", sharedLibrary("GetPjrtApi", func(h *elf.Header64) { h.Machine = uint16(elf.EM_PPC64) }), "another machine: EM_PPC64"},
		{"big-endian class", sharedLibrary("GetPjrtApi", func(h *elf.Header64) { h.Ident[elf.EI_DATA] = 9 }), "corrupt"},
		{"program", sharedLibrary("GetPjrtApi", func(h *elf.Header64) { h.Type = uint16(elf.ET_EXEC) }), "not a shared library"},
		{"no segment", sharedLibrary("GetPjrtApi", func(h *elf.Header64) { h.Phnum = 0 }), "no segment"},
		{"stripped of section headers", sharedLibrary("GetPjrtApi", func(h *elf.Header64) { h.Shoff, h.Shnum, h.Shstrndx = 0, 0, 0 }), ""},
		{"not a plugin", sharedLibrary("main", nil), "GetPjrtApi"},
	} {
		if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
			t.Skip("the crafted files are for amd64 and arm64")
		}
		err := checkELF(bytes.NewReader(test.file), int64(len(test.file)))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
	for size := range whole {
		if err := checkELF(bytes.NewReader(whole[:size]), int64(size)); err == nil {
			t.Errorf("cut to %d of %d bytes: no error", size, len(whole))
		}
	}
	// Without section headers only the segment tells that the file is cut.
	segment := sharedLibrary("", func(h *elf.Header64) { h.Shoff, h.Shnum, h.Shstrndx = 0, 0, 0 })[:130]
	if err := checkELF(bytes.NewReader(segment), 130); err == nil || !strings.Contains(err.Error(), "truncated") {
		t.Errorf("cut within its segment: %v", err)
	}
}

func TestOpenFile(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.so")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		empty: "empty", dir: "not a file", os.DevNull: "not a file", filepath.Join(dir, "none.so"): "no such file",
	} {
		if _, err := open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}

// plant writes a small plugin and opens it.
func plant(t *testing.T, path string, content []byte) *library {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func pinnedAs(content []byte) plugin {
	sum := sha256.Sum256(content)
	return plugin{sha256: hex.EncodeToString(sum[:]), size: int64(len(content))}
}

// TestChangedPlugin: the checksum is of the content, whatever size, time and remembered verdict say.
func TestChangedPlugin(t *testing.T) {
	t.Setenv("SSLKIT_HOME", t.TempDir())
	path := filepath.Join(t.TempDir(), "libpjrt_cpu.so")
	good := sharedLibrary("GetPjrtApi", nil)
	known := pinnedAs(good)
	l := plant(t, path, good)
	if ok, err := l.is(known); !ok || err != nil {
		t.Fatalf("is: %v, %v", ok, err)
	}
	v := l.recall()
	v.Trials = map[string]trial{"key": {Platform: "cpu"}}
	v.remember()
	if v = l.recall(); v.Trials["key"].Platform != "cpu" {
		t.Fatalf("%+v; want what was remembered", v)
	}
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	v.Boot = "another"
	v.remember()
	if v = l.recall(); runtime.GOOS == "linux" && len(v.Trials) > 0 {
		t.Errorf("%+v; trials do not outlive a boot", v)
	}
	v.Trials = map[string]trial{"key": {Platform: "cpu"}}
	v.remember()

	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	if err := os.WriteFile(path, bad, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, before.ModTime(), before.ModTime()); err != nil {
		t.Fatal(err)
	}
	changed, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer changed.Close()
	if after, err := os.Stat(path); err != nil || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		t.Fatalf("%v, %v; the test wants the old size and time", after, err)
	}
	if ok, err := changed.is(known); ok || err != nil {
		t.Errorf("is: %v, %v; want false on a changed file", ok, err)
	}
	if v := changed.recall(); len(v.Trials) > 0 {
		t.Errorf("%+v; want an empty verdict on a changed file", v)
	}
	if l.unchanged(false) == nil {
		t.Error("a write while it was open is not seen")
	}
	if isPinned(path, known) || !isPinned(path, pinnedAs(bad)) {
		t.Error("isPinned is not of the content")
	}
}

func TestWithFusionFlag(t *testing.T) {
	const other, off = "--xla_dump_to=/d", "--xla_cpu_experimental_ynn_fusion_type=LIBRARY_FUSION_TYPE_DOT"
	for _, test := range []struct {
		flags, want string
		ok          bool
	}{
		{"", fusionFlag, true},
		{" ", fusionFlag, true},
		{other, other + " " + fusionFlag, true},
		{off, off, false},                                           // the user's own
		{other + " " + off, other + " " + off, false},               //
		{other + " " + fusionFlag, other + " " + fusionFlag, false}, // once only
		{"/etc/xla_flags", "/etc/xla_flags", false},                 // a file of flags
	} {
		if got, ok := withFusionFlag(test.flags); got != test.want || ok != test.ok {
			t.Errorf("withFusionFlag(%q) = %q, %v; want %q, %v", test.flags, got, ok, test.want, test.ok)
		}
	}
}

// FuzzCheckELF: whatever a file holds, checking its headers ends, with an error or without, and does not panic.
func FuzzCheckELF(f *testing.F) {
	whole := sharedLibrary("GetPjrtApi", nil)
	f.Add(whole)
	f.Add(whole[:100])
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\n"))
	f.Add(sharedLibrary("GetPjrtApi", func(h *elf.Header64) { h.Shnum, h.Shstrndx = 0xffff, 0xfffe }))
	f.Add(sharedLibrary("GetPjrtApi", func(h *elf.Header64) { h.Phoff, h.Shoff = 1<<63-1, 1<<63-1 }))
	f.Add(sharedLibrary("", func(h *elf.Header64) { h.Shoff, h.Shnum, h.Shstrndx = 0, 0, 0 }))
	f.Fuzz(func(t *testing.T, file []byte) {
		if checkELF(bytes.NewReader(file), int64(len(file))) != nil {
			return
		}
		// What the loader maps lies within the file.
		e, err := elf.NewFile(bytes.NewReader(file))
		if err != nil || e.Type != elf.ET_DYN {
			t.Fatalf("accepted: %v", err)
		}
		for _, p := range e.Progs {
			if p.Filesz > uint64(len(file)) || p.Off > uint64(len(file))-p.Filesz {
				t.Errorf("accepted with a segment of %d bytes from %d in a file of %d", p.Filesz, p.Off, len(file))
			}
		}
	})
}
