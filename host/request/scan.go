package request

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

const (
	maxDepth  = 512     // objects and arrays that may enclose each other
	maxFields = 1024    // fields of the top level: far more than any API has
	maxName   = 4 << 10 // bytes of the name of such a field, as it stands in the body
	longText  = 1 << 10 // bytes of a string from which on it goes by reference
	maxMended = 4096    // ids, images and lists of calls, of each, that are looked at

	shownSpace = 64 << 10 // bytes of white space at the end of long content that stay out of the reference
)

// span is a range of bytes, without the one at to.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// outline is what the scan notes about a body: all that is needed to put another model
// in, to take long content out, and to repair it.
type outline struct {
	fields span   // what is between the braces of the top level
	empty  bool   // there is no field
	model  span   // the value of "model"; zero if there is none
	long   []span // content of more than longText bytes, without quotes, in order

	foreign [][]byte // names of fields that are none of OpenAI's, folded

	ids       []callID // of tool calls and results, in order
	stop      span     // the value of "stop"; zero if there is none
	emptyStop bool     // it is an empty list, or holds an empty string
	media     []edit   // of encoded data, in order
	noCalls   []span   // fields tool_calls that hold no call, with their key
}

// callID is the id of a tool call or of a result.
type callID struct {
	span         // without quotes
	result  bool // of a result
	message int  // the message that it stands in, counted from 1
}

// place is where in a chat request a value stands.
type place uint8

const (
	elsewhere place = iota
	top
	model      // model
	messages   // messages
	message    // messages[]
	content    // messages[].content
	part       // messages[].content[]
	text       // messages[].content[].text
	imageURL   // messages[].content[].image_url
	url        // messages[].content[].image_url.url
	audio      // messages[].content[].input_audio
	file       // messages[].content[].file
	audioData  // messages[].content[].input_audio.data
	fileData   // messages[].content[].file.file_data
	toolCalls  // messages[].tool_calls
	toolCall   // messages[].tool_calls[]
	idOfCall   // messages[].tool_calls[].id
	idOfResult // messages[].tool_call_id
	stop       // stop
	stopItem   // stop[]
)

// field returns the place of a field of the object at p.
func (p place) field(key []byte) place {
	switch p {
	case top:
		switch string(key) {
		case "model":
			return model
		case "messages":
			return messages
		case "stop":
			return stop
		}
	case message:
		switch string(key) {
		case "content":
			return content
		case "tool_calls":
			return toolCalls
		case "tool_call_id":
			return idOfResult
		}
	case toolCall:
		if string(key) == "id" {
			return idOfCall
		}
	case part:
		switch string(key) {
		case "text":
			return text
		case "image_url":
			return imageURL
		case "input_audio":
			return audio
		case "file":
			return file
		}
	case imageURL:
		if string(key) == "url" {
			return url
		}
	case audio:
		if string(key) == "data" {
			return audioData
		}
	case file:
		if string(key) == "file_data" {
			return fileData
		}
	}
	return elsewhere
}

// element returns the place of the elements of the array at p.
func (p place) element() place {
	switch p {
	case messages:
		return message
	case content:
		return part
	case toolCalls:
		return toolCall
	case stop:
		return stopItem
	}
	return elsewhere
}

// container is an object or array that has not ended yet.
type container struct {
	place    place
	isObject bool
}

// scanner reads a body once, from start to end, without recursion: a client must not
// decide how deep the stack grows.
type scanner struct {
	b     []byte
	out   outline
	keys  keySet
	depth int
	open  [maxDepth]container

	messages int // that have begun
	keyAt    int // where the last key began that was tool_calls
}

// scan checks that body is one JSON object in UTF-8, nested at most maxDepth
// deep, and notes its outline. No two top-level fields may have the same name and
// none may have one that differs from a known name only as fold has it.
//
// The gateway, the adapter and the upstream could each read another one of two fields
// with the same name, so a client could name a different model to each.
func scan(body []byte) (outline, error) {
	s := scanner{b: body}
	i := s.space(0)
	if s.at(i) != '{' {
		return outline{}, s.notAnObject(i)
	}
	if err := s.object(i); err != nil {
		return outline{}, err
	}
	return s.out, nil
}

