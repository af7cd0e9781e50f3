package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// errEnd says that there is no further document.
var errEnd = io.EOF

// decode reads the next document. The library panics on a few malformed
// inputs, which are then errors like the others.
func decode(d *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("yaml: cannot be read")
		}
	}()
	return d.Decode(n)
}

// reportSyntax says where a file stops being YAML and what to do about it.
//
// The library names the line where the enclosing mapping began, or none; the
// line after the longest beginning of the file that still is YAML is nearer to
// the mistake. A few mistakes are recognised in the text from there on.
func reportSyntax(src []byte, cause error, r *report) {
	lines := bytes.SplitAfter(src, []byte{'\n'})
	failed := failureLine(src, lines)
	first := firstBadLine(lines, failed)
	for i := first; i <= failed && i < len(lines); i++ {
		if column, message := knownMistake(string(lines[i])); message != "" {
			r.add(place{i + 1, column}, "", message)
			return
		}
	}
	line := string(lines[min(first, len(lines)-1)])
	message, mark := explain(cause.Error())
	if mark == openBrackets && failed > first {
		message += fmt.Sprintf(" before line %d", failed+1)
	}
	column := strings.IndexAny(line, mark)
	if column < 0 {
		column = len(line) - len(strings.TrimLeft(line, " \t"))
	}
	r.add(place{first + 1, utf8.RuneCountInString(line[:column]) + 1}, "", message)
}

// failureLine returns the index of the line up to which the library read before
// it gave up: the mistake is there or before.
func failureLine(src []byte, lines [][]byte) int {
	source := &byteReader{src: src}
	decoder := yaml.NewDecoder(source)
	for {
		var n yaml.Node
		if err := decode(decoder, &n); err != nil {
			break
		}
	}
	return min(bytes.Count(src[:source.read], []byte{'\n'}), len(lines)-1)
}

// byteReader returns one byte a call, so that what was read is what was needed.
type byteReader struct {
	src  []byte
	read int
}

func (b *byteReader) Read(p []byte) (int, error) {
	if b.read == len(b.src) {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	p[0] = b.src[b.read]
	b.read++
	return 1, nil
}

// firstBadLine returns the index of the line after the longest prefix of lines,
// at most failed of them, that is YAML by itself. Single steps back are followed
// by doubling ones and a binary search. When a large file needs too many
// passes, the line where the library gave up has to do.
func firstBadLine(lines [][]byte, failed int) int {
	const singleSteps = 16
	left := 8 << 20 // bytes to parse, some tenths of a second
	affordable := func(n int) bool {
		for _, line := range lines[:n] {
			left -= len(line)
		}
		return left >= 0
	}
	good, bad, step := failed, failed+1, 1
	for steps := 0; good > 0; steps++ {
		if !affordable(good) {
			return failed
		}
		if isYAML(lines[:good]) {
			break
		}
		bad = good
		if steps >= singleSteps {
			step *= 2
		}
		good = max(0, good-step)
	}
	for bad-good > 1 {
		middle := (good + bad) / 2
		if !affordable(middle) {
			return failed
		}
		if isYAML(lines[:middle]) {
			good = middle
		} else {
			bad = middle
		}
	}
	return good
}

func isYAML(lines [][]byte) bool {
	decoder := yaml.NewDecoder(bytes.NewReader(bytes.Join(lines, nil)))
	for {
		var n yaml.Node
		if err := decode(decoder, &n); err != nil {
			return err == errEnd
		}
	}
}

var (
	tabIndent = regexp.MustCompile(`^ *\t`)
	bareRef   = regexp.MustCompile(`[{\[,:]\s*\$\{`)
	bareStar  = regexp.MustCompile(`(?:^|[\s\[,{:])\*(?:[\s\],}]|$)`)
	reserved  = regexp.MustCompile("(?:[:\\[,{]|^\\s*-)\\s+([@`%])")
)

// knownMistake recognises what newcomers to YAML write, with the column.
func knownMistake(line string) (column int, message string) {
	find := func(re *regexp.Regexp, sign string) int {
		at := re.FindStringIndex(line)
		if at == nil {
			return 0
		}
		return utf8.RuneCountInString(line[:at[0]+strings.Index(line[at[0]:], sign)]) + 1
	}
	if tabIndent.MatchString(line) {
		return strings.IndexByte(line, '\t') + 1, "a tab indents this line: YAML allows only spaces there"
	}
	if c := find(bareRef, "$"); c > 0 && strings.ContainsAny(line, "{[") {
		return c, `a reference inside of { } or [ ] needs quotes: write "${NAME}"`
	}
	if c := find(bareStar, "*"); c > 0 {
		return c, `a star of its own needs quotes: write "*"`
	}
	if m := reserved.FindStringSubmatchIndex(line); m != nil {
		return utf8.RuneCountInString(line[:m[2]]) + 1, "text that starts with @, ` or % needs quotes"
	}
	return 0, ""
}

// openBrackets are the characters that begin a collection.
const openBrackets = "{["

// explain turns a message of the library into one with a way out, and says
// which characters of the line it is about. None is passed on, since some quote
// the file.
func explain(cause string) (message, mark string) {
	for _, known := range [...]struct{ part, mark, message string }{
		{"mapping values are not allowed", "", `a second ": " on this line, or a line that is indented further than the one before: indent by two spaces below its section, and put text that holds ": " in quotes`},
		{"did not find expected key", "", "does not fit what stands before: indent it like its neighbours, and leave nothing after a closing quote or bracket"},
		{"did not find expected '-' indicator", "", "items of a list (- item) and keys (key: value) are mixed here, or are not indented alike"},
		{"could not find expected ':'", "", `has no ": " between a key and its value`},
		{"did not find expected ',' or", openBrackets, "a { or [ that opens here is not closed, or a comma is missing"},
		{"did not find expected node content", "", "a value is missing or a bracket is closed that was not opened"},
		{"unexpected end of stream", `"'`, "a quote that opens here is not closed"},
		{"unexpected document indicator", `"'`, "a quote that opens here is not closed"},
		{"escape", `\`, `inside of double quotes a \ starts an escape: use single quotes, or write \\`},
		{"unknown anchor", "*", "an alias (*name) refers to an anchor that is not there: put text that starts with * in quotes"},
		{"tab", "\t", "a tab indents this line: YAML allows only spaces there"},
		{"cannot start any token", "", "text that starts with this character needs quotes"},
		{"tag", "!", "has a YAML tag (!name), which is not supported: remove it, or put text that starts with ! in quotes"},
		{"exceeded max depth", "", "is nested too deep"},
	} {
		if strings.Contains(cause, known.part) {
			return known.message, known.mark
		}
	}
	return "is not YAML: check indentation, quotes and brackets here", ""
}
