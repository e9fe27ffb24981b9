package widgets

import (
	"fmt"
	"strings"
	"testing"
)

func scores() Table {
	return Table{
		Head: []string{"method", "block 2", "seconds"},
		Rows: [][]string{{"random init", "75.5 ± 0.7", "–"}, {"rotation", "81.9 ± 0.4", "95"}, {"a|b & <c>", "9.1", "8.25"}},
		Best: []int{1},
	}
}

func TestTableHTML(t *testing.T) {
	html, err := scores().HTML()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"<b>81.9 ± 0.4</b>", "a|b &amp; &lt;c&gt;", "#f5f5f5", `<td style="text-align:right;`, `<td style="text-align:left;`} {
		if !strings.Contains(html, want) {
			t.Errorf("no %q in %s", want, html)
		}
	}
	if strings.Count(html, "<b>") != 1 {
		t.Error("more than the best is bold")
	}
	for _, element := range []string{"table", "thead", "tbody", "tr", "th", "td", "b"} {
		open := strings.Count(html, "<"+element+" ") + strings.Count(html, "<"+element+">")
		if closed := strings.Count(html, "</"+element+">"); open != closed || open == 0 {
			t.Errorf("%d <%s>, %d closed", open, element, closed)
		}
	}
}

func TestTableMarkdown(t *testing.T) {
	got, err := scores().Markdown()
	want := `| method | block 2 | seconds |
| --- | ---: | ---: |
| random init | 75.5 ± 0.7 | – |
| rotation | **81.9 ± 0.4** | 95 |
| a\|b &amp; &lt;c&gt; | 9.1 | 8.25 |
`
	if err != nil || got != want {
		t.Errorf("error %v,\n%s, want\n%s", err, got, want)
	}
}

func TestTableErrors(t *testing.T) {
	for _, c := range []struct {
		name  string
		table Table
		want  string
	}{
		{"empty", Table{}, "no columns"},
		{"ragged", Table{Head: []string{"a", "b"}, Rows: [][]string{{"1", "2"}, {"3"}}}, "row 1 has 1 cells for 2 columns"},
		{"best", Table{Head: []string{"a"}, Best: []int{1}}, "best of column 1 of 1"},
	} {
		_, err := c.table.HTML()
		wantError(t, c.name, err, c.want)
		_, err = c.table.Markdown()
		wantError(t, c.name, err, c.want)
		_, err = c.table.Text()
		wantError(t, c.name, err, c.want)
	}
}

func TestTableNumbers(t *testing.T) {
	for cell, want := range map[string]bool{"71.3": true, "71.3 ± 0.4": true, "71.3±0.4": true, "12%": true, "\u22120.5": true, "1e-3": true, "4 (of 10)": true,
		"": false, "rotation": false, "4x": false, "NaN": false, "n/a": false} {
		if _, ok := value(cell); ok != want {
			t.Errorf("%q is a number: %v, want %v", cell, ok, want)
		}
	}
}

func ExampleTable_Text() {
	text, err := Table{
		Head: []string{"method", "block 2"},
		Rows: [][]string{{"random init", "75.5 ± 0.7"}, {"rotation", "81.9 ± 0.4"}},
		Best: []int{1},
	}.Text()
	fmt.Print(text)
	fmt.Println(err)
	// Output:
	// method           block 2
	// -----------  -----------
	// random init  75.5 ± 0.7
	// rotation     81.9 ± 0.4*
	// <nil>
}

func ExampleTable_Markdown() {
	text, _ := Table{Head: []string{"angles", "accuracy"}, Rows: [][]string{{"0°, 180°", "80.4"}}}.Markdown()
	fmt.Print(text)
	// Output:
	// | angles | accuracy |
	// | --- | ---: |
	// | 0°, 180° | 80.4 |
}

func ExampleTable_HTML() {
	html, err := Table{Head: []string{"angles"}, Rows: [][]string{{"0°, 180°"}}}.HTML()
	fmt.Println(strings.Contains(html, "0°, 180°</td>"), err)
	// Output: true <nil>
}
