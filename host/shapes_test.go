package host_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit"
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

// TestShapesOfLargeRequests gives each shipped adapter each shape in two sizes. What
// it needs grows with the size and no faster, and is within what a call may have for
// each byte: so the adapter takes such requests up to limits.input.
func TestShapesOfLargeRequests(t *testing.T) {
	const small, large = 32 << 10, 256 << 10
	// In units of docs/design/0002-fuel.md. A call has 400 for each byte.
	const most = 300
	e := wasm.New(wasm.Options{CacheDir: testkit.CacheDir})
	t.Cleanup(e.Close)
	for _, plugin := range plugins.Names() {
		module, err := testkit.Module(plugin)
		if err != nil {
			t.Fatal(err)
		}
		a := e.Adapter(plugin, module, wasm.AdapterOptions{Limits: wasm.Limits{Time: time.Hour}})
		t.Cleanup(a.Close)
		if err := a.Wait(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		for name, shape := range shapes {
			t.Run(plugin+"/"+name, func(t *testing.T) {
				var batch wasm.Batch
				needs := func(size int) float64 {
					body := shape(size)
					if _, err := a.Request(t.Context(), abi.Chat, true, []byte("{}"), []byte(body), &batch); err != nil {
						t.Fatalf("%d bytes: %v", len(body), err)
					}
					return float64(batch.Cost.Fuel) / float64(len(body))
				}
				before, after := needs(small), needs(large)
				if after > most || after > 3*before+10 {
					t.Errorf("it needs %.0f units for a byte of %d, and %.0f of %d; want at most %d", before, small, after, large, most)
				}
			})
		}
	}
}