// object reads the body, whose first brace is at i.
func (s *scanner) object(i int) error {
	var err error
	here := top
	for {
		// A value begins at i.
		switch c := s.at(i); {
		case c == '"':
			var end int
			if end, _, err = s.string(i + 1); err != nil {
				return err
			}
			s.note(here, span{i + 1, end - 1})
			s.ended(here, i, end)
			i = end
		case c == '{' || c == '[':
			if s.depth == maxDepth {
				return s.fail(i, "nested more than "+strconv.Itoa(maxDepth)+" deep; flatten the request")
			}
			switch here {
			case model:
				s.out.model.from = i
			case stop:
				s.out.stop.from = i
			case message:
				s.messages++
			}
			s.open[s.depth] = container{here, c == '{'}
			s.depth++
			i = s.space(i + 1)
			switch {
			case c == '{' && s.at(i) == '}', c == '[' && s.at(i) == ']':
				switch here {
				case stop:
					s.out.emptyStop = true
				case toolCalls:
					s.noCalls(i + 1)
				}
				if s.depth == 1 {
					s.out.fields, s.out.empty = span{i, i}, true
				}
				if i, err = s.close(i); err != nil || s.depth == 0 {
					return err
				}
			case c == '{':
				if s.depth == 1 {
					s.out.fields.from = i
				}
				if i, here, err = s.key(i); err != nil {
					return err
				}
				continue
			default:
				here = here.element()
				continue
			}
		default:
			end, err := s.scalar(i)
			if err != nil {
				return err
			}
			s.ended(here, i, end)
			i = end
		}

		// A value ended before i. So do the containers it is the last value of.
		for {
			i = s.space(i)
			in := s.open[s.depth-1]
			c := s.at(i)
			if c == ',' {
				i = s.space(i + 1)
				if !in.isObject {
					here = in.place.element()
				} else if i, here, err = s.key(i); err != nil {
					return err
				}
				break
			}
			if in.isObject && c != '}' {
				return s.fail(i, "expected ',' or '}' behind a value")
			}
			if !in.isObject && c != ']' {
				return s.fail(i, "expected ',' or ']' behind a value")
			}
			if i, err = s.close(i); err != nil || s.depth == 0 {
				return err
			}
		}
	}
}

// close ends the innermost container, whose last bracket is at i, and gives
// what follows. Behind the outermost nothing may.
func (s *scanner) close(i int) (int, error) {
	s.depth--
	end := i + 1
	switch s.depth {
	case 0:
		s.out.fields.to = i
		if i = s.space(end); i < len(s.b) {
			return i, s.fail(i, "something follows the object; send one object")
		}
		return i, nil
	case 1:
		switch s.open[1].place {
		case model:
			s.out.model.to = end
		case stop:
			s.out.stop.to = end
		}
	}
	return end, nil
}

// ended notes a value that is no container.
func (s *scanner) ended(here place, from, to int) {
	switch here {
	case model:
		s.out.model = span{from, to}
	case stop:
		s.out.stop = span{from, to}
	case toolCalls:
		if s.b[from] == 'n' { // null
			s.noCalls(to)
		}
	}
}

// noCalls notes that the tool_calls that end before to hold none.
func (s *scanner) noCalls(to int) {
	if len(s.out.noCalls) < maxMended {
		s.out.noCalls = append(s.out.noCalls, span{s.keyAt, to})
	}
}

