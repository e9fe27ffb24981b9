package show

import (
	"fmt"
	"strings"

	"github.com/sslkit/lab/sslkit/study"
)

// Claims is a page of Markdown: which of the lecture's claims hold here, and each with its figures.
func Claims(c *study.Claims) (string, error) {
	text, err := Table(c)
	if err != nil {
		return "", err
	}
	var page strings.Builder
	fmt.Fprintf(&page, "# The lecture's claims\n\nGenerated from records, by `sslkit claims --md`.\n\n%s\n", text)
	for _, t := range c.Tested {
		if text, err = Table(t); err != nil {
			return "", err
		}
		fmt.Fprintf(&page, "\n## %s (%s)\n\n%s\n", t.Name, t.Item, text)
	}
	return page.String(), nil
}

// ChapterClaims is Claims below a cell: the table, and each claim with its figures, folded.
func ChapterClaims(c *study.Claims) (string, error) {
	text, err := Table(c)
	if err != nil {
		return "", err
	}
	var page strings.Builder
	page.WriteString(text)
	for _, t := range c.Tested {
		if text, err = Table(t); err != nil {
			return "", err
		}
		fmt.Fprintf(&page, "\n\n<details><summary>%s</summary>\n\n%s\n\n</details>", t.Name, text)
	}
	return page.String(), nil
}

// Results is a page of Markdown: all encoders of the claims, in a table for each kind of data.
func Results(all study.Results) (string, error) {
	var page strings.Builder
	page.WriteString("# Results\n\nGenerated from records, by `sslkit results --md`: the encoders of all claims, side by side. " +
		"What each claim says of them is in [claims.md](claims.md).\n")
	for _, t := range all {
		text, err := Table(t)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&page, "\n## %s\n\n%s\n", t.Data.Name, text)
	}
	return page.String(), nil
}
