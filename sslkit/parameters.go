package sslkit

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/train/metric"
	"github.com/gomlx/gomlx/ml/train/optimizer"
	"github.com/x448/float16" // GoMLX's makes what is below 6e-5 zero

	"github.com/sslkit/lab/sslkit/optim"
)

// Parameters are kept as safetensors: the header's length (uint64, little-endian), the header (JSON: of each variable its
// type, shape and place) and the values. Variables come in the order of their paths, so that equal stores are equal files,
// and which of them are not trained stands in the header's metadata: the random state, running statistics, a queue of keys
// would else be changed by the optimizer.
//
// GoMLX's own checkpoints (v0.28.1) forget that, drop the error of a failed write, and come in random order.

var safetensorTypes = map[dtypes.DType]string{
	dtypes.Bool: "BOOL", dtypes.Uint8: "U8", dtypes.Int8: "I8", dtypes.Int16: "I16", dtypes.Uint16: "U16", dtypes.Float16: "F16",
	dtypes.BFloat16: "BF16", dtypes.Int32: "I32", dtypes.Uint32: "U32", dtypes.Float32: "F32", dtypes.Float64: "F64",
	dtypes.Int64: "I64", dtypes.Uint64: "U64",
}

// savedVariable is a variable in the header.
type savedVariable struct {
	Type    string `json:"dtype"`
	Shape   []int  `json:"shape"`
	Offsets [2]int `json:"data_offsets"`
}

const (
	metadataKey   = "__metadata__"
	frozenKey     = "frozen"
	halfKey       = "half"
	maxParameters = 16 << 20 // bytes of a header; a ResNet-50's has 30,000
)

// WriteParameters writes the variables of store, after training by m, to a new file, but for the optimizer's and those that m
// says it no longer needs, see [Scaffolded], and returns its SHA-256. Where half, values of float32 are rounded to float16, of half the
// size, and read as float32 again: a parameter is then off by 1/2,048 of itself at most, but for those below 6e-5, which are off by
// 3e-8 at most. One above 65,504 is an error.
func WriteParameters(path string, store *model.Store, m Method, half bool) (digest string, err error) {
	without := append(optim.Scopes(), "/"+optimizer.Scope)
	if s, ok := m.(Scaffolded); ok {
		without = append(without, s.Scaffold()...)
	}
	digest, err = writeParameters(path, store, without, half)
	if err != nil {
		return "", fmt.Errorf("sslkit: writing %s: %w", path, err)
	}
	return digest, nil
}

// ReadParameters reads a file that has this SHA-256 into a new store.
func ReadParameters(path, digest string) (*model.Store, error) {
	store, err := readParameters(path, digest)
	if err != nil {
		return nil, fmt.Errorf("sslkit: reading %s: %w", path, err)
	}
	return store, nil
}

// writeParameters writes the variables of store to a new file and returns its SHA-256. What is in scopes to be left out is, and
// what GoMLX's metrics keep: it is of no use later, and each resumption would add to it.
func writeParameters(path string, store *model.Store, without []string, half bool) (digest string, err error) {
	header := map[string]any{}
	var variables []*model.Variable
	var frozen []string
	without = append(without, "/"+metric.Scope)
	for v := range store.IterVariables() {
		if !slices.ContainsFunc(without, func(scope string) bool { return v.Path() == scope || strings.HasPrefix(v.Path(), scope+"/") }) {
			variables = append(variables, v)
		}
	}
	slices.SortFunc(variables, func(a, b *model.Variable) int { return cmp.Compare(a.Path(), b.Path()) })
	end := 0
	for _, v := range variables {
		of := v.DType()
		if half && of == dtypes.Float32 {
			of = dtypes.Float16
		}
		kind, known := safetensorTypes[of]
		if !known {
			return "", fmt.Errorf("variable %s is of type %s, which cannot be kept", v.Path(), of)
		}
		size := v.Shape().Size() * of.Size()
		header[v.Path()] = savedVariable{kind, append([]int{}, v.Shape().Dimensions...), [2]int{end, end + size}}
		end += size
		if !v.Trainable {
			frozen = append(frozen, v.Path())
		}
	}
	metadata := map[string]string{frozenKey: strings.Join(frozen, "\n")}
	if half {
		metadata[halfKey] = "true"
	}
	header[metadataKey] = metadata
	text, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	text = append(text, strings.Repeat(" ", -len(text)&7)...) // so that values are aligned

	file, err := os.Create(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	h := sha256.New()
	w := bufio.NewWriterSize(io.MultiWriter(file, h), 1<<20)
	// A bufio.Writer keeps its first error, which Flush returns.
	_, _ = w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(text))))
	_, _ = w.Write(text)
	for _, v := range variables {
		value, err := v.Value()
		if err == nil && half && value.DType() == dtypes.Float32 {
			err = writeHalf(w, value)
		} else if err == nil {
			err = value.ConstBytes(func(b []byte) { _, _ = w.Write(b) })
		}
		if err != nil {
			return "", fmt.Errorf("variable %s: %w", v.Path(), err)
		}
	}
	if err := w.Flush(); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// writeHalf writes float32 values as float16. w keeps its error.
