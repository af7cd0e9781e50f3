package host_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/plugins"
	"github.com/kai-gateway/kai/sdk/abi"
)

// shapes are requests that clients may send, each for about n bytes, of what can
// be much in one.
var shapes = map[string]func(n int) string{
	"tiny messages": func(n int) string {
		return messages(fill(n, `{"role":"user","content":"a"},{"role":"assistant","content":"b"}`))
	},
	"messages of one role": func(n int) string { return messages(fill(n, `{"role":"user","content":"a"}`)) },
	"system messages":      func(n int) string { return messages(fill(n, `{"role":"system","content":"a"}`)) },
	"tiny parts": func(n int) string {
		return messages(`{"role":"user","content":[` + fill(n, `{"type":"text","text":"a"}`) + `]}`)
	},
	"parts with pictures": func(n int) string {
		return messages(`{"role":"user","content":[` + fill(n, `{"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD"}}`) + `]}`)
	},
	"long escapes": func(n int) string {
		return messages(`{"role":"user","content":"` + strings.Repeat(`\u00e9\n\"\\`, n/12) + `"}`)
	},
	"many short escapes": func(n int) string {
		return messages(fill(n, `{"role":"user","content":"\u00e9\n\"\\\ud83d\ude00\u0001"},{"role":"assistant","content":"\t"}`))
	},
	"a long text": func(n int) string {
		return messages(`{"role":"user","content":"` + strings.Repeat("All work. ", n/10) + `"}`)
	},
	"tools": func(n int) string {
		return messages(`{"role":"user","content":"a"}`, `"tools":[`+numbered(n, `{"type":"function","function":{"name":"f%d","parameters":{"type":"object","properties":{"x":{"type":"string"}}}}}`)+`]`)
	},
	"a deep schema": func(n int) string {
		const open, shut = `{"type":"object","properties":{"a":`, `}}`
		depth := min(200, n/len(open+shut))
		one := strings.Repeat(open, depth) + `{"type":"string"}` + strings.Repeat(shut, depth)
		return messages(`{"role":"user","content":"a"}`, `"tools":[`+fill(n, `{"type":"function","function":{"name":"f","parameters":`+one+`}}`)+`]`)
	},
	"a wide schema": func(n int) string {
		return messages(`{"role":"user","content":"a"}`, `"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{`+numbered(n, `"p%d":{"type":["string","null"]}`)+`}}}}]`)
	},
	"a format": func(n int) string {
		return messages(`{"role":"user","content":"a"}`, `"response_format":{"type":"json_schema","json_schema":{"name":"f","schema":{"type":"object","properties":{`+numbered(n, `"p%d":{"type":"string","minLength":1}`)+`}}}}`)
	},
	"tool calls and results": func(n int) string {
		return messages(`{"role":"user","content":"a"},` + numbered(n, `{"role":"assistant","content":null,"tool_calls":[{"id":"call_%[1]d","type":"function","function":{"name":"f","arguments":"{\"a\":%[1]d}"}}]},{"role":"tool","tool_call_id":"call_%[1]d","content":"1"}`))
	},
	"many calls in one message": func(n int) string {
		return messages(`{"role":"user","content":"a"},{"role":"assistant","content":null,"tool_calls":[` + numbered(n/2, `{"id":"call_%[1]d","type":"function","function":{"name":"f","arguments":"{}"}}`) + `]},` +
			numbered(n/2, `{"role":"tool","tool_call_id":"call_%[1]d","content":"1"}`))
	},
	"results without calls": func(n int) string {
		return messages(`{"role":"user","content":"a"},` + numbered(n, `{"role":"tool","tool_call_id":"call_%[1]d","content":"1"}`))
	},
	"stop words": func(n int) string {
		return messages(`{"role":"user","content":"a"}`, `"stop":[`+numbered(n, `"s%d"`)+`]`)
	},
	"unknown fields": func(n int) string {
		return messages(`{"role":"user","content":"a"}`, numbered(n, `"unknown_%d":1`))
	},
	"metadata": func(n int) string {
		return messages(`{"role":"user","content":"a"}`, `"metadata":{`+numbered(n, `"k%d":"v"`)+`}`)
	},
	"deep unknown": func(n int) string {
		return messages(`{"role":"user","content":"a"}`, `"x":`+strings.Repeat(`[`, 400)+strings.Repeat(`]`, 400)+`,"y":[`+fill(n, `[[]]`)+`]`)
	},
	"white space": func(n int) string { return messages(`{"role":"user",` + strings.Repeat(" ", n) + `"content":"a"}`) },
	"long numbers": func(n int) string {
		return messages(`{"role":"user","content":"a"}`, `"x":[`+fill(n, "1.234567e5")+`]`)
	},
}

