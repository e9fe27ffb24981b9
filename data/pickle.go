package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// pickledList is a list, or a tuple.
type pickledList struct{ items []any }

// pickledArray is an array of numpy.
type pickledArray struct {
	dtype   string // "u1" is bytes; without the byte order
	shape   []int
	fortran bool // order of the axes in bytes
	bytes   string
}

// pickledDtype is a type of numbers of numpy, before and after its state is
// set.
type pickledDtype struct{ name string }

// pickledName is what a pickle calls by name. None is ever run: these stand for
// what unpickle does itself.
type pickledName string

const (
	pickledReconstruct pickledName = "_reconstruct"
	pickledFromBuffer  pickledName = "_frombuffer"
	pickledNdarray     pickledName = "ndarray"
	pickledDtypeName   pickledName = "dtype"
	pickledEncode      pickledName = "encode"
)

// pickledNames are all that is known. Numpy 2 has moved its modules.
var pickledNames = map[string]pickledName{
	"numpy.core.multiarray _reconstruct":  pickledReconstruct,
	"numpy._core.multiarray _reconstruct": pickledReconstruct,
	"numpy.core.numeric _frombuffer":      pickledFromBuffer,
	"numpy._core.numeric _frombuffer":     pickledFromBuffer,
	"numpy ndarray":                       pickledNdarray,
	"numpy dtype":                         pickledDtypeName,
	"_codecs encode":                      pickledEncode,
}

// unpickle reads a pickle of plain values, of the protocols 2 to 5 of Python's
// module pickletools, which describes the opcodes. Pickles are programs; here
// none can do more than build these values:
//
//	nil, bool, int64, float64, string (text and bytes), *pickledList,
//	map[string]any, *pickledArray
//
// Anything else is an error. Memory is in proportion to the pickle.
func unpickle(pickle []byte) (any, error) {
	u := unpickler{in: pickle, room: len(pickle), memo: map[uint32]any{}}
	for {
		at := len(pickle) - len(u.in)
		value, err := u.step()
		if err != nil {
			return nil, fmt.Errorf("pickle: %w at byte %d", err, at)
		}
		if value != nil {
			return value[0], nil
		}
	}
}

type unpickler struct {
	in    []byte // what is not yet read
	stack []any
	marks []int // depths of the stack
	memo  map[uint32]any
	room  int // bytes that may yet be made by decoding text
}

var (
	errPickleShort = errors.New("truncated")
	errPickleStack = errors.New("values are missing")
	errPickleType  = errors.New("a value of the wrong type")
)

// pickleSizes are the bytes of the number after an opcode.
var pickleSizes = [256]uint64{
	'K': 1, 'M': 2, 'J': 4,
	'U': 1, 'C': 1, 0x8c: 1, 'T': 4, 'B': 4, 'X': 4, 0x8e: 8, 0x8d: 8, 0x96: 8,
	'q': 1, 'r': 4, 'h': 1, 'j': 4,
}

// take returns the next n bytes.
func (u *unpickler) take(n uint64) ([]byte, error) {
	if n > uint64(len(u.in)) {
		return nil, errPickleShort
	}
	b := u.in[:n]
	u.in = u.in[n:]
	return b, nil
}

// number reads a little-endian number of size bytes.
func (u *unpickler) number(size uint64) (uint64, error) {
	b, err := u.take(size)
	if err != nil {
		return 0, err
	}
	var wide [8]byte
	copy(wide[:], b)
	return binary.LittleEndian.Uint64(wide[:]), nil
}

// sized reads bytes after their number, which has size bytes.
func (u *unpickler) sized(size uint64) ([]byte, error) {
	n, err := u.number(size)
	if err != nil {
		return nil, err
	}
	return u.take(n)
}

func (u *unpickler) push(value any) { u.stack = append(u.stack, value) }

// pop returns the last n values, which stay valid until the next push.
func (u *unpickler) pop(n int) ([]any, error) {
	floor := 0
	if len(u.marks) > 0 {
		floor = u.marks[len(u.marks)-1]
	}
	if len(u.stack)-n < floor {
		return nil, errPickleStack
	}
	values := u.stack[len(u.stack)-n:]
	u.stack = u.stack[:len(u.stack)-n]
	return values, nil
}

// popMark returns the values since the last mark.
func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errPickleStack
	}
	from := u.marks[len(u.marks)-1]
	u.marks = u.marks[:len(u.marks)-1]
	values := u.stack[from:]
	u.stack = u.stack[:from]
	return values, nil
}

func (u *unpickler) top() (any, error) {
	values, err := u.pop(1)
	if err != nil {
		return nil, err
	}
	u.stack = u.stack[:len(u.stack)+1]
	return values[0], nil
}

