package widgets

import (
	"strings"
	"unicode"
)

// Names of classes, files and columns are somebody's folders: what follows keeps them text, whatever they hold.

// Printable puts U+FFFD in place of what is not text, in bytes that are no UTF-8 and in characters that would steer a
// terminal, turn a line around or make an SVG document invalid. New lines and tabs stay.
func Printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return r
		case unicode.IsControl(r), r == '\u2028', r == '\u2029', // line separators
			'\u202a' <= r && r <= '\u202e', '\u2066' <= r && r <= '\u2069', // directions, see Unicode TR 36
			r&0xfffe == 0xfffe: // no characters
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

var markdown = strings.NewReplacer("\r", "", "\n", " ", "\t", " ", "&", "&amp;", "<", "&lt;", ">", "&gt;", "$", "&#36;", "|", `\|`,
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "~", `\~`, "[", `\[`, "]", `\]`)

// EscapeMarkdown returns plain text as Markdown that shows it, in one line: no tag, link, formula or table begins in it.
func EscapeMarkdown(s string) string { return Printable(markdown.Replace(s)) }
