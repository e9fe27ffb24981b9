//go:build ignore

// Command glosses_gen writes the embedded glosses of WordNet from its files data.noun, data.verb, data.adj and data.adv in the
// folder that it is given: of each synset the number of its lexicographer file, a tab and the definition, without examples.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: go run glosses_gen.go FOLDER")
	}
	var out bytes.Buffer
	for _, part := range []string{"noun", "verb", "adj", "adv"} {
		file, err := os.Open(filepath.Join(os.Args[1], "data."+part))
		if err != nil {
			log.Fatal(err)
		}
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			synset, gloss, found := strings.Cut(lines.Text(), " | ")
			if strings.HasPrefix(synset, "  ") { // the licence
				continue
			}
			fields := strings.Fields(synset)
			if !found || len(fields) < 2 {
				log.Fatalf("data.%s: %q is no synset", part, lines.Text())
			}
			class, err := strconv.Atoi(fields[1])
			if err != nil {
				log.Fatal(err)
			}
			definition, _, _ := strings.Cut(strings.TrimSpace(gloss), `; "`)
			fmt.Fprintf(&out, "%d\t%s\n", class, strings.TrimSpace(definition))
		}
		if err := lines.Err(); err != nil {
			log.Fatal(err)
		}
		if err := file.Close(); err != nil {
			log.Fatal(err)
		}
	}
	f, err := os.Create(filepath.Join("embedded", "wordnet", "glosses.tsv.gz"))
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
