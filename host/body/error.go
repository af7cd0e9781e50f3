package body

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/fault"
)

// fail returns the client's error: what is expected at byte i.
func (s *scanner) fail(i int, what string) error {
	if i >= len(s.b) {
		what = "the body ends here; " + what
	}
	return badBody(fmt.Sprintf("the request body is not valid JSON: %s: %s", s.position(i), what))
}

func (s *scanner) notAnObject(i int) error {
	switch {
	case i >= len(s.b):
		return badBody("the request body is empty: send a JSON object with the field " + s.grammar.Needs)
	}
	return badBody("the request body must be a JSON object: " + s.position(i) + ": expected '{'")
}

func (s *scanner) notUTF8(str Span) error {
	i := str.From
	for {
		r, size := utf8.DecodeRune(s.b[i:str.To])
		if r == utf8.RuneError && size <= 1 {
			return badBody("the request body is not UTF-8: " + s.position(i) + ": send text as UTF-8 or as \\u escapes")
		}
		i += size
	}
}

func (s *scanner) wrongName(i int, key []byte, what string) error {
	err := badBody(s.position(i) + ": " + what)
	if len(key) <= 64 {
		err.Param = string(key)
		err.Text = err.Param + ": " + err.Text
	}
	return err
}

// position names the place of byte i for people: lines and characters from 1.
func (s *scanner) position(i int) string {
	before := s.b[:min(i, len(s.b))]
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[1+bytes.LastIndexByte(before, '\n'):])
	return fmt.Sprintf("line %d, column %d", line, column)
}

func badBody(message string) *fault.Error {
	return &fault.Error{Kind: fault.Invalid, Text: message}
}
