package data

import (
	"fmt"
	"slices"
	"strings"
)

// Described is a source whose examples have labels of several kinds, such as what is seen and where it goes.
type Described interface {
	Source
	// Kinds of labels; Label and Classes are of the first.
	Kinds() []string
	// Labelled returns the same examples with the labels of one of its kinds.
	Labelled(kind string) Source
}

// By returns src with its labels of a kind, "" being the first or only one.
func By(src Source, kind string) (Source, error) {
	if kind == "" {
		return src, nil
	}
	if p, ok := src.(interface{ part() *subset }); ok {
		whole, err := By(p.part().Source, kind)
		return pick(whole, src.Name(), p.part().index), err
	}
	d, ok := src.(Described)
	if !ok {
		return src, fmt.Errorf("data: %s has one kind of labels, not %q", src.Name(), kind)
	}
	if !slices.Contains(d.Kinds(), kind) {
		return src, fmt.Errorf("data: %s has no labels of %q: choose one of %s", src.Name(), kind, strings.Join(d.Kinds(), ", "))
	}
	return d.Labelled(kind), nil
}

// Kinds are those of src's labels, none where there is only one.
func Kinds(src Source) []string {
	if p, ok := src.(interface{ part() *subset }); ok {
		return Kinds(p.part().Source)
	}
	if d, ok := src.(Described); ok {
		return d.Kinds()
	}
	return nil
}

// labelled is labels of several kinds, of which one counts.
type labelled struct {
	kinds []labelling
	at    int
}

// labelling is labels of one kind.
type labelling struct {
	kind    string
	classes []string
	labels  []int32
}

func (l labelled) Label(i int) int32 { return l.kinds[l.at].labels[i] }
func (l labelled) Classes() []string { return l.kinds[l.at].classes }

func (l labelled) Kinds() []string {
	var kinds []string
	for _, k := range l.kinds {
		kinds = append(kinds, k.kind)
	}
	return kinds
}

// by returns l with labels of another kind.
func (l labelled) by(kind string) labelled {
	l.at = slices.IndexFunc(l.kinds, func(k labelling) bool { return k.kind == kind })
	return l
}
