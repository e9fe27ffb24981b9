package sslkit

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// own begins what the laboratory says, on its way through GoMLX.
var own = regexp.MustCompile(`^(sslkit|data|view|nn|loss|optim|cluster|eval)(\.\w+)?: `)

// Explain returns an error of GoMLX's, from building a graph or running it, in the words that help: what the laboratory itself
// said within it, which tells what to change, without GoMLX's words around it. Where the laboratory said nothing, it is what was
// being done, "eval: tracking" say, and what went wrong in the graph. Either way err is wrapped.
func Explain(doing string, err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		if said := inner.Error(); own.MatchString(said) {
			return explained{said, err}
		}
	}
	if _, said, found := strings.Cut(err.Error(), " panicked: "); found {
		return explained{doing + ": " + said, err}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

type explained struct {
	said string
	err  error
}

func (e explained) Error() string { return e.said }
func (e explained) Unwrap() error { return e.err }
