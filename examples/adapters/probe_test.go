package adapters_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/wasm"
	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestSDKs compares what the SDKs make of the same input. The adapters in
// testdata/probe use all of an SDK and state what it gives them.
func TestSDKs(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	t.Parallel()
	modules := loadAll(t, "testdata/probe")
	call := func(in sdk.Input) func(*wasm.Adapter) string {
		return func(a *wasm.Adapter) string {
			var b wasm.Batch
			if _, err := a.Call(t.Context(), in, &b); err != nil {
				return fmt.Sprintf("broken: %v\n", err)
			}
			return described(b.Emissions)
		}
	}

	t.Run("every kind of emission", func(t *testing.T) {
		for name, r := range map[string]sdk.Request{
			"chat":            {Op: abi.Chat, Options: sdk.JSON(`{"a":1}`), Body: sdk.JSON("{}")},
			"another request": {Op: abi.Chat, Stream: true, Options: sdk.JSON("{}"), Body: sdk.JSON("{}")},
			"models":          {Op: abi.Models, Options: sdk.JSON("{}")},
		} {
			agree(t, modules, name, call(sdk.Input{Request: &r}))
		}
		all := call(sdk.Input{Request: &sdk.Request{Op: abi.Chat, Options: sdk.JSON("{}"), Body: sdk.JSON("{}")}})(modules["go"])
		for k := abi.Text; k < abi.Result; k++ {
			if name := k.String(); name != "" && !strings.Contains(all, name+" ") {
				t.Errorf("%s is not stated:\n%s", name, all)
			}
		}
	})

	t.Run("JSON", func(t *testing.T) {
		for _, body := range bodies(t) {
			agree(t, modules, strconv.Quote(body), call(sdk.Input{Response: &sdk.Response{
				Op: abi.Chat, Status: 200, Head: sdk.Head("content-type: a\nretry-after: 3 \nx: y\n"), Body: []byte(body),
			}}))
			if t.Failed() {
				return
			}
		}
	})

	t.Run("state", func(t *testing.T) {
		for language, a := range modules {
			var state []byte
			var got []string
			for i, data := range []string{"one", "two", "three", "four", "reset", "again"} {
				var b wasm.Batch
				e := sdk.Event{Op: abi.Chat, Name: []byte("name"), Data: sdk.JSON(data), End: i == 1, Done: i == 2}
				if _, err := a.Call(t.Context(), sdk.Input{Event: &e, State: state}, &b); err != nil {
					t.Fatalf("%s: %v", language, err)
				}
				for _, m := range b.Emissions {
					if m.Kind == abi.State {
						state = slices.Clone(m.Data)
					} else {
						got = append(got, string(m.Data))
					}
				}
			}
			if want := "100 1 -1099511627776 1 65536 true falsefalse name one " +
				"200 2 -2199023255552 2 65538 false truefalse name two " +
				"44 3 -3298534883328 3 12884967426 true falsetrue name three " +
				"144 4 -4398046511104 4 12885164034 false falsefalse name four " +
				"100 1 -1099511627776 1 65536 true falsefalse name again"; strings.Join(got, " ") != want {
				t.Errorf("%s: states\n%s, want\n%s", language, strings.Join(got, " "), want)
			}
		}
	})

	t.Run("what panics ends its call only", func(t *testing.T) {
		for language, a := range modules {
			var broke *wasm.CallError
			var b wasm.Batch
			_, err := a.Call(t.Context(), sdk.Input{Event: &sdk.Event{Op: abi.Chat, Data: sdk.JSON("panic")}}, &b)
			if !errors.As(err, &broke) || broke.Kind != wasm.Trap {
				t.Errorf("%s: the call ended with %v, want a trap", language, err)
			}
			if _, err := a.Call(t.Context(), sdk.Input{Event: &sdk.Event{Op: abi.Chat, Data: sdk.JSON("x")}}, &b); err != nil {
				t.Errorf("%s: the call after it: %v", language, err)
			}
		}
	})

	t.Run("large input after small", func(t *testing.T) {
		for _, n := range []int{1, 100_000, 10, 2_000_000, 5} {
			body := `{"key":"` + strings.Repeat("x", n) + `"}`
			agree(t, modules, fmt.Sprint(n), call(sdk.Input{Response: &sdk.Response{Op: abi.Chat, Status: 200, Body: []byte(body)}}))
		}
	})
}