// note notes the inside of a string if it is an id, encoded data or long content.
func (s *scanner) note(here place, inside span) {
	switch here {
	case idOfCall, idOfResult:
		if len(s.out.ids) < maxMended {
			s.out.ids = append(s.out.ids, callID{inside, here == idOfResult, s.messages})
		}
	case stop, stopItem:
		s.out.emptyStop = s.out.emptyStop || inside.from == inside.to
	}
	if here == imageURL {
		here = url // some write the URL without the object around it
	}
	before := 0 // bytes before encoded data
	if here == url || here == audioData || here == fileData {
		var by *edit
		if before, by = encoded(here, s.b, inside); by != nil {
			if len(s.out.media) < maxMended {
				s.out.media = append(s.out.media, *by)
			}
			if by.to == inside.to {
				return // all of it is another
			}
		}
	}
	if inside.to-inside.from <= longText {
		return
	}
	switch here {
	case content, text:
		// White space at the end of a text stays visible to adapters: some providers
		// refuse it.
		end := inside.of(s.b)
		end = end[max(0, len(end)-shownSpace):]
		inside.to -= len(end) - len(sdk.TrimSpaceEnd(end))
	case url:
		// A URL that will be fetched is never taken out, however long it is.
		if before < 0 {
			return
		}
		inside.from += before
	case audioData, fileData:
		inside.from += before
	default:
		return
	}
	if inside.to-inside.from > longText {
		s.out.long = append(s.out.long, inside)
	}
}

// key reads a key and its colon and gives where the value begins and its place.
func (s *scanner) key(i int) (int, place, error) {
	if s.at(i) != '"' {
		return i, 0, s.fail(i, "expected a key in double quotes")
	}
	end, escaped, err := s.string(i + 1)
	if err != nil {
		return end, 0, err
	}
	key := s.b[i+1 : end-1]
	if s.depth == 1 && len(key) > maxName {
		return i, 0, badBody(s.position(i) + ": a name of more than " + strconv.Itoa(maxName) + " bytes at the top level")
	}
	if escaped {
		key = sdk.AppendUnquote(nil, key)
	}
	if s.depth == 1 {
		if err := s.name(i, key); err != nil {
			return i, 0, err
		}
	}
	here := s.open[s.depth-1].place.field(key)
	if here == toolCalls {
		s.keyAt = i
	}
	i = s.space(end)
	if s.at(i) != ':' {
		return i, 0, s.fail(i, "expected ':' behind a key")
	}
	return s.space(i + 1), here, nil
}

// name takes the name of a top-level field, which begins at i.
func (s *scanner) name(i int, key []byte) error {
	folded := fold(key)
	ours := known(folded)
	switch {
	case ours && string(folded) != string(key):
		return s.wrongName(i, key, fmt.Sprintf("some servers read this field as %s: send it as %[1]s or leave it out", folded))
	case s.keys.has(folded):
		return s.wrongName(i, key, "a second field of the same name at the top level, whatever the case of its letters: send each field once")
	case s.keys.n > maxFields:
		return s.fail(i, "more than "+strconv.Itoa(maxFields)+" fields at the top level")
	case !ours:
		s.out.foreign = append(s.out.foreign, folded)
	}
	return nil
}

// scalar reads a number or a literal.
func (s *scanner) scalar(i int) (end int, err error) {
	word := ""
	switch c := s.at(i); {
	case c == 't':
		word = "true"
	case c == 'f':
		word = "false"
	case c == 'n':
		word = "null"
	case c == '-' || isDigit(c):
		return s.number(i)
	default:
		return i, s.fail(i, "expected a value")
	}
	if end = i + len(word); end <= len(s.b) && string(s.b[i:end]) == word {
		return end, nil
	}
	return i, s.fail(i, "expected a value; words other than true, false and null need quotes")
}

func (s *scanner) number(i int) (end int, err error) {
	if s.at(i) == '-' {
		i++
	}
	if s.at(i) == '0' {
		i++
	} else if i, err = s.digits(i); err != nil {
		return i, err
	}
	if s.at(i) == '.' {
		if i, err = s.digits(i + 1); err != nil {
			return i, err
		}
	}
	if c := s.at(i); c == 'e' || c == 'E' {
		i++
		if c := s.at(i); c == '+' || c == '-' {
			i++
		}
		if i, err = s.digits(i); err != nil {
			return i, err
		}
	}
	return i, nil
}

func (s *scanner) digits(i int) (end int, err error) {
	for end = i; isDigit(s.at(end)); end++ {
	}
	if end == i {
		return i, s.fail(i, "expected a digit")
	}
	return end, nil
}