// step does one opcode; at the last the value is returned alone in a slice.
func (u *unpickler) step() (done []any, err error) {
	op, err := u.take(1)
	if err != nil {
		return nil, err
	}
	switch op[0] {
	case '.': // STOP
		return u.pop(1)
	case 0x80: // PROTO
		version, err := u.number(1)
		if err == nil && (version < 2 || version > 5) {
			err = fmt.Errorf("protocol %d instead of 2 to 5", version)
		}
		return nil, err
	case 0x95: // FRAME, which only helps to read
		_, err = u.take(8)
		return nil, err

	case 'N':
		u.push(nil)
	case 0x88:
		u.push(true)
	case 0x89:
		u.push(false)
	case 'K', 'M', 'J': // BININT1, 2 and BININT
		size := pickleSizes[op[0]]
		n, err := u.number(size)
		if err != nil {
			return nil, err
		}
		if size == 4 {
			u.push(int64(int32(n)))
		} else {
			u.push(int64(n))
		}
	case 0x8a: // LONG1
		b, err := u.sized(1)
		if err != nil {
			return nil, err
		}
		if len(b) > 8 {
			return nil, errors.New("a number of more than 64 bits")
		}
		var wide [8]byte
		copy(wide[:], b)
		if len(b) > 0 && b[len(b)-1] >= 0x80 {
			for i := len(b); i < 8; i++ {
				wide[i] = 0xff
			}
		}
		u.push(int64(binary.LittleEndian.Uint64(wide[:])))
	case 'G': // BINFLOAT
		b, err := u.take(8)
		if err != nil {
			return nil, err
		}
		u.push(math.Float64frombits(binary.BigEndian.Uint64(b)))

	case 'U', 'C', 0x8c, // SHORT_BINSTRING, SHORT_BINBYTES, SHORT_BINUNICODE
		'T', 'B', 'X', // BINSTRING, BINBYTES, BINUNICODE
		0x8e, 0x8d, 0x96: // BINBYTES8, BINUNICODE8, BYTEARRAY8
		b, err := u.sized(pickleSizes[op[0]])
		if err != nil {
			return nil, err
		}
		u.push(string(b))

	case '(': // MARK
		u.marks = append(u.marks, len(u.stack))
	case '0', '1': // POP, POP_MARK
		if op[0] == '1' {
			_, err = u.popMark()
		} else {
			_, err = u.pop(1)
		}
		return nil, err
	case ']', ')': // EMPTY_LIST, EMPTY_TUPLE
		u.push(&pickledList{})
	case 'l', 't': // LIST, TUPLE
		values, err := u.popMark()
		if err != nil {
			return nil, err
		}
		u.push(&pickledList{append([]any(nil), values...)})
	case 0x85, 0x86, 0x87: // TUPLE1 to TUPLE3
		values, err := u.pop(int(op[0] - 0x84))
		if err != nil {
			return nil, err
		}
		u.push(&pickledList{append([]any(nil), values...)})
	case 'a', 'e': // APPEND, APPENDS
		var values []any
		if op[0] == 'a' {
			values, err = u.pop(1)
		} else {
			values, err = u.popMark()
		}
		if err != nil {
			return nil, err
		}
		top, err := u.top()
		if err != nil {
			return nil, err
		}
		list, ok := top.(*pickledList)
		if !ok {
			return nil, errPickleType
		}
		list.items = append(list.items, values...)

	case '}': // EMPTY_DICT
		u.push(map[string]any{})
	case 's', 'u': // SETITEM, SETITEMS
		var values []any
		if op[0] == 's' {
			values, err = u.pop(2)
		} else {
			values, err = u.popMark()
		}
		if err != nil {
			return nil, err
		}
		top, err := u.top()
		if err != nil {
			return nil, err
		}
		dict, ok := top.(map[string]any)
		if !ok || len(values)%2 != 0 {
			return nil, errPickleType
		}
		for ; len(values) > 0; values = values[2:] {
			key, ok := values[0].(string)
			if !ok {
				return nil, errors.New("a key that is no text")
			}
			dict[key] = values[1]
		}

	case 'q', 'r', 0x94: // BINPUT, LONG_BINPUT, MEMOIZE
		top, err := u.top()
		if err != nil {
			return nil, err
		}
		key := uint64(len(u.memo))
		if op[0] != 0x94 {
			if key, err = u.number(pickleSizes[op[0]]); err != nil {
				return nil, err
			}
		}
		u.memo[uint32(key)] = top
	case 'h', 'j': // BINGET, LONG_BINGET
		key, err := u.number(pickleSizes[op[0]])
		if err != nil {
			return nil, err
		}
		value, ok := u.memo[uint32(key)]
		if !ok {
			return nil, errors.New("a value that was not kept")
		}
		u.push(value)

	case 'c', 0x93: // GLOBAL, STACK_GLOBAL
		return nil, u.global(op[0] == 0x93)
	case 'R': // REDUCE
		values, err := u.pop(2)
		if err != nil {
			return nil, err
		}
		name, ok := values[0].(pickledName)
		arguments, isList := values[1].(*pickledList)
		if !ok || !isList {
			return nil, errPickleType
		}
		value, err := u.call(name, arguments.items)
		if err != nil {
			return nil, err
		}
		u.push(value)
	case 'b': // BUILD
		values, err := u.pop(1)
		if err != nil {
			return nil, err
		}
		state, ok := values[0].(*pickledList)
		top, err := u.top()
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, errPickleType
		}
		return nil, setState(top, state.items)
	default:
		return nil, fmt.Errorf("opcode %#02x, which plain values do not need", op[0])
	}
	return nil, nil
}

