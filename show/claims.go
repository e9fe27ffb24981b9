package show

import (
	"fmt"
	"strings"

	"github.com/sslkit/lab/sslkit/study"
	"github.com/sslkit/lab/widgets"
)

// Claims is a page of Markdown: which of the lecture's claims hold here, and each with its figures.
func Claims(c *study.Claims) (string, error) {
	var page strings.Builder
	page.WriteString("# The lecture's claims\n\nWritten by `sslkit claims --md`, from records.\n\n")
	part := func(t interface {
		Table() ([]string, [][]string)
		Caption() string
	}) error {
		head, rows := t.Table()
		text, err := widgets.Table{Head: head, Rows: rows}.Markdown()
		fmt.Fprintf(&page, "%s\n%s\n\n", text, widgets.EscapeMarkdown(t.Caption()))
		return err
	}
	if err := part(c); err != nil {
		return "", err
	}
	for _, t := range c.Tested {
		fmt.Fprintf(&page, "## %s (%s)\n\n", t.Name, t.Item)
		if err := part(t); err != nil {
			return "", err
		}
	}
	return strings.TrimRight(page.String(), "\n") + "\n", nil
}
