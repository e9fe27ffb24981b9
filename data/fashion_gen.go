//go:build ignore

// Command fashion_gen writes the embedded part of Fashion-MNIST: of each class
// the first 1,000 training and the first 200 test examples, in the order of
// the original files. It needs the full set: see data.Open.
package main

import (
	"compress/gzip"
	"encoding/binary"
	"log"
	"os"
	"path/filepath"

	"github.com/sslkit/lab/data"
)

func main() {
	train, test, err := data.Open("fashion-mnist", data.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	for _, split := range []struct {
		prefix string
		src    data.Source
		each   int
	}{{"train", train, 1000}, {"t10k", test, 200}} {
		height, width, _ := split.src.Shape()
		size := height * width
		var pixels, labels []byte
		have := make([]int, len(split.src.Classes()))
		for i := range split.src.Len() {
			label := split.src.Label(i)
			if have[label] == split.each {
				continue
			}
			have[label]++
			labels = append(labels, byte(label))
			pixels = append(pixels, make([]byte, size)...)
			if err := split.src.Read(i, pixels[len(pixels)-size:]); err != nil {
				log.Fatal(err)
			}
		}
		write(split.prefix+"-images-idx3-ubyte.gz", pixels, len(labels), height, width)
		write(split.prefix+"-labels-idx1-ubyte.gz", labels, len(labels))
	}
}

func write(name string, content []byte, dims ...int) {
	f, err := os.Create(filepath.Join("embedded", "fashion", name))
	if err != nil {
		log.Fatal(err)
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		log.Fatal(err)
	}
	head := []byte{0, 0, 8, byte(len(dims))}
	for _, d := range dims {
		head = binary.BigEndian.AppendUint32(head, uint32(d))
	}
	for _, b := range [][]byte{head, content} {
		if _, err := z.Write(b); err != nil {
			log.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		log.Fatal(err)
	}
	if err := f.Close(); err != nil {
		log.Fatal(err)
	}
}