func writeHalf(w io.Writer, value *tensors.Tensor) (err error) {
	var out []byte
	read := tensors.ConstFlatData(value, func(flat []float32) {
		for _, x := range flat {
			if x > 65504 || x < -65504 {
				err = fmt.Errorf("%g is beyond float16", x)
				return
			}
			out = binary.LittleEndian.AppendUint16(out, float16.Fromfloat32(x).Bits())
		}
	})
	_, _ = w.Write(out)
	return errors.Join(err, read)
}

// readHalf is a tensor of float32 of that shape, from float16 values.
func readHalf(data []byte, shape []int) *tensors.Tensor {
	flat := make([]float32, len(data)/2)
	for i := range flat {
		flat[i] = float16.Frombits(binary.LittleEndian.Uint16(data[2*i:])).Float32()
	}
	return tensors.FromFlatDataAndDimensions(flat, shape...)
}

// readParameters reads a file that has this SHA-256 into a new store.
func readParameters(path, digest string) (*model.Store, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != digest {
		return nil, errors.New("it does not have the checksum that it was written with")
	}
	return decodeParameters(data)
}

func decodeParameters(data []byte) (*model.Store, error) {
	if len(data) < 8 {
		return nil, io.ErrUnexpectedEOF
	}
	length := binary.LittleEndian.Uint64(data)
	if data = data[8:]; length > maxParameters || length > uint64(len(data)) {
		return nil, fmt.Errorf("a header of %d bytes in a file with %d", length, len(data)+8)
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(bytes.TrimRight(data[:length], " "), &raw); err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	data = data[length:]
	var metadata map[string]string
	if text, ok := raw[metadataKey]; ok {
		if err := json.Unmarshal(text, &metadata); err != nil {
			return nil, fmt.Errorf("its metadata: %w", err)
		}
		delete(raw, metadataKey)
	}
	variables := make(map[string]savedVariable, len(raw))
	paths := make([]string, 0, len(raw))
	for path, text := range raw {
		var s savedVariable
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, fmt.Errorf("variable %s: %w", path, err)
		}
		variables[path], paths = s, append(paths, path)
	}
	slices.Sort(paths)
	types := make(map[string]dtypes.DType, len(safetensorTypes))
	for t, name := range safetensorTypes {
		types[name] = t
	}
	store := model.NewStore()
	for _, path := range paths {
		s := variables[path]
		kind, known := types[s.Type]
		size := 1
		for _, d := range s.Shape {
			if d < 1 || size > len(data)/d {
				return nil, fmt.Errorf("variable %s of shape %v in %d bytes", path, s.Shape, len(data))
			}
			size *= d
		}
		from, to := s.Offsets[0], s.Offsets[1]
		if !known || from < 0 || from > to || to > len(data) || to-from != size*kind.Size() {
			return nil, fmt.Errorf("variable %s: %s %v at %v of %d bytes", path, s.Type, s.Shape, s.Offsets, len(data))
		}
		if kind == dtypes.Float16 && metadata[halfKey] != "" {
			store.VariableWithValue(path, readHalf(data[from:to], s.Shape))
			continue
		}
		value := tensors.FromShape(shapes.Make(kind, s.Shape...))
		if err := value.MutableBytes(func(b []byte) { copy(b, data[from:to]) }); err != nil {
			return nil, fmt.Errorf("variable %s: %w", path, err)
		}
		store.VariableWithValue(path, value)
	}
	if frozen := metadata[frozenKey]; frozen != "" {
		for path := range strings.SplitSeq(frozen, "\n") {
			v := store.GetVariable(path)
			if v == nil {
				return nil, fmt.Errorf("no variable %s, which it says is not trained", path)
			}
			v.SetTrainable(false)
		}
	}
	return store, nil
}