// moreShapes are the requests of other operations.
var moreShapes = map[abi.Op]map[string]func(n int) string{
	abi.Completions: {
		"a list of tokens": func(n int) string { return `{"model":"m","prompt":[` + fill(n, "7") + `]}` },
		"lists of tokens":  func(n int) string { return `{"model":"m","prompt":[` + lists(n, 64) + `]}` },
		"short escapes":    func(n int) string { return `{"model":"m","prompt":"` + strings.Repeat(`\n`, n/2) + `"}` },
		"stop words":       func(n int) string { return `{"model":"m","prompt":"a","stop":[` + fill(n, `"a"`) + `]}` },
		"unknown fields":   func(n int) string { return `{"model":"m","prompt":"a",` + numbered(n, `"unknown_%d":1`) + `}` },
		"a bias":           func(n int) string { return `{"model":"m","prompt":"a","logit_bias":{` + numbered(n, `"%d":1`) + `}}` },
	},
	abi.Embeddings: {
		"a list of tokens": func(n int) string { return `{"model":"m","input":[` + fill(n, "7") + `]}` },
		"many dimensions":  func(n int) string { return `{"model":"m","dimensions":1024,"input":[` + fill(n, "7") + `]}` },
		"lists of tokens":  func(n int) string { return `{"model":"m","input":[` + lists(n, 64) + `]}` },
		"a text of words":  func(n int) string { return `{"model":"m","input":"` + strings.Repeat("a ", n/2) + `"}` },
		"short escapes":    func(n int) string { return `{"model":"m","input":["` + strings.Repeat(`\n`, n/2) + `"]}` },
		"unknown fields":   func(n int) string { return `{"model":"m","input":"a",` + numbered(n, `"unknown_%d":1`) + `}` },
	},
	abi.Rerank: {
		"documents": func(n int) string { return `{"model":"m","query":"a","documents":[` + fill(n, `"a"`) + `]}` },
		"objects":   func(n int) string { return `{"model":"m","query":"a","documents":[` + fill(n, `{"text":"a"}`) + `]}` },
	},
	abi.Moderations: {
		"texts": func(n int) string { return `{"model":"m","input":[` + fill(n, `"a"`) + `]}` },
		"parts": func(n int) string { return `{"model":"m","input":[` + fill(n, `{"type":"text","text":"a"}`) + `]}` },
	},
	abi.Messages: {
		"tiny messages": func(n int) string {
			return messages(fill(n, `{"role":"user","content":"a"},{"role":"assistant","content":"b"}`), `"max_tokens":9`)
		},
		"tiny blocks": func(n int) string {
			return messages(`{"role":"user","content":[`+fill(n, `{"type":"text","text":"a"}`)+`]}`, `"max_tokens":9`)
		},
		"tools": func(n int) string {
			return messages(`{"role":"user","content":"a"}`, `"max_tokens":9,"tools":[`+numbered(n, `{"name":"f%d","input_schema":{}}`)+`]`)
		},
		"stop words": func(n int) string {
			return messages(`{"role":"user","content":"a"}`, `"max_tokens":9,"stop_sequences":[`+fill(n, `"a"`)+`]`)
		},
		"unknown fields": func(n int) string { return messages(`{"role":"user","content":"a"}`, numbered(n, `"unknown_%d":1`)) },
	},
	abi.Responses: {
		"tiny items": func(n int) string { return `{"model":"m","input":[` + fill(n, `{"role":"user","content":"a"}`) + `]}` },
		"tools": func(n int) string {
			return `{"model":"m","input":"a","tools":[` + numbered(n, `{"type":"function","name":"f%d"}`) + `]}`
		},
		"includes":       func(n int) string { return `{"model":"m","input":"a","include":[` + fill(n, `"a"`) + `]}` },
		"unknown fields": func(n int) string { return `{"model":"m","input":"a",` + numbered(n, `"unknown_%d":1`) + `}` },
	},
	abi.Speech: {
		"unknown fields": func(n int) string {
			return `{"model":"m","input":"a","voice":"b",` + numbered(n, `"unknown_%d":1`) + `}`
		},
	},
	abi.Images: {
		"unknown fields": func(n int) string { return `{"model":"m","prompt":"a",` + numbered(n, `"unknown_%d":1`) + `}` },
	},
	abi.Transcriptions: {
		"a list": func(n int) string {
			return `{"model":"m","timestamp_granularities[]":[` + fill(n, `"a"`) + `],"file":{"filename":"a.mp3","content_type":"audio/mpeg","bytes":25}}`
		},
		"unknown fields": func(n int) string {
			return `{"model":"m",` + numbered(n, `"unknown_%d":"1"`) + `,"file":{"filename":"a.mp3","content_type":"audio/mpeg","bytes":25}}`
		},
	},
}

