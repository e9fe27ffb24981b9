package pjrt

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
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

func TestCheckFile(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.so")
	if err := os.WriteFile(empty, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		empty: "empty", dir: "not a file", os.DevNull: "not a file", filepath.Join(dir, "none.so"): "no such file",
	} {
		if err := checkFile(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", path, err, want)
		}
	}
}

func TestVerdict(t *testing.T) {
	t.Setenv("SSLKIT_HOME", t.TempDir())
	path := touch(t, filepath.Join(t.TempDir(), "libpjrt_cpu.so"))
	known := plugin{sha256: "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881", size: 1} // of "x"
	v, err := recall(path)
	if err != nil || v.SHA256 != "" {
		t.Fatalf("%+v, %v; want an empty verdict", v, err)
	}
	if ok, err := v.is(known); !ok || err != nil {
		t.Fatalf("is: %v, %v", ok, err)
	}
	v.Trials = map[string]trial{"key": {Platform: "cpu"}}
	v.remember()
	if v, err = recall(path); err != nil || v.SHA256 != known.sha256 || v.Trials["key"].Platform != "cpu" {
		t.Fatalf("%+v, %v; want what was remembered", v, err)
	}

	v.Boot = "another"
	v.remember()
	if v, err = recall(path); err != nil || v.SHA256 != known.sha256 || (runtime.GOOS == "linux" && len(v.Trials) > 0) {
		t.Errorf("%+v, %v; after a boot the checksum holds and trials do not", v, err)
	}
	// Same size, other content, other time: nothing holds.
	if err := os.WriteFile(path, []byte("y"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	if v, err = recall(path); err != nil || v.SHA256 != "" {
		t.Fatalf("%+v, %v; want an empty verdict on a changed file", v, err)
	}
	if ok, err := v.is(known); ok || err != nil {
		t.Errorf("is: %v, %v; want false on a changed file", ok, err)
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