// global pushes a known name.
func (u *unpickler) global(onStack bool) error {
	var name string
	if onStack {
		values, err := u.pop(2)
		if err != nil {
			return err
		}
		module, ok1 := values[0].(string)
		function, ok2 := values[1].(string)
		if !ok1 || !ok2 {
			return errPickleType
		}
		name = module + " " + function
	} else {
		var lines [2]string
		for i := range lines {
			line, _, ok := strings.Cut(string(u.in[:min(len(u.in), 256)]), "\n")
			if !ok {
				return errPickleShort
			}
			lines[i] = line
			u.in = u.in[len(line)+1:]
		}
		name = lines[0] + " " + lines[1]
	}
	known, ok := pickledNames[name]
	if !ok {
		return fmt.Errorf("it wants to run %.100q, which no plain value needs: not read", name)
	}
	u.push(known)
	return nil
}

// call does what the named function would.
func (u *unpickler) call(name pickledName, arguments []any) (any, error) {
	switch name {
	case pickledReconstruct: // an empty ndarray, whose state follows
		if len(arguments) == 3 && arguments[0] == pickledNdarray {
			return &pickledArray{}, nil
		}
	case pickledFromBuffer: // bytes, dtype, shape, order
		if len(arguments) != 4 {
			break
		}
		content, ok1 := arguments[0].(string)
		dtype, ok2 := arguments[1].(*pickledDtype)
		shape, ok3 := pickledShape(arguments[2])
		order, ok4 := arguments[3].(string)
		if ok1 && ok2 && ok3 && ok4 {
			return &pickledArray{dtype: dtype.name, shape: shape, fortran: order != "C", bytes: content}, nil
		}
	case pickledDtypeName: // name, align, copy
		if len(arguments) != 3 {
			break
		}
		if dtype, ok := arguments[0].(string); ok {
			return &pickledDtype{dtype}, nil
		}
	case pickledEncode: // bytes as Python 3 writes them for protocol 2
		if len(arguments) != 2 || arguments[1] != "latin1" && arguments[1] != "latin-1" {
			break
		}
		text, ok := arguments[0].(string)
		if !ok {
			break
		}
		// Each text once, else a short pickle could ask for any memory.
		if u.room -= len(text); u.room < 0 {
			return nil, errors.New("more text than there is")
		}
		latin := make([]byte, 0, utf8.RuneCountInString(text))
		for _, r := range text {
			if r > 0xff {
				return nil, errors.New("text that is not Latin-1")
			}
			latin = append(latin, byte(r))
		}
		return string(latin), nil
	}
	return nil, fmt.Errorf("unknown arguments of %s", name)
}

// setState sets the state of an array or of its type.
func setState(value any, state []any) error {
	switch v := value.(type) {
	case *pickledDtype:
		return nil // order of bytes, and what structures have
	case *pickledArray: // version, shape, dtype, order, bytes
		if len(state) != 5 {
			break
		}
		shape, ok1 := pickledShape(state[1])
		dtype, ok2 := state[2].(*pickledDtype)
		fortran, ok3 := state[3].(bool)
		if n, isInt := state[3].(int64); isInt {
			fortran, ok3 = n != 0, true
		}
		content, ok4 := state[4].(string)
		if ok1 && ok2 && ok3 && ok4 {
			*v = pickledArray{dtype.name, shape, fortran, content}
			return nil
		}
	}
	return errPickleType
}

func pickledShape(value any) (shape []int, ok bool) {
	list, ok := value.(*pickledList)
	if !ok || len(list.items) > 32 {
		return nil, false
	}
	for _, item := range list.items {
		n, ok := item.(int64)
		if !ok || n < 0 || n > math.MaxInt32 {
			return nil, false
		}
		shape = append(shape, int(n))
	}
	return shape, true
}
