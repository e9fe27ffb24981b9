package pjrt

import (
	"crypto/sha256"
	"debug/elf"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// checkELF says what is wrong with a plugin, as far as its headers tell. A file that is shorter than they say must not be
// loaded: the loader maps it into memory, and reading behind its end kills the process with SIGBUS.
func checkELF(r io.ReaderAt, size int64) error {
	magic := make([]byte, len(elf.ELFMAG))
	if _, err := r.ReadAt(magic, 0); err != nil || string(magic) != elf.ELFMAG {
		return errors.New("not a shared library (no ELF header)")
	}
	f, err := elf.NewFile(r)
	if err != nil {
		return fmt.Errorf("truncated or corrupt: its ELF headers cannot be read: %w", err)
	}
	defer f.Close()
	machines := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}
	if want, ok := machines[runtime.GOARCH]; ok && (f.Machine != want || f.Class != elf.ELFCLASS64 || f.Data != elf.ELFDATA2LSB) {
		return fmt.Errorf("built for another machine: %v %v, and this program is %v", f.Machine, f.Class, want)
	}
	if f.Type != elf.ET_DYN {
		return fmt.Errorf("not a shared library (ELF type %v)", f.Type)
	}
	ends := func(offset, length uint64) bool { return offset <= uint64(size) && length <= uint64(size)-offset }
	loads := 0
	for _, p := range f.Progs {
		if !ends(p.Off, p.Filesz) {
			return fmt.Errorf("truncated: it has %d bytes, and a segment ends at %d", size, p.Off+p.Filesz)
		}
		if p.Type == elf.PT_LOAD {
			loads++
		}
	}
	if loads == 0 {
		return errors.New("corrupt: no segment to load")
	}
	for _, s := range f.Sections {
		if s.Type != elf.SHT_NOBITS && !ends(s.Offset, s.FileSize) {
			return fmt.Errorf("truncated: it has %d bytes, and section %s ends at %d", size, s.Name, s.Offset+s.FileSize)
		}
	}
	symbols, err := f.DynamicSymbols()
	if errors.Is(err, elf.ErrNoSymbols) {
		return nil // without section headers the loader still finds them; the child process will tell
	}
	if err != nil {
		return fmt.Errorf("corrupt: its symbols cannot be read: %w", err)
	}
	if !slices.ContainsFunc(symbols, func(s elf.Symbol) bool { return s.Name == "GetPjrtApi" && s.Section != elf.SHN_UNDEF }) {
		return errors.New("not a PJRT plugin: it does not export GetPjrtApi")
	}
	return nil
}

// A verdict is how a plugin behaved, remembered beside the project's plugins, since a trial in a child process takes as long
// as the plugin takes to start. It holds for one file as it is. The checksum is not remembered: it says what is loaded now.
type verdict struct {
	Path string `json:"path"`
	identity
	Boot   string           `json:"boot,omitempty"`   // of the machine when it was tried: drivers and devices change with it
	Trials map[string]trial `json:"trials,omitempty"` // by options, XLA_FLAGS and the like, see verdict.try

	conv bool // the last trial found that the kernels work
}

// A trial is how loading a plugin in a child process went.
type trial struct {
	Platform string  `json:"platform,omitempty"`
	Conv     string  `json:"conv,omitempty"` // the version of the convolutions' kernels that work in it
	Failed   failure `json:"failed,omitzero"`
}

// recall returns the verdict on a plugin as it is now, an empty one where none is remembered.
func (l *library) recall() verdict {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // elsewhere than on Linux: ""
	now := verdict{Path: l.path, identity: l.id, Boot: strings.TrimSpace(string(boot))}
	var old verdict
	if file, err := verdictFile(l.path); err == nil {
		if data, err := os.ReadFile(file); err == nil && json.Unmarshal(data, &old) == nil &&
			old.Path == now.Path && old.identity == now.identity && old.Boot == now.Boot {
			now.Trials = old.Trials
		}
	}
	return now
}

// remember writes the verdict down. An error is no matter: then it is found out again next time.
func (v verdict) remember() {
	file, err := verdictFile(v.Path)
	if err != nil {
		return
	}
	if data, err := json.Marshal(v); err == nil {
		_ = writeFile(file, data)
	}
}

func verdictFile(path string) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(dir, "verified", hex.EncodeToString(sum[:8])+".json"), nil
}

// writeFile replaces a small file as a whole.
func writeFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(path, data, 0o644)
}

// fusionFlag keeps XLA's CPU compiler from handing convolutions to a library whose weight gradients take twice as long as
// XLA's own. The empty value means: no kind of operation. A plugin that does not know the flag aborts the process.
const fusionFlag = "--xla_cpu_experimental_ynn_fusion_type="

// withFusionFlag appends the flag to the value of XLA_FLAGS. It says false, and changes nothing, where the user has set
// the flag or where the value is the name of a file with flags, which is what XLA takes it for without a leading dash.
func withFusionFlag(flags string) (string, bool) {
	trimmed := strings.TrimSpace(flags)
	if strings.Contains(flags, strings.TrimSuffix(fusionFlag, "=")) || trimmed != "" && trimmed[0] != '-' {
		return flags, false
	}
	return strings.TrimSpace(trimmed + " " + fusionFlag), true
}
