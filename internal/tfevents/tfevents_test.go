package tfevents

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// "123456789" has the CRC-32C e3069283, the usual check value; TensorFlow's mask rotates it right by 15 and adds a constant.
func TestMasked(t *testing.T) {
	sum := uint32(0xe3069283)
	if got, want := masked([]byte("123456789")), (sum>>15|sum<<17)+0xa282ead8; got != want {
		t.Errorf("%08x, want %08x", got, want)
	}
}

// What was written comes back, in a file that replaces the one before.
func TestScalars(t *testing.T) {
	dir := t.TempDir()
	at := time.Unix(1700000000, 250_000_000)
	for i := range 2 {
		w, err := Create(dir, at.Add(time.Duration(i)))
		if err != nil {
			t.Fatal(err)
		}
		for step := 1; step <= 2; step++ {
			if err := w.Scalars(at.Add(time.Second), step, map[string]float64{"loss": 1 / float64(step), "figure/knn": 0.25}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, want one; %v", files, err)
	}
	text, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	events := records(t, text)
	if len(events) != 4 {
		t.Fatalf("%d events, want version, start and two steps", len(events))
	}
	version, start := parse(t, events[0]), parse(t, events[1])
	if string(version[eventVersion].([]byte)) != "brain.Event:2" {
		t.Errorf("the first event is %v, and TensorBoard wants its version", version)
	}
	if start[eventStep] != uint64(1) || parse(t, start[eventSession].([]byte))[sessionStatus] != uint64(sessionStart) {
		t.Errorf("the second event is %v, want a start at step 1", start)
	}
	second := parse(t, events[3])
	// Nanoseconds since 1970 are rounded to 256 of them.
	if at := math.Float64frombits(second[eventTime].(uint64)); math.Abs(at-1700000001.25) > 1e-6 || second[eventStep] != uint64(2) {
		t.Errorf("time and step of the second: %v", second)
	}
	got := map[string]float32{}
	for rest := second[eventSummary].([]byte); len(rest) > 0; {
		_, _, n := protowire.ConsumeTag(rest)
		value, m := protowire.ConsumeBytes(rest[n:])
		if n < 0 || m < 0 {
			t.Fatal("a damaged summary")
		}
		fields := parse(t, value)
		got[string(fields[valueTag].([]byte))] = math.Float32frombits(fields[valueScalar].(uint32))
		rest = rest[n+m:]
	}
	if want := map[string]float32{"loss": 0.5, "figure/knn": 0.25}; !reflect.DeepEqual(got, want) {
		t.Errorf("scalars %v, want %v", got, want)
	}
}

// records takes a file apart, and checks its checksums by their definition.
func records(t *testing.T, text []byte) (out [][]byte) {
	t.Helper()
	for len(text) > 0 {
		n := binary.LittleEndian.Uint64(text)
		event := text[12 : 12+n]
		if binary.LittleEndian.Uint32(text[8:]) != masked(text[:8]) || binary.LittleEndian.Uint32(text[12+n:]) != masked(event) {
			t.Fatal("a wrong checksum")
		}
		out, text = append(out, event), text[16+n:]
	}
	return out
}

// parse reads the fields of a message, by their numbers.
func parse(t *testing.T, m []byte) map[protowire.Number]any {
	t.Helper()
	out := map[protowire.Number]any{}
	for len(m) > 0 {
		number, kind, n := protowire.ConsumeTag(m)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		m = m[n:]
		switch kind {
		case protowire.VarintType:
			out[number], n = protowire.ConsumeVarint(m)
		case protowire.Fixed32Type:
			out[number], n = protowire.ConsumeFixed32(m)
		case protowire.Fixed64Type:
			out[number], n = protowire.ConsumeFixed64(m)
		default:
			out[number], n = protowire.ConsumeBytes(m)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		m = m[n:]
	}
	return out
}
