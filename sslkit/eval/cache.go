package eval

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Cache keeps features on disk. The zero Cache keeps nothing.
//
// A file holds, little-endian: the magic, the name and matrix count, the rows and columns of each matrix, all float32
// values, and the SHA-256 of everything before it.
type Cache struct {
	Dir string // made when needed
	Key string // what the features follow from, such as the checkpoint's checksum and the dataset's name
}

const cacheMagic = "sslkit features 1\n"

var errDamaged = errors.New("damaged")

// Features returns the matrices [n][D] that are kept under the cache's key and name, or else those that compute returns,
// and keeps them. A file that is damaged, or another key's, is computed anew and replaced. A failure to write is an error.
func (c Cache) Features(name string, compute func() ([][][]float32, error)) ([][][]float32, error) {
	if c.Dir == "" {
		return compute()
	}
	id := c.Key + "\n" + name
	sum := sha256.Sum256([]byte(id))
	path := filepath.Join(c.Dir, hex.EncodeToString(sum[:16])+".features")
	if data, err := os.ReadFile(path); err == nil {
		if features, err := decode(data, id); err == nil {
			return features, nil
		}
	}
	features, err := compute()
	if err != nil {
		return nil, err
	}
	if err := writeAtomic(path, encode(features, id)); err != nil {
		return nil, fmt.Errorf("eval: keeping features (free some space, or evaluate without a cache): %w", err)
	}
	return features, nil
}

func encode(features [][][]float32, id string) []byte {
	size := len(cacheMagic) + 8 + len(id) + sha256.Size
	for _, m := range features {
		size += 8
		if len(m) > 0 {
			size += 4 * len(m) * len(m[0])
		}
	}
	b := make([]byte, 0, size)
	number := func(n int) { b = binary.LittleEndian.AppendUint32(b, uint32(n)) }
	b = append(b, cacheMagic...)
	number(len(id))
	b = append(b, id...)
	number(len(features))
	for _, m := range features {
		number(len(m))
		if len(m) > 0 {
			number(len(m[0]))
		} else {
			number(0)
		}
	}
	for _, m := range features {
		for _, row := range m {
			for _, v := range row {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
			}
		}
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

func decode(data []byte, id string) ([][][]float32, error) {
	n := len(data) - sha256.Size
	if n < 0 {
		return nil, errDamaged
	}
	if sum := sha256.Sum256(data[:n]); !bytes.Equal(sum[:], data[n:]) {
		return nil, errDamaged
	}
	// What follows was written by encode: the checksum vouches for the lengths.
	rest, ok := bytes.CutPrefix(data[:n], []byte(cacheMagic))
	if !ok {
		return nil, errDamaged
	}
	number := func() int {
		v := binary.LittleEndian.Uint32(rest)
		rest = rest[4:]
		return int(v)
	}
	l := number()
	if string(rest[:l]) != id {
		return nil, errDamaged
	}
	rest = rest[l:]
	features := make([][][]float32, number())
	columns := make([]int, len(features))
	for i := range features {
		features[i] = make([][]float32, number())
		columns[i] = number()
	}
	for i, m := range features {
		d := columns[i]
		flat := make([]float32, len(m)*d)
		for j := range flat {
			flat[j] = math.Float32frombits(binary.LittleEndian.Uint32(rest[4*j:]))
		}
		rest = rest[4*len(flat):]
		for j := range m {
			m[j] = flat[j*d : (j+1)*d : (j+1)*d]
		}
	}
	return features, nil
}

// writeAtomic leaves either the old file or the whole new one, whatever happens.
func writeAtomic(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return renameio.WriteFile(path, data, 0o644)
}
