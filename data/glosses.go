package data

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:generate go run glosses_gen.go /usr/share/wordnet

// The definitions of WordNet (Fellbaum 1998); licence beside them.
//
//go:embed embedded/wordnet/glosses.tsv.gz
var glossFile []byte

// lexicographers are WordNet's files, by number (lexnames(5WN)): of which part of speech, and of what.
var lexicographers = []string{
	"adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact", "noun.attribute", "noun.body",
	"noun.cognition", "noun.communication", "noun.event", "noun.feeling", "noun.food", "noun.group", "noun.location", "noun.motive",
	"noun.object", "noun.person", "noun.phenomenon", "noun.plant", "noun.possession", "noun.process", "noun.quantity",
	"noun.relation", "noun.shape", "noun.state", "noun.substance", "noun.time", "verb.body", "verb.change", "verb.cognition",
	"verb.communication", "verb.competition", "verb.consumption", "verb.contact", "verb.creation", "verb.emotion", "verb.motion",
	"verb.perception", "verb.possession", "verb.social", "verb.stative", "verb.weather", "adj.ppl",
}

// glossClasses are those of the set "glosses".
var glossClasses = []string{"act", "animal", "artifact", "communication", "food", "person", "plant", "state"}

const glossTrain, glossTest = 2100, 300 // of each

// gloss is a definition.
type gloss struct {
	class int32
	text  string
	hash  uint64
}

// test is a seventh, by the text: what is defined in the same words is in one split, and what is for testing here is so in
// all sets of glosses.
func (g gloss) test() bool { return g.hash < math.MaxUint64/7 }

// glosses of at least four words, in WordNet's order.
var glosses = sync.OnceValues(func() ([]gloss, error) {
	z, err := gzip.NewReader(bytes.NewReader(glossFile))
	if err != nil {
		return nil, fmt.Errorf("data: glosses: %w", err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("data: glosses: %w", err)
	}
	var all []gloss
	for line := range strings.Lines(string(text)) {
		number, text, found := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		class, err := strconv.Atoi(number)
		if !found || err != nil || class < 0 || class >= len(lexicographers) {
			return nil, fmt.Errorf("data: glosses: %q is none", line)
		}
		if len(words(text)) >= 4 {
			all = append(all, gloss{int32(class), text, hashName(text)})
		}
	}
	return all, nil
})

// glossSet is definitions of nouns in eight classes of equal size, or all definitions in the classes of WordNet, which are
// very unequal.
type glossSet struct{ all bool }

func (s glossSet) id() string {
	if s.all {
		return "glosses-all"
	}
	return "glosses"
}

func (s glossSet) info(string) Info {
	info := Info{Name: s.id(), Train: glossTrain * len(glossClasses), Test: glossTest * len(glossClasses), Classes: glossClasses,
		Licence: "WordNet", Present: true, Where: "embedded"}
	if s.all {
		info.Train, info.Test, info.Classes = 92519, 15357, lexicographers
	}
	return info
}

func (s glossSet) open(context.Context, OpenOptions) (train, test Source, err error) {
	all, err := glosses()
	if err != nil {
		return nil, nil, err
	}
	if !s.all {
		all = evenly(all)
	}
	a, b := &texts{name: s.id() + "/train", classes: s.info("").Classes}, &texts{name: s.id() + "/test", classes: s.info("").Classes}
	for _, g := range all {
		to := a
		if g.test() {
			to = b
		}
		to.glosses = append(to.glosses, g)
	}
	return a, b, nil
}

// evenly draws of each of the eight classes as many as the set has.
func evenly(all []gloss) []gloss {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b gloss) int { return cmp.Compare(a.hash, b.hash) })
	var drawn []gloss
	var have [2][]int
	have[0], have[1] = make([]int, len(glossClasses)), make([]int, len(glossClasses))
	for _, g := range all {
		name, noun := strings.CutPrefix(lexicographers[g.class], "noun.")
		g.class = int32(slices.Index(glossClasses, name))
		if !noun || g.class < 0 {
			continue
		}
		split, most := 0, glossTrain
		if g.test() {
			split, most = 1, glossTest
		}
		if have[split][g.class] < most {
			have[split][g.class]++
			drawn = append(drawn, g)
		}
	}
	return drawn
}

// texts is a split of glosses.
type texts struct {
	name    string
	classes []string
	glosses []gloss
}

func (s *texts) Name() string            { return s.name }
func (s *texts) Len() int                { return len(s.glosses) }
func (s *texts) Shape() (h, w, c int)    { return 0, 0, 0 }
func (s *texts) Read(int, []uint8) error { return errText }
func (s *texts) Label(i int) int32       { return s.glosses[i].class }
func (s *texts) Classes() []string       { return s.classes }
func (s *texts) Captions(i int) []string { return []string{s.glosses[i].text} }

var errText = errors.New("it is a text, which has no pixels")
