package completions

import (
	"bytes"
	"strconv"
	"unicode/utf8"

	"github.com/kai-gateway/kai/sdk"
)

// tokens are logprobs in the form of completions: arrays of equal length, kept without their
// brackets.
type tokens struct {
	text, logprobs, top, offsets []byte
	at                           int // the offset of the next token, in characters
}

// add adds token objects in the form of chat completions.
//
// A token without a logprob is the first of the prompt. If a token says in text_offset
// where in the text it begins, that counts. Otherwise the offset counts the characters of
// the tokens before it.
//
//   - alternatives: the client wants the alternatives for each token. The token itself is
//     one of them.
func (t *tokens) add(array sdk.JSON, alternatives bool) {
	for it := sdk.Array(array); it.Next(); {
		var text, logprob, raw, top, offset sdk.JSON
		for f := sdk.Object(it.Value()); f.Next(); {
			switch v := f.Value(); string(f.Key()) {
			case "token":
				text = v
			case "logprob":
				logprob = v
			case "bytes":
				raw = v
			case "top_logprobs":
				top = v
			case "text_offset":
				offset = v
			}
		}
		if text.Kind() != sdk.KindString {
			text = sdk.JSON(`""`)
		}
		if logprob.Kind() != sdk.KindNumber {
			logprob = sdk.JSON("null")
		}
		if n, ok := offset.Int(); ok && n >= 0 && n < maxInt {
			t.at = int(n)
		}
		t.text = append(separated(t.text), text...)
		t.logprobs = append(separated(t.logprobs), logprob...)
		t.offsets = strconv.AppendInt(separated(t.offsets), int64(t.at), 10)
		if alternatives {
			t.top = appendTop(separated(t.top), text, logprob, top)
		}
		t.at += characters(text, raw)
	}
}

func separated(list []byte) []byte {
	if len(list) > 0 {
		list = append(list, ',')
	}
	return list
}

// appendTop appends the object with the alternatives for a token, and the token itself. Of
// several with the same text, the first counts.
func appendTop(dst []byte, text, logprob, top sdk.JSON) []byte {
	if logprob.Kind() == sdk.KindNull {
		return append(dst, "null"...)
	}
	var seen [maxAlternatives + 1]sdk.JSON
	n := 0
	add := func(text, logprob sdk.JSON, most int) {
		for _, other := range seen[:n] {
			if bytes.Equal(other, text) {
				return
			}
		}
		if n == most || text.Kind() != sdk.KindString || logprob.Kind() != sdk.KindNumber {
			return
		}
		seen[n] = text
		if n++; n > 1 {
			dst = append(dst, ',')
		}
		dst = append(append(append(dst, text...), ':'), logprob...)
	}
	dst = append(dst, '{')
	for it := sdk.Array(top); it.Next(); {
		add(it.Value().Get("token"), it.Value().Get("logprob"), maxAlternatives)
	}
	add(text, logprob, len(seen))
	return append(dst, '}')
}

// characters returns how many characters begin in a token. raw has its bytes, if it isn't
// null: a token can be a part of a character.
func characters(text, raw sdk.JSON) (n int) {
	if raw.Kind() == sdk.KindArray {
		for it := sdk.Array(raw); it.Next(); {
			if b, ok := it.Value().Int(); ok && utf8.RuneStart(byte(b)) {
				n++
			}
		}
		return n
	}
	s, _ := text.Str()
	return utf8.RuneCountInString(s)
}

func (t *tokens) empty() bool { return len(t.offsets) == 0 }

// size returns how many bytes the logprobs keep.
func (t *tokens) size() int { return cap(t.text) + cap(t.logprobs) + cap(t.top) + cap(t.offsets) }

// forget drops all but the offset of what follows.
func (t *tokens) forget() {
	for _, b := range []*[]byte{&t.text, &t.logprobs, &t.top, &t.offsets} {
		*b = emptied(*b)
	}
}

// appendTo appends the object, or null if there is no token.
func (t *tokens) appendTo(dst []byte, alternatives bool) []byte {
	if t.empty() {
		return append(dst, "null"...)
	}
	list := func(name string, inside []byte) {
		dst = append(append(append(append(dst, name...), '['), inside...), ']')
	}
	list(`{"tokens":`, t.text)
	list(`,"token_logprobs":`, t.logprobs)
	if alternatives {
		list(`,"top_logprobs":`, t.top)
	} else {
		dst = append(dst, `,"top_logprobs":null`...)
	}
	list(`,"text_offset":`, t.offsets)
	return append(dst, '}')
}
