// Package sealed keeps values in JSON files that tell when they were changed.
//
// The first member of the document is the SHA-256 of the document without that member, byte for byte:
//
//	{
//	  "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
//	  "step": 24,
//	  ...
//
// Any other program reads it as JSON; a file that was edited, cut or hit by a flipped bit is refused.
package sealed

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"
)

// Errors that a caller may want to tell apart with errors.Is.
var (
	ErrDamaged  = errors.New("damaged: it is not what was written")
	ErrUnsealed = errors.New("it has no checksum")
)

const (
	opening = "{\n"
	before  = `  "sha256": "`
	after   = "\",\n"
)

// Marshal returns the sealed document of v, a struct or map that becomes a JSON object with members.
func Marshal(v any) ([]byte, error) {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	rest, ok := bytes.CutPrefix(append(text, '\n'), []byte(opening))
	if !ok {
		return nil, fmt.Errorf("sealed: %T is no JSON object with members", v)
	}
	return slices.Concat([]byte(opening+before), []byte(sum(rest)), []byte(after), rest), nil
}

// Unmarshal decodes a document into v. The error is [ErrUnsealed] where there is no checksum in it, whatever else may be
// wrong, and [ErrDamaged] where there is one and it does not hold.
func Unmarshal(text []byte, v any) error {
	rest, ok := bytes.CutPrefix(text, []byte(opening+before))
	if !ok {
		if bytes.Contains(text, []byte("sha256")) {
			return ErrDamaged
		}
		return ErrUnsealed
	}
	const digits = 2 * sha256.Size
	if len(rest) < digits || !bytes.HasPrefix(rest[digits:], []byte(after)) {
		return ErrDamaged
	}
	want, rest := string(rest[:digits]), rest[digits+len(after):]
	if sum(rest) != want {
		return ErrDamaged
	}
	return json.Unmarshal(slices.Concat([]byte(opening), rest), v)
}

// Write replaces the file by the sealed document of v at once, or leaves it as it was. Folders are made.
func Write(path string, v any) error {
	text, err := Marshal(v)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(path, text, 0o644)
}

// Read decodes the file into v; see [Unmarshal].
func Read(path string, v any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := Unmarshal(text, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// sum is the SHA-256 of the document whose members are rest.
func sum(rest []byte) string {
	digest := sha256.Sum256(slices.Concat([]byte(opening), rest))
	return hex.EncodeToString(digest[:])
}
