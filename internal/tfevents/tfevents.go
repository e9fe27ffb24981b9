// Package tfevents writes scalars as TensorBoard reads them: TFRecords (length, its masked CRC-32C, content, its masked CRC-32C) of
// the protocol buffer tensorflow.Event, whose few fields are written by protowire, so that no generated code is needed.
package tfevents

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The numbers of fields in event.proto and summary.proto of TensorFlow.
const (
	eventTime, eventStep, eventVersion, eventSummary, eventSession = 1, 2, 3, 5, 7
	sessionStatus, sessionStart                                    = 1, 1
	summaryValue, valueTag, valueScalar                            = 1, 1, 2
)

// Writer appends to one file of events.
type Writer struct{ file *os.File }

// Create begins a file of events in dir, from step 1 on, in the place of those that are there: a TensorBoard that is looking
// forgets what it has read of them.
func Create(dir string, now time.Time) (*Writer, error) {
	old, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil {
		return nil, fmt.Errorf("tfevents: %w", err)
	}
	// TensorBoard reads the files of a folder in the order of their names.
	name := fmt.Sprintf("events.out.tfevents.%010d.%09d.sslkit", now.Unix(), now.Nanosecond())
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("tfevents: %w", err)
	}
	w := &Writer{file}
	version := protowire.AppendTag(head(now, 0), eventVersion, protowire.BytesType)
	version = protowire.AppendString(version, "brain.Event:2")
	start := protowire.AppendVarint(protowire.AppendTag(nil, sessionStatus, protowire.VarintType), sessionStart)
	session := protowire.AppendTag(head(now, 1), eventSession, protowire.BytesType)
	session = protowire.AppendBytes(session, start)
	if err := w.write(version, session); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	for _, path := range old {
		if err := os.Remove(path); err != nil {
			return nil, errors.Join(fmt.Errorf("tfevents: %w", err), file.Close())
		}
	}
	return w, nil
}

// Scalars appends the figures of a step, by their tags, at once.
func (w *Writer) Scalars(at time.Time, step int, figures map[string]float64) error {
	var summary []byte
	for _, tag := range slices.Sorted(maps.Keys(figures)) {
		value := protowire.AppendString(protowire.AppendTag(nil, valueTag, protowire.BytesType), tag)
		value = protowire.AppendTag(value, valueScalar, protowire.Fixed32Type)
		value = protowire.AppendFixed32(value, math.Float32bits(float32(figures[tag])))
		summary = protowire.AppendBytes(protowire.AppendTag(summary, summaryValue, protowire.BytesType), value)
	}
	return w.write(protowire.AppendBytes(protowire.AppendTag(head(at, step), eventSummary, protowire.BytesType), summary))
}

// Close ends the file.
func (w *Writer) Close() error { return w.file.Close() }

// head is an event so far: its time and step.
func head(at time.Time, step int) []byte {
	event := protowire.AppendTag(nil, eventTime, protowire.Fixed64Type)
	event = protowire.AppendFixed64(event, math.Float64bits(float64(at.UnixNano())/1e9))
	return protowire.AppendVarint(protowire.AppendTag(event, eventStep, protowire.VarintType), uint64(step))
}

// write appends records in one call, so that who reads meanwhile sees whole ones.
func (w *Writer) write(events ...[]byte) error {
	var out []byte
	for _, event := range events {
		length := binary.LittleEndian.AppendUint64(nil, uint64(len(event)))
		out = append(binary.LittleEndian.AppendUint32(append(out, length...), masked(length)), event...)
		out = binary.LittleEndian.AppendUint32(out, masked(event))
	}
	if _, err := w.file.Write(out); err != nil {
		return fmt.Errorf("tfevents: %w", err)
	}
	return nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// masked is TFRecord's checksum.
func masked(b []byte) uint32 {
	sum := crc32.Checksum(b, castagnoli)
	return (sum>>15 | sum<<17) + 0xa282ead8
}
