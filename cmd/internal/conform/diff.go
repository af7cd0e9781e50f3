package conform

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// How much a difference shows at most.
const (
	diffContext = 2   // equal lines before and after it
	diffLines   = 12  // different lines of each side
	diffWidth   = 160 // bytes of a line
)

// diff returns the lines from the first difference between want and got to the last.
// Lines of want begin with "-", and lines of got with "+".
func diff(want, got []byte) string {
	a, b := strings.Split(strings.TrimSuffix(string(want), "\n"), "\n"), strings.Split(strings.TrimSuffix(string(got), "\n"), "\n")
	start := 0
	for start < len(a) && start < len(b) && a[start] == b[start] {
		start++
	}
	endA, endB := len(a), len(b)
	for endA > start && endB > start && a[endA-1] == b[endB-1] {
		endA, endB = endA-1, endB-1
	}
	var out strings.Builder
	fmt.Fprintf(&out, "line %d:\n", start+1)
	for _, line := range a[max(0, start-diffContext):start] {
		fmt.Fprintf(&out, "  %s\n", around(line, 0))
	}
	at := 0
	if start < endA && start < endB {
		at = firstDifference(a[start], b[start])
	}
	side := func(mark string, lines []string) {
		for i, line := range lines {
			if i == diffLines {
				fmt.Fprintf(&out, "%s … %d more lines\n", mark, len(lines)-i)
				return
			}
			fmt.Fprintf(&out, "%s %s\n", mark, around(line, at))
			at = 0
		}
	}
	from := at
	side("-", a[start:endA])
	at = from
	side("+", b[start:endB])
	for _, line := range a[endA:min(len(a), endA+diffContext)] {
		fmt.Fprintf(&out, "  %s\n", around(line, 0))
	}
	return out.String()
}

func firstDifference(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return i
}

// around cuts a long line down to the part around the offset at.
func around(line string, at int) string {
	if len(line) <= diffWidth {
		return line
	}
	from := max(0, min(at-diffWidth/2, len(line)-diffWidth))
	to := from + diffWidth
	for from > 0 && !utf8.RuneStart(line[from]) {
		from--
	}
	for to < len(line) && !utf8.RuneStart(line[to]) {
		to++
	}
	out := line[from:to]
	if from > 0 {
		out = "…" + out
	}
	if to < len(line) {
		out += "…"
	}
	return out
}