// string reads the rest of a string whose opening quote is before i and gives
// what follows the closing one.
//
// It looks at 8 bytes at a time. In stop, the highest bit of a byte is set where
// the byte is a quote, a backslash or a control character; the borrow of a
// subtraction can set bits too many, but only above the first right one.
func (s *scanner) string(i int) (end int, escaped bool, err error) {
	const (
		low  = 0x0101010101010101
		high = 0x8080808080808080
	)
	b, from := s.b, i
	var seen uint64 // all bytes so far, or-ed: is there one beyond ASCII?
	for {
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			quote, backslash := w^low*'"', w^low*'\\'
			stop := high & ((quote-low)&^quote | (backslash-low)&^backslash | (w-low*' ')&^w)
			seen |= w
			if stop != 0 {
				i += bits.TrailingZeros64(stop) / 8
				break
			}
			i += 8
		}
		switch c := s.at(i); {
		case c == '"':
			if seen&high != 0 && !utf8.Valid(b[from:i]) {
				return i, escaped, s.notUTF8(span{from, i})
			}
			return i + 1, escaped, nil
		case c == '\\':
			escaped = true
			if i, err = s.escape(i); err != nil {
				return i, escaped, err
			}
		case i >= len(b):
			return i, escaped, s.fail(i, `expected '"' at the end of a string`)
		case c < ' ':
			return i, escaped, s.fail(i, `a control character in a string; write \n for a line end, \u00XX for others`)
		default: // one of the last seven bytes
			seen |= uint64(c)
			i++
		}
	}
}

// escape reads the escape whose backslash is at i.
func (s *scanner) escape(i int) (end int, err error) {
	switch s.at(i + 1) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2, nil
	case 'u':
		for j := i + 2; j < i+6; j++ {
			if c := s.at(j); !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return j, s.fail(j, `expected four hexadecimal digits behind \u`)
			}
		}
		if r := codeUnit(s.b[i:]); utf16.IsSurrogate(r) {
			if utf16.DecodeRune(r, codeUnit(s.b[i+6:])) != utf8.RuneError {
				return i + 12, nil
			}
			copy(s.b[i+2:], "fffd") // half a character: no provider takes it
		}
		return i + 6, nil
	}
	return i, s.fail(i, `a backslash that begins no escape of JSON; write \\ for itself`)
}

// codeUnit returns the value of the \uXXXX that b begins with, else -1.
func codeUnit(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	r := 0
	for _, c := range b[2:6] {
		digit := unhex(c)
		if digit < 0 {
			return -1
		}
		r = r<<4 | digit
	}
	return rune(r)
}

// at returns the byte at i, or 0 behind the end, which no caller takes for one
// that may stand there.
func (s *scanner) at(i int) byte {
	if uint(i) < uint(len(s.b)) {
		return s.b[i]
	}
	return 0
}

// space skips white space from i on.
func (s *scanner) space(i int) int {
	for uint(i) < uint(len(s.b)) && s.b[i] <= ' ' {
		switch s.b[i] {
		case ' ', '\n', '\r', '\t':
			i++
		default:
			return i
		}
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }

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
		return badBody("the request body is empty: send a JSON object with the field messages")
	}
	return badBody("the request body must be a JSON object: " + s.position(i) + ": expected '{'")
}

func (s *scanner) notUTF8(str span) error {
	i := str.from
	for {
		r, size := utf8.DecodeRune(s.b[i:str.to])
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

// keySet is the set of the top-level keys, folded. Few are compared one by one, which
// needs no memory; many are hashed, so that neither their number nor their
// length makes a request expensive.
type keySet struct {
	n    int
	few  [24][]byte
	many map[string]struct{}
}

// has reports whether the set had the key, and adds it.
func (k *keySet) has(key []byte) bool {
	if k.n < len(k.few) {
		for _, other := range k.few[:k.n] {
			if string(other) == string(key) {
				return true
			}
		}
		k.few[k.n] = key
		k.n++
		return false
	}
	if k.many == nil {
		k.many = make(map[string]struct{}, 2*len(k.few))
		for _, other := range k.few {
			k.many[string(other)] = struct{}{}
		}
	}
	if _, ok := k.many[string(key)]; ok {
		return true
	}
	k.many[string(key)] = struct{}{}
	k.n++
	return false
}