// shapesOf returns the shapes of an operation. A request to count tokens is as one that is answered.
func shapesOf(op abi.Op) map[string]func(n int) string {
	switch op {
	case abi.Chat, abi.Count:
		return shapes
	case abi.CountMessages:
		return moreShapes[abi.Messages]
	case abi.CountResponses, abi.CompactResponses:
		return moreShapes[abi.Responses]
	}
	return moreShapes[op]
}

// opsOf returns what an adapter can do, if it is configured to.
func opsOf(a *wasm.Adapter) (ops []abi.Op) {
	profile := a.Manifest().Profile()
	for _, name := range profile.Ops {
		ops = append(ops, abi.OpNamed(name))
	}
	for name := range profile.OptionalOps {
		ops = append(ops, abi.OpNamed(name))
	}
	return ops
}

// lists is so many lists of tokens, of n bytes together.
func lists(n, many int) string { return fill(n, `[`+fill(n/many-3, "7")+`]`) }

func messages(list string, more ...string) string {
	return `{"model":"m","messages":[` + list + `]` + strings.Join(append([]string{""}, more...), ",") + `}`
}

// fill repeats a value up to n bytes.
func fill(n int, one string) string {
	return strings.TrimSuffix(strings.Repeat(one+",", max(1, n/(len(one)+1))), ",")
}

// numbered does the same with a number in each.
func numbered(n int, format string) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// TestShapesOfLargeRequests gives each shipped adapter each shape of each of its operations in
// two sizes. What it needs grows with the size and no faster, and is within what a call may
// have for each byte: so the adapter takes such requests up to limits.input.
func TestShapesOfLargeRequests(t *testing.T) {
	const small, large = 32 << 10, 256 << 10
	// In units of docs/design/0002-fuel.md. A call has 400 for each byte.
	const most = 300
	eachShape(t, func(t *testing.T, a *wasm.Adapter, op abi.Op, shape func(int) string) {
		before, after := needs(t, a, op, shape(small)), needs(t, a, op, shape(large))
		if after > most || after > 3*before+10 {
			t.Errorf("it needs %.0f units for a byte of %d, and %.0f of %d; want at most %d", before, small, after, large, most)
		}
	})
}

// largest are shapes for which adapters need, or once needed, the most memory.
var largest = []string{"tiny messages", "stop words"}

// TestLargestRequests gives them such requests of limits.input bytes, for which they have enough
// of everything, memory too.
func TestLargestRequests(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("takes a minute or two: make check runs it")
	}
	eachShape(t, func(t *testing.T, a *wasm.Adapter, op abi.Op, shape func(int) string) {
		if name := t.Name()[strings.LastIndexByte(t.Name(), '/')+1:]; op == abi.Chat && slices.Contains(largest, strings.ReplaceAll(name, "_", " ")) {
			needs(t, a, op, shape(8<<20-128<<10)) // what is numbered may be somewhat longer
		}
	})
}

// needs returns how much fuel an adapter needs for each byte of a body.
func needs(t *testing.T, a *wasm.Adapter, op abi.Op, body string) float64 {
	t.Helper()
	var batch wasm.Batch
	if _, err := a.Request(t.Context(), op, true, []byte("{}"), []byte(body), &batch); err != nil {
		t.Fatalf("%d bytes: %v", len(body), err)
	}
	return float64(batch.Cost.Fuel) / float64(len(body))
}

// eachShape tests each shape of each operation with each shipped adapter that has it.
func eachShape(t *testing.T, test func(t *testing.T, a *wasm.Adapter, op abi.Op, shape func(n int) string)) {
	e := newEngine(t)
	for _, plugin := range plugins.Names() {
		a := shippedAdapter(t, e, plugin, wasm.AdapterOptions{Limits: wasm.Limits{Time: time.Hour}})
		for _, op := range opsOf(a) {
			for name, shape := range shapesOf(op) {
				t.Run(plugin+"/"+op.String()+"/"+name, func(t *testing.T) { test(t, a, op, shape) })
			}
		}
	}
}
