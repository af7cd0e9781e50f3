package conform

import (
	"bytes"
	"strings"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/transcript"
)

// withoutUsage removes everything that the upstream counts. Only the usage of the answer may
// change.
func (c *check) withoutUsage(a lastAnswer) {
	const name = "the upstream counts no tokens"
	var body []byte
	removed := false
	if !a.streamed {
		body, removed = withoutCounts(a.Body)
	} else {
		for _, p := range a.pieces {
			before, data, found := bytes.Cut(p, []byte("{"))
			if !found {
				body = append(body, p...)
				continue
			}
			less, did := withoutCounts(append([]byte("{"), data...))
			removed = removed || did
			body = append(append(append(body, before...), less...), ending(p)...)
		}
	}
	if !removed {
		return
	}
	o, ok := c.replayChanged(name, c.withAnswer(a.n, a.Status, a.Headers, body, a.Cut))
	if !ok {
		return
	}
	if !o.complete {
		c.result.fail(name, "the answer is no success any more: %v", o.err)
	} else if want, got := withoutUsageLines(c.recorded.Replay), withoutUsageLines(o.Replay); !bytes.Equal(want, got) {
		c.result.fail(name, "more than its usage changes:\n%s", diff(want, got))
	}
}

// ending returns the line ends of a piece.
func ending(p []byte) []byte { return p[len(bytes.TrimRight(p, "\r\n")):] }

// withoutCounts removes from a JSON object every field that counts tokens: numbers
// and objects with "usage", "tokens", "tokenCount" or "_count" in their names; a
// "token" or "token_id" is no count. The order of what stays is kept.
func withoutCounts(data []byte) (out []byte, removed bool) {
	data = bytes.TrimRight(data, "\r\n")
	if sdk.JSON(data).Valid() != nil {
		return data, false
	}
	return appendUncounted(nil, data)
}

func appendUncounted(dst []byte, v sdk.JSON) (out []byte, removed bool) {
	switch v.Kind() {
	case sdk.KindObject:
		dst = append(dst, '{')
		begin := len(dst)
		for it := sdk.Object(v); it.Next(); {
			if counts(string(it.Key()), it.Value().Kind()) {
				removed = true
				continue
			}
			if len(dst) > begin {
				dst = append(dst, ',')
			}
			dst = append(sdk.AppendQuote(dst, string(it.Key())), ':')
			inner := false
			dst, inner = appendUncounted(dst, it.Value())
			removed = removed || inner
		}
		return append(dst, '}'), removed
	case sdk.KindArray:
		dst = append(dst, '[')
		begin := len(dst)
		for it := sdk.Array(v); it.Next(); {
			if len(dst) > begin {
				dst = append(dst, ',')
			}
			inner := false
			dst, inner = appendUncounted(dst, it.Value())
			removed = removed || inner
		}
		return append(dst, ']'), removed
	}
	return append(dst, v...), false
}

func counts(key string, kind sdk.Kind) bool {
	key = strings.ToLower(key)
	return (kind == sdk.KindNumber || kind == sdk.KindObject) &&
		(strings.Contains(key, "usage") || strings.Contains(key, "tokens") || strings.Contains(key, "tokencount") ||
			strings.HasSuffix(key, "_count"))
}

// withoutUsageLines returns the emissions of a replay, except USAGE, in one block: a call
// that emitted nothing else would leave a blank line.
func withoutUsageLines(r *transcript.Replay) []byte {
	var b bytes.Buffer
	for line := range bytes.Lines(r.Emissions()) {
		if !bytes.HasPrefix(line, []byte("USAGE ")) && len(bytes.TrimSpace(line)) > 0 {
			b.Write(line)
		}
	}
	return b.Bytes()
}