// bodies gives JSON and what is almost JSON: the cases below, what the Go SDK's
// fuzzing has found worth keeping, and both with some bytes changed.
func bodies(t *testing.T) []string {
	t.Helper()
	all := []string{
		"", " ", "null", " null ", "nul", "nulls", "true", "false", "tru", "falsy", "-", "0", "-0", "01", "1.", "1.5", ".5", "1e", "1e+", "1e5", "1E-2", "100e-2", "1.20e1",
		"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551616", "1e18", "1e19", "0e999999999999", "1e999999999999", "0.000", "12300000000000000000000e-10",
		`""`, `"a"`, `"a`, `"\`, `"\u12`, `"\u12g4"`, `"\x"`, `"\ud83e\udd9c\ud83e \udd9c\ud83e\u0041\u00e9\u0000\/\b\f\n\r\t\"\\"`, "\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\t\"",
		"\"\xff\"", "\"\xc3\"", "\"\xe2\x82\"", "\"\xe2\x82x\"", "\"\xed\xa0\x80\"", "\"\xf0\x9f\xa6\x9c\"", "\"\xf4\x90\x80\x80\"", "\"\xc0\x80\"", "\"\xf0\x80\x80\x80 \\u00e9 \xf0\x9f\"",
		"[]", "[ ]", "[1,]", "[,1]", "[1 2]", "[1", "[1,", "[[]", "[]]", "{}", "{ }", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{"a":1,"a":2}`, `{a:1}`, `{"a":1`, `{"a"`, `{"`, `{"a":1}x`, `{1:2}`, `{"a" 1}`,
		`{"key":1}`, `{"ke\u0079":2,"key":3}`, `{"key":[1,{"key":2}]} `, `{"a":b,"key":1}`, `{"key":1,b}`, "{\"\xff\":1,\"\\u0000\xff\":2}",
		`[{"role":"user","content":"hi"},{"role":null,"content":[1],"name":"n","tool_calls":[{"id":"1","function":{"name":"f","arguments":"{}"}},{"function":null},3],"tool_call_id":"x","reasoning_content":"b","reasoning":"a"},{"reasoning_content":"b"},5,null]`,
		`[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u"}},{"type":"image_url","image_url":"u"},{"type":"input_audio","input_audio":{"data":"d"}},{"type":"file","file":{"file_data":"f"}},{"type":"refusal","refusal":"r"},{"type":7},[]]`,
		`"data:image\/PNG;base64,iVBOR"`, `"DATA:text/plain;charset=x;BASE64,"`, `"data:;base64,@kai:0:1@"`, `"data:text/plain,x"`, `"data:` + strings.Repeat("x", 300) + `;base64,y"`, `"data:a;base64"`,
		strings.Repeat("[", 512) + strings.Repeat("]", 512), strings.Repeat("[", 513) + strings.Repeat("]", 513), strings.Repeat(`{"a":`, 512) + "1" + strings.Repeat("}", 512),
		strings.Repeat(`[{"a":`, 300), strings.Repeat("[1,", 511) + "{" + strings.Repeat("]", 511),
	}
	files, err := filepath.Glob("../../sdk/testdata/fuzz/FuzzJSON/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no corpus: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, line, _ := strings.Cut(strings.TrimSpace(string(data)), "(")
		body, err := strconv.Unquote(strings.TrimSuffix(line, ")"))
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, body)
	}
	r := rand.New(rand.NewPCG(3, 4))
	const bytes = "\"\"\\\\{}[]:,,  \n019.-eEtfnu\x00\xff\xe2\x82a"
	for _, body := range all {
		for range 30 {
			b := []byte(body)
			for range 1 + r.IntN(3) {
				c := bytes[r.IntN(len(bytes))]
				switch i := r.IntN(len(b) + 1); {
				case i == len(b) || r.IntN(3) == 0:
					b = slices.Insert(b, i, c)
				case r.IntN(2) == 0:
					b = slices.Delete(b, i, i+1)
				default:
					b[i] = c
				}
			}
			all = append(all, string(b))
		}
	}
	return all
}
