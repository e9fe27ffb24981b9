//go:build ignore

// Command digits_gen writes the embedded spoken digits from the folder "recordings" of the Free Spoken Digit Dataset, which it is
// given: 13 cepstra of each frame, as bytes, see digits.go.
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/sslkit/lab/data"
)

const coefficients = 13

var speakers = []string{"george", "jackson", "lucas", "nicolas", "theo", "yweweler"}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run digits_gen.go FOLDER")
	}
	var heads [][]byte // digit, speaker, number
	var sounds [][][]float32
	var sorted [coefficients][]float64
	for digit := range 10 {
		for s, speaker := range speakers {
			for i := range 50 {
				frames, err := data.Cepstra(read(filepath.Join(os.Args[1], fmt.Sprintf("%d_%s_%d.wav", digit, speaker, i))), 8000, coefficients)
				if err != nil {
					log.Fatal(err)
				}
				frames = frames[:min(len(frames), 255)]
				heads, sounds = append(heads, []byte{byte(digit), byte(s), byte(i)}), append(sounds, frames)
				for _, f := range frames {
					for c, v := range f {
						sorted[c] = append(sorted[c], float64(v))
					}
				}
			}
		}
	}
	var out bytes.Buffer
	var low, high [coefficients]float64
	for c, all := range sorted {
		slices.Sort(all)
		low[c], high[c] = all[len(all)/1000], all[len(all)-1-len(all)/1000]
		for _, v := range []float64{low[c], high[c]} {
			if err := binary.Write(&out, binary.LittleEndian, float32(v)); err != nil {
				log.Fatal(err)
			}
		}
	}
	for i, frames := range sounds {
		out.Write(append(heads[i], byte(len(frames))))
		for _, f := range frames {
			for c, v := range f {
				part := (float64(v) - low[c]) / (high[c] - low[c])
				out.WriteByte(byte(1 + math.Round(254*max(0, min(1, part)))))
			}
		}
	}
	f, err := os.Create(filepath.Join("embedded", "digits", "cepstra.gz"))
	if err != nil {
		log.Fatal(err)
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err == nil {
		_, err = z.Write(out.Bytes())
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		log.Fatal(err)
	}
}

// read returns the samples of a WAV file of 8 kHz, one channel and 16 bits.
func read(path string) []float64 {
	file, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	if len(file) < 12 || string(file[:4]) != "RIFF" || string(file[8:12]) != "WAVE" {
		log.Fatalf("%s is no WAV file", path)
	}
	for at := 12; at+8 <= len(file); {
		kind, size := string(file[at:at+4]), int(binary.LittleEndian.Uint32(file[at+4:]))
		body := file[at+8 : min(at+8+size, len(file))]
		switch kind {
		case "fmt ":
			if binary.LittleEndian.Uint16(body) != 1 || binary.LittleEndian.Uint16(body[2:]) != 1 || binary.LittleEndian.Uint32(body[4:]) != 8000 || binary.LittleEndian.Uint16(body[14:]) != 16 {
				log.Fatalf("%s is not of 8 kHz, one channel and 16 bits", path)
			}
		case "data":
			samples := make([]float64, len(body)/2)
			for i := range samples {
				samples[i] = float64(int16(binary.LittleEndian.Uint16(body[2*i:]))) / 32768
			}
			return samples
		}
		at += 8 + size + size%2
	}
	log.Fatalf("%s has no samples", path)
	return nil
}
