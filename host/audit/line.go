// Package audit writes a line of JSON to a file for each request, with what it was and what it
// used, and reads such files again to sum them up.
//
// A line has names, numbers and words of the gateway's own. It has no prompt, no answer, no
// key, and nothing else that a client or an upstream said, except for the model that a
// client chose behind an alias that ends in *.
package audit

import (
	"encoding/json"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/kai-gateway/kai/host/record"
)

// Line is a line of an audit, as it is read. Fields that a line doesn't have are zero.
type Line struct {
	Time   time.Time `json:"time"` // when the request came
	ID     string    `json:"id"`
	Key    string    `json:"key"`   // its name
	Group  string    `json:"group"` // that the key belongs to
	Alias  string    `json:"alias"` // as configured; "": there was none
	Target string    `json:"target"`
	Status int       `json:"status"`
	Class  string    `json:"class"` // of the failure; "": there was none
	Tokens Tokens    `json:"tokens"`
	Cost   *int64    `json:"cost_nano"` // of all attempts, in billionths of the currency; nil: nobody knows
}

// Tokens are those of an answer.
type Tokens struct {
	Input       int64 `json:"input"` // those below included
	CachedInput int64 `json:"cached_input"`
	CacheWrite  int64 `json:"cache_write"`
	Output      int64 `json:"output"` // those below included
	Reasoning   int64 `json:"reasoning"`
	Estimated   bool  `json:"estimated"`
}

// maxName is how many bytes of a name a line has at most.
const maxName = 300

// appendLine appends the line of a request.
func appendLine(b []byte, r *record.Request) []byte {
	b = append(b, `{"time":"`...)
	b = r.Began.UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, '"')
	b = appendText(b, "id", r.ID)
	b = appendText(b, "endpoint", r.Endpoint)
	b = appendText(b, "key", r.Key)
	b = appendText(b, "group", r.Group)
	b = appendText(b, "alias", r.Alias)
	b = appendText(b, "instead", r.Instead)
	if n := len(r.Attempts); n > 0 {
		last := &r.Attempts[n-1]
		b = appendTarget(append(b, `,"target":`...), last)
		b = append(b, `,"trail":[`...)
		for i := range r.Attempts {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendTarget(append(b, `{"target":`...), &r.Attempts[i])
			b = appendText(b, "class", r.Attempts[i].Class)
			b = appendMilliseconds(b, "ms", r.Attempts[i].Duration)
			b = append(b, '}')
		}
		b = append(b, ']')
	}
	b = appendText(b, "cache", r.Cache)
	b = appendNumber(b, "status", int64(r.Status))
	b = appendText(b, "class", r.Class)
	b = appendText(b, "code", record.KnownCode(r.Code))
	if r.Stream {
		b = append(b, `,"stream":true`...)
	}
	b = appendMilliseconds(b, "ms", r.Duration)
	if r.FirstContent > 0 {
		b = appendMilliseconds(b, "first_token_ms", r.FirstContent)
	}
	if u := r.Usage; u.Input != 0 || u.Output != 0 {
		b = append(b, `,"tokens":{"input":`...)
		b = strconv.AppendInt(b, u.Input, 10)
		b = appendNumber(b, "cached_input", u.CachedInput)
		b = appendNumber(b, "cache_write", u.CacheWrite)
		b = append(b, `,"output":`...)
		b = strconv.AppendInt(b, u.Output, 10)
		b = appendNumber(b, "reasoning", u.Reasoning)
		if u.Estimated {
			b = append(b, `,"estimated":true`...)
		}
		b = append(b, '}')
	}
	if r.Cost.Known {
		b = append(b, `,"cost_nano":`...)
		b = strconv.AppendInt(b, r.Cost.Nano, 10)
		if n := len(r.Attempts); n > 0 {
			b = appendText(b, "price", r.Attempts[n-1].Price)
		}
	}
	b = appendNumber(b, "bytes_in", r.BytesIn)
	b = appendText(b, "client", r.Client)
	return append(b, "}\n"...)
}

// appendTarget appends the name of an attempt's target.
func appendTarget(b []byte, a *record.Attempt) []byte {
	b = appendQuoted(b, a.Provider)
	b[len(b)-1] = '/' // in place of the quote
	model := len(b)
	b = appendQuoted(b, a.Model)
	return append(b[:model], b[model+1:]...)
}

// appendText appends a field, unless its value is "".
func appendText(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	b = append(append(append(b, ',', '"'), key...), `":`...)
	return appendQuoted(b, value)
}

// appendNumber appends a field, unless its value is 0.
func appendNumber(b []byte, key string, n int64) []byte {
	if n == 0 {
		return b
	}
	b = append(append(append(b, ',', '"'), key...), `":`...)
	return strconv.AppendInt(b, n, 10)
}

// appendMilliseconds appends a field with three decimals.
func appendMilliseconds(b []byte, key string, d time.Duration) []byte {
	b = append(append(append(b, ',', '"'), key...), `":`...)
	return strconv.AppendFloat(b, float64(d.Microseconds())/1000, 'f', -1, 64)
}

// appendQuoted appends a JSON string of at most maxName bytes of s.
func appendQuoted(b []byte, s string) []byte {
	if len(s) > maxName {
		end := maxName
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(s) // a string never fails
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
