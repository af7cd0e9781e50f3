package chat

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"

	"github.com/kai-gateway/kai/sdk/abi"
)

var testInfo = Info{ID: "chatcmpl-1", Created: 1700000000, Model: "fast"}

const chunkHead = `data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"fast","choices":[`

var minted = regexp.MustCompile(`"call_[A-Z2-7]{24}"`)

// stream applies the calls and ends the answer.
func stream(info Info, in calls) (events string, c *Chunks, err error) {
	c = NewChunks(info)
	var dst []byte
	for _, ems := range in {
		if dst, err = c.Apply(dst, ems); err != nil {
			return string(dst), c, err
		}
	}
	dst, err = c.End(dst)
	return string(dst), c, err
}

func TestChunks(t *testing.T) {
	const (
		role     = `{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}`
		roleNull = `{"index":0,"delta":{"role":"assistant","content":null},"logprobs":null,"finish_reason":null}`
		stop     = `{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}`
		tools    = `{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}`
	)
	delta := func(fields string) string {
		return `{"index":0,"delta":{` + fields + `},"logprobs":null,"finish_reason":null}`
	}
	first := func(index int, id, name, args string) string {
		return fmt.Sprintf(`{"index":%d,"id":"%s","type":"function","function":{"name":"%s","arguments":"%s"}}`, index, id, name, args)
	}
	more := func(index int, args string) string {
		return fmt.Sprintf(`{"index":%d,"function":{"arguments":"%s"}}`, index, args)
	}
	toolDelta := func(entries ...string) string {
		return delta(`"tool_calls":[` + strings.Join(entries, ",") + `]`)
	}
	for name, tc := range map[string]struct {
		in   calls
		want []string // the choice of each chunk; an id the host made is "MINTED"
	}{
		"the role has the first chunk, the finish reason the last": {
			in:   calls{emit(text(0, "Hel")), emit(text(0, "lo")), emit(finish(0, "stop"))},
			want: []string{role, delta(`"content":"Hel"`), delta(`"content":"lo"`), stop},
		},
		"emissions of one call make one chunk, FINISH its own": {
			in: calls{emit(text(0, "a"), reasoning(0, "r"), text(0, "b"), refusal(0, "n"), toolName(0, 0, "f"), toolID(0, 0, "x"), finish(0, "length"))},
			want: []string{role,
				delta(`"content":"ab","reasoning_content":"r","reasoning":"r","refusal":"n"`), toolDelta(first(0, "x", "f", "{}")),
				`{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}`},
		},
		"text is escaped as JSON wants and otherwise left alone": {
			in:   calls{emit(text(0, "\"\\\n\r\t\x00\x1f\x7f</é\u2028😀")), emit(text(0, "\"")), emit(finish(0, "stop"))},
			want: []string{role, delta(`"content":"\"\\\n\r\t\u0000\u001f` + "\x7f</é\u2028😀" + `"`), delta(`"content":"\""`), stop},
		},
		"the inside of a string literal is spliced as it is": {
			in:   calls{emit(raw(text(0, `a\u00e9\n`)), text(0, "\n")), emit(raw(text(0, `\/`))), emit(finish(0, "stop"))},
			want: []string{role, delta(`"content":"a\u00e9\n\n"`), delta(`"content":"\/"`), stop},
		},
		"reasoning has both names": {
			in:   calls{emit(reasoning(0, "hm")), emit(raw(reasoning(0, `\n`))), emit(finish(0, "stop"))},
			want: []string{role, delta(`"reasoning_content":"hm","reasoning":"hm"`), delta(`"reasoning_content":"\n","reasoning":"\n"`), stop},
		},
		"a refusal goes out beside null content": {
			in:   calls{emit(refusal(0, "no")), emit(finish(0, "stop"))},
			want: []string{roleNull, delta(`"refusal":"no"`), stop},
		},
		"a FINISH alone is an answer": {
			in:   calls{emit(finish(0, "content_filter"))},
			want: []string{role, `{"index":0,"delta":{},"logprobs":null,"finish_reason":"content_filter"}`},
		},
		"an empty text shows nothing": {
			in:   calls{emit(text(0, "")), emit(text(0, "a")), emit(text(0, "")), emit(finish(0, "stop"))},
			want: []string{role, delta(`"content":"a"`), stop},
		},
		"an empty text before a tool call is no text": {
			in:   calls{emit(text(0, "")), emit(toolID(0, 0, "x"), toolName(0, 0, "f"), toolArgs(0, 0, "{}")), emit(finish(0, "stop"))},
			want: []string{roleNull, toolDelta(first(0, "x", "f", "{}")), tools},
		},
		"a second FINISH counts, but stop replaces no other reason": {
			in:   calls{emit(text(0, "a"), finish(0, "stop"), finish(0, "length"), finish(0, "stop")), emit(finish(0, "stop"))},
			want: []string{role, delta(`"content":"a"`), `{"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}`},
		},
		"content after a FINISH belongs to the answer, and the FINISH behind it counts": {
			in:   calls{emit(finish(0, "length")), emit(text(0, "a")), emit(text(0, "b")), emit(finish(0, "stop")), emit(usageOf("{}"))},
			want: []string{role, delta(`"content":"a"`), delta(`"content":"b"`), stop},
		},
		"a tool call after a FINISH belongs to the answer": {
			in:   calls{emit(finish(0, "stop")), emit(reasoning(0, "r")), emit(toolID(0, 0, "x"), toolName(0, 0, "f"), toolArgs(0, 0, "[]")), emit(finish(0, "stop"))},
			want: []string{role, delta(`"reasoning_content":"r","reasoning":"r"`), toolDelta(first(0, "x", "f", "[]")), tools},
		},
		"usage beside the text says nothing about the end": {
			in:   calls{emit(finish(0, "stop"), usageOf("{}")), emit(text(0, "a"), usageOf("{}")), emit(text(0, "b")), emit(finish(0, "stop"))},
			want: []string{role, delta(`"content":"a"`), delta(`"content":"b"`), stop},
		},
		"a name may come in pieces until the arguments do": {
			in: calls{emit(toolID(0, 0, "x"), toolName(0, 0, "edit_")), emit(toolName(0, 0, "file")), emit(toolName(0, 0, "edit_file")), emit(toolArgs(0, 0, " ")),
				emit(toolArgs(0, 0, "{}")), emit(toolName(0, 0, "edit_file")), emit(finish(0, "stop"))},
			want: []string{roleNull, toolDelta(first(0, "x", "edit_file", " {}")), tools},
		},
		"another id for a call changes nothing": {
			in: calls{emit(toolID(0, 0, "x"), toolName(0, 0, "f")), emit(toolID(0, 1, "y"), toolName(0, 1, "g")), emit(toolID(0, 0, "r3"), toolArgs(0, 0, "[1]")),
				emit(toolID(0, 1, "r4"), toolArgs(0, 1, "[2]")), emit(finish(0, "tool_calls"))},
			want: []string{roleNull, toolDelta(first(0, "x", "f", "")), toolDelta(more(0, "[1]")), toolDelta(first(1, "y", "g", "[2]")), tools},
		},
		"a call without arguments, or with nothing but white space, has an empty object": {
			in:   calls{emit(toolID(0, 0, "x"), toolName(0, 0, "f")), emit(toolID(0, 1, "y"), toolName(0, 1, "g"), raw(toolArgs(0, 1, ` \n`))), emit(finish(0, "stop"))},
			want: []string{roleNull, toolDelta(first(0, "x", "f", "")), toolDelta(more(0, "{}"), first(1, "y", "g", ` \n{}`)), tools},
		},
		"each of OpenAI's reasons passes": {
			in: calls{emit(finish(0, "stop"), finish(1, "length"), finish(2, "tool_calls"), finish(3, "content_filter"), finish(4, "function_call"))},
			want: func() (want []string) {
				for i, r := range []string{"stop", "length", "tool_calls", "content_filter", "function_call"} {
					want = append(want,
						fmt.Sprintf(`{"index":%d,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}`, i),
						fmt.Sprintf(`{"index":%d,"delta":{},"logprobs":null,"finish_reason":"%s"}`, i, r))
				}
				return want
			}(),
		},
		"stop becomes tool_calls for the choice that called, other reasons stay": {
			in: calls{emit(
				toolName(0, 0, "f"), toolID(0, 0, "x"), finish(0, "stop"),
				text(1, "a"), finish(1, "stop"),
			)},
			want: []string{
				strings.Replace(role, `"index":0`, `"index":1`, 1),
				strings.Replace(delta(`"content":"a"`), `"index":0`, `"index":1`, 1),
				roleNull, toolDelta(first(0, "x", "f", "{}")), tools,
				strings.Replace(stop, `"index":0`, `"index":1`, 1),
			},
		},
		"later deltas of a tool call have only index and arguments": {
			in: calls{
				emit(toolID(0, 0, "x"), toolName(0, 0, "f"), toolArgs(0, 0, "")),
				emit(toolArgs(0, 0, `{"a":`)), emit(raw(toolArgs(0, 0, `\"\u00e9\"`)), toolArgs(0, 0, "}")),
				emit(finish(0, "tool_calls")),
			},
			want: []string{roleNull, toolDelta(first(0, "x", "f", `{\"a\":`)), toolDelta(more(0, `\"\u00e9\"}`)), tools},
		},
		"a tool call is held back until its name is whole": {
			in: calls{
				emit(toolID(0, 0, "x")), emit(toolArgs(0, 0, "[")), emit(text(0, "a")), emit(toolArgs(0, 0, "1")),
				emit(toolName(0, 0, "f"), toolArgs(0, 0, "]")), emit(finish(0, "stop")),
			},
			want: []string{role, delta(`"content":"a"`), toolDelta(first(0, "x", "f", "[1]")), tools},
		},
		"calls are counted from 0 without gaps in the order they are shown": {
			in: calls{
				emit(toolID(0, 7, "x"), toolName(0, 9, "g"), toolID(0, 9, "y")),
				emit(toolArgs(0, 9, "{}")), emit(toolName(0, 7, "f")), emit(toolArgs(0, 7, "[]")), emit(finish(0, "stop")),
			},
			want: []string{roleNull, toolDelta(first(0, "y", "g", "{}")), toolDelta(first(1, "x", "f", "")), toolDelta(more(1, "[]")), tools},
		},
		"an absent id is made, and so is one for an id used before in any choice": {
			in: calls{
				emit(toolName(0, 0, "f")), emit(toolName(0, 1, "f"), toolID(0, 1, "x")), emit(toolID(0, 2, "x"), toolName(0, 2, "f")),
				emit(finish(0, "stop")), emit(toolID(1, 0, "x"), toolName(1, 0, "f"), finish(1, "stop")),
			},
			want: []string{roleNull, toolDelta(first(0, "MINTED", "f", "")), toolDelta(first(1, "x", "f", "")),
				toolDelta(more(0, "{}"), more(1, "{}"), first(2, "MINTED", "f", "{}")), tools,
				strings.Replace(roleNull, `"index":0`, `"index":1`, 1),
				strings.Replace(toolDelta(first(0, "MINTED", "f", "{}")), `"index":0`, `"index":1`, 1),
				strings.Replace(tools, `"index":0`, `"index":1`, 1)},
		},
		"an id after the call was shown changes nothing, a repeated name neither": {
			in: calls{
				emit(toolName(0, 0, "f"), toolArgs(0, 0, "{")), emit(toolID(0, 0, "x"), toolName(0, 0, "f")), emit(toolID(0, 0, "x"), toolArgs(0, 0, "}")),
				emit(toolName(0, 0, ""), toolID(0, 0, "")), emit(finish(0, "stop")),
			},
			want: []string{roleNull, toolDelta(first(0, "MINTED", "f", "{")), toolDelta(more(0, "}")), tools},
		},
		"extra fields of a tool call stand in its delta, without text to add if need be": {
			in: calls{
				emit(toolExtra(0, 0, `{"id":"y","function":{},"sig":"a"}`)), emit(toolID(0, 0, "x"), toolName(0, 0, "f"), toolArgs(0, 0, "{")),
				emit(toolExtra(0, 0, "{\n\"sig\":null,\"index\":3}")), emit(toolArgs(0, 0, "}"), toolExtra(0, 0, `{"more":[1]}`)),
				emit(finish(0, "stop"), toolExtra(0, 0, `{"late":1}`)),
			},
			want: []string{roleNull, toolDelta(strings.Replace(first(0, "x", "f", "{"), `"{"}}`, `"{"},"sig":"a"}`, 1)),
				toolDelta(strings.Replace(more(0, ""), `""}}`, `""},"sig":null}`, 1)),
				toolDelta(strings.Replace(more(0, "}"), `"}"}}`, `"}"},"more":[1]}`, 1)),
				toolDelta(strings.Replace(more(0, ""), `""}}`, `""},"late":1}`, 1)), tools},
		},
		"names and ids are quoted": {
			in:   calls{emit(toolName(0, 0, `f"`), toolID(0, 0, "\n")), emit(finish(0, "stop"))},
			want: []string{roleNull, toolDelta(first(0, `\n`, `f\"`, "{}")), tools},
		},
		"what a provider wants back stands in the fields that clients send back": {
			in: calls{
				emit(detail(0, `{"type":"reasoning.text","text":"a"}`), detail(0, `{"type":"reasoning.encrypted","data":"b"}`), raw(signature(0, `s\"`))),
				emit(text(0, "a"), citation(0, `{"url":"x"}`)),
				emit(toolID(0, 0, "x"), toolName(0, 0, "f"), toolArgs(0, 0, "[]"), toolSignature(0, 0, `t"`)),
				emit(stopReason(0, "tool_use"), finish(0, "tool_calls")),
			},
			want: []string{role,
				delta(`"reasoning_details":[{"type":"reasoning.text","text":"a"},{"type":"reasoning.encrypted","data":"b"}],"extra_content":{"google":{"thought_signature":"s\""}}`),
				delta(`"content":"a","citations":[{"url":"x"}]`),
				toolDelta(strings.Replace(first(0, "x", "f", "[]"), `"[]"}}`, `"[]"},"extra_content":{"google":{"thought_signature":"t\""}}}`, 1)),
				strings.Replace(tools, `"tool_calls"}`, `"tool_calls","native_finish_reason":"tool_use"}`, 1)},
		},
		"logprobs go to their choice and are joined": {
			in: calls{emit(text(0, "ab"), logprobs(0, "[ {\"token\":\"a\"}\n]"), logprobs(0, `[]`), logprobs(0, `[{"token":"b"}]`)), emit(logprobs(0, ` [ ] `)), emit(finish(0, "stop"))},
			want: []string{role,
				`{"index":0,"delta":{"content":"ab"},"logprobs":{"content":[{"token":"a"},{"token":"b"}],"refusal":null},"finish_reason":null}`, stop},
		},
		"logprobs without text have a chunk": {
			in:   calls{emit(logprobs(0, `[1]`)), emit(finish(0, "stop"))},
			want: []string{role, `{"index":0,"delta":{},"logprobs":{"content":[1],"refusal":null},"finish_reason":null}`, stop},
		},
		"extra fields of a delta follow its own, and make a chunk if need be": {
			in: calls{
				emit(text(0, "a"), deltaExtra(0, `{"x":1,"y":[1]}`), deltaExtra(0, "{\n\"x\": {\"z\":\r\n2} ,\"y\":[ 2]}")),
				emit(deltaExtra(0, `{"x":"once"}`)), emit(text(0, "b")), emit(finish(0, "stop")),
			},
			want: []string{role, delta(`"content":"a","x":{"z":2},"y":[1,2]`), delta(`"x":"once"`), delta(`"content":"b"`), stop},
		},
		"extra fields of a choice ride its next chunk": {
			in:   calls{emit(choiceExtra(0, `{"x":1}`)), emit(text(0, "a"), text(1, "b")), emit(text(0, "c")), emit(finish(0, "stop")), emit(finish(1, "stop"))},
			want: []string{role, `{"index":0,"delta":{"content":"a"},"logprobs":null,"finish_reason":null,"x":1}`, strings.Replace(role, `"index":0`, `"index":1`, 1), strings.Replace(delta(`"content":"b"`), `"index":0`, `"index":1`, 1), delta(`"content":"c"`), stop, strings.Replace(stop, `"index":0`, `"index":1`, 1)},
		},
		"extra fields of a choice in the call of its FINISH ride the finish": {
			in:   calls{emit(text(0, "a"), choiceExtra(0, `{"native_finish_reason":"end_turn"}`), finish(0, "stop"))},
			want: []string{role, delta(`"content":"a"`), `{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop","native_finish_reason":"end_turn"}`},
		},
		"extra fields never replace the host's, however their key is written": {
			in: calls{
				emit(text(0, "a"), deltaExtra(0, `{"role":"user","content":1,"c\u006fntent":1,"reasoning_content":1,"reasoning":1,"refusal":1,"tool_calls":[],"x":1,"\u0078":2}`),
					choiceExtra(0, `{"index":9,"delta":{},"message":{},"logprobs":{},"finish_reason":"length","finish\u005freason":"length","y":null}`)),
				emit(deltaExtra(0, `{"content":"b"}`)), emit(deltaExtra(0, ` { } `)), emit(finish(0, "stop")),
			},
			want: []string{role, `{"index":0,"delta":{"content":"a","x":2},"logprobs":null,"finish_reason":null,"y":null}`, stop},
		},
		"what is no more than state or a late extra makes no chunk": {
			in:   calls{emit(on(abi.State, 0, "x")), emit(text(0, "a"), on(abi.State, 0, "y"), on(abi.Result, 0, "{}")), emit(finish(0, "stop")), emit(usageOf("{}")), emit(deltaExtra(0, `{"x":1}`), choiceExtra(0, `{"x":1}`), logprobs(0, `[1]`), text(0, ""))},
			want: []string{role, delta(`"content":"a"`), stop},
		},
		"extras after a FINISH that is not final yet count": {
			in: calls{emit(finish(0, "stop")), emit(logprobs(0, "[1]"), choiceExtra(0, `{"x":1}`), text(0, ""), toolArgs(0, 0, "")), emit(choiceExtra(0, `{"y":1}`))},
			want: []string{role, strings.Replace(delta(""), `"logprobs":null`, `"logprobs":{"content":[1],"refusal":null}`, 1),
				strings.Replace(stop, `"stop"}`, `"stop","x":1,"y":1}`, 1)},
		},
		"choices are streamed as they come": {
			in: calls{emit(text(1, "b")), emit(text(0, "a"), text(1, "c")), emit(finish(1, "stop")), emit(text(0, "d")), emit(finish(0, "stop"))},
			want: func() (want []string) {
				one := func(s string) string { return strings.Replace(s, `"index":0`, `"index":1`, 1) }
				return []string{one(role), one(delta(`"content":"b"`)), one(delta(`"content":"c"`)), role, delta(`"content":"a"`), delta(`"content":"d"`), one(stop), stop}
			}(),
		},
		"nothing spoils a complete answer": {
			in:   calls{emit(text(0, "a"), finish(0, "stop")), emit(failure(`{"message":"late"}`)), emit(finish(0, "none"))},
			want: []string{role, delta(`"content":"a"`), stop},
		},
		"a choice may open after the others are finished": {
			in:   calls{emit(finish(1, "stop")), emit(text(0, "a")), emit(finish(0, "stop"))},
			want: []string{role, delta(`"content":"a"`), strings.Replace(role, `"index":0`, `"index":1`, 1), strings.Replace(stop, `"index":0`, `"index":1`, 1), stop},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, c, err := stream(testInfo, tc.in)
			if err != nil {
				t.Fatalf("error %v after %s", err, got)
			}
			var want strings.Builder
			for _, choice := range tc.want {
				want.WriteString(chunkHead + choice + "]}\n\n")
			}
			want.WriteString("data: [DONE]\n\n")
			if got = minted.ReplaceAllString(got, `"MINTED"`); got != want.String() {
				t.Errorf("got\n%swant\n%s", got, want.String())
			}
			if !c.Complete() {
				t.Error("Complete() = false")
			}

			// The same with usage asked for: usage is null everywhere but at the end.
			info := testInfo
			info.IncludeUsage = true
			got, _, err = stream(info, tc.in)
			if err != nil {
				t.Fatalf("with usage: %v", err)
			}
			withUsage := strings.ReplaceAll(want.String(), "]}\n\n", "],\"usage\":null}\n\n")
			withUsage = strings.TrimSuffix(withUsage, "data: [DONE]\n\n") +
				chunkHead + "],\"usage\":{\"prompt_tokens\":0,\"completion_tokens\":0,\"total_tokens\":0}}\n\ndata: [DONE]\n\n"
			if got = minted.ReplaceAllString(got, `"MINTED"`); got != withUsage {
				t.Errorf("with usage got\n%swant\n%s", got, withUsage)
			}
		})
	}
}

func TestChunkExtrasRideTheNextChunk(t *testing.T) {
	in := calls{
		emit(chunkExtra(`{"provider":"A","list":[1]}`)),
		emit(chunkExtra("{\"provider\":\"B\",\"list\":[2],\"id\":\"x\",\"\\u0069d\":\"x\",\"object\":1,\"created\":1,\"model\":1,\"choices\":[],\"usage\":1,\"error\":{}}"), text(0, "a")),
		emit(text(0, "b")),
		emit(chunkExtra(`{"region":"x"}`)),
		emit(text(0, "c")),
		emit(chunkExtra(`{"tier":"x"}`), finish(0, "stop")),
		emit(usageOf("{}")),
		emit(chunkExtra(`{"late":true}`)),
	}
	body := func(usage string) string {
		return chunkHead + `{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]` + usage + "}\n\n" +
			chunkHead + `{"index":0,"delta":{"content":"a"},"logprobs":null,"finish_reason":null}]` + usage + `,"provider":"B","list":[1,2]` + "}\n\n" +
			chunkHead + `{"index":0,"delta":{"content":"b"},"logprobs":null,"finish_reason":null}]` + usage + "}\n\n" +
			chunkHead + `{"index":0,"delta":{"content":"c"},"logprobs":null,"finish_reason":null}]` + usage + `,"region":"x"` + "}\n\n" +
			chunkHead + `{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]` + usage + `,"tier":"x"` + "}\n\n"
	}
	t.Run("a late one is dropped when no usage chunk follows", func(t *testing.T) {
		got, _, err := stream(testInfo, in)
		if want := body("") + "data: [DONE]\n\n"; err != nil || got != want {
			t.Errorf("error %v, got\n%swant\n%s", err, got, want)
		}
	})
	t.Run("a late one rides the usage chunk", func(t *testing.T) {
		info := testInfo
		info.IncludeUsage = true
		got, _, err := stream(info, in)
		want := body(`,"usage":null`) +
			chunkHead + `],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0},"late":true}` + "\n\ndata: [DONE]\n\n"
		if err != nil || got != want {
			t.Errorf("error %v, got\n%swant\n%s", err, got, want)
		}
	})
}

// A text that is alone in its call takes a shorter way to the client.
func TestASingleTextIsTheSameAsOneAmongOthers(t *testing.T) {
	for _, usage := range []bool{false, true} {
		for _, e := range []abi.Emission{text(0, "a\"b"), raw(text(0, `a\"b`)), text(1, "x")} {
			info := testInfo
			info.IncludeUsage = usage
			short, long := NewChunks(info), NewChunks(info)
			for _, c := range []*Chunks{short, long} {
				if _, err := c.Apply(nil, emit(text(0, "first"), text(1, "first"))); err != nil {
					t.Fatal(err)
				}
			}
			got, err := short.Apply(nil, emit(e))
			want, err2 := long.Apply(nil, emit(on(abi.State, 0, ""), e))
			if err != nil || err2 != nil || string(got) != string(want) {
				t.Errorf("alone %s, %v; with others %s, %v", got, err, want, err2)
			}
		}
	}
}

func TestFramesThatCameTogetherLeaveTogether(t *testing.T) {
	c := NewChunks(testInfo)
	dst, err := c.Apply([]byte("before "), emit(text(0, "a")))
	if err != nil {
		t.Fatal(err)
	}
	dst, err = c.Apply(dst, emit(text(0, "b")))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(dst); !strings.HasPrefix(got, "before data: ") || strings.Count(got, "data: ") != 3 {
		t.Errorf("two calls appended %q, want three events after what was there", got)
	}
}

func TestNothingIsStartedByWhatIsNotVisible(t *testing.T) {
	c := NewChunks(testInfo)
	dst, err := c.Apply(nil, emit(text(0, ""), chunkExtra(`{"provider":"A"}`), choiceExtra(0, `{"x":1}`), deltaExtra(0, `{"role":"x"}`),
		usageOf(`{"prompt_tokens":1}`), toolArgs(0, 0, "{"), toolID(0, 1, "x"), logprobs(0, "[]")))
	if err != nil || len(dst) > 0 {
		t.Errorf("Apply = %q, %v, want nothing: an early failure can still be a true status", dst, err)
	}
}

// Every end before the last FINISH is an error, every end after it a success.
func TestOnlyACompleteAnswerEndsWell(t *testing.T) {
	for name, tc := range map[string]struct {
		in       calls
		complete bool
	}{
		"nothing came":                             {calls{}, false},
		"only usage and extras came":               {calls{emit(usageOf(`{"prompt_tokens":1}`), chunkExtra(`{"x":1}`))}, false},
		"text without FINISH":                      {calls{emit(text(0, "a"))}, false},
		"an empty text opens a choice":             {calls{emit(text(1, "")), emit(finish(0, "stop"))}, false},
		"an extra opens a choice":                  {calls{emit(choiceExtra(1, "{}")), emit(finish(0, "stop"))}, false},
		"one of two choices is not finished":       {calls{emit(text(0, "a"), text(1, "b")), emit(finish(1, "stop"))}, false},
		"a choice that opens late is not finished": {calls{emit(finish(0, "stop")), emit(text(1, "b"))}, false},
		"both are finished":                        {calls{emit(text(0, "a"), text(1, "b")), emit(finish(1, "stop")), emit(finish(0, "stop"))}, true},
		"a FINISH alone, and usage":                {calls{emit(finish(3, "stop")), emit(usageOf("{}"))}, true},
		"usage made the FINISH final":              {calls{emit(text(0, "a"), finish(0, "stop")), emit(usageOf("{}"))}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, c, err := stream(testInfo, tc.in)
			done := strings.HasSuffix(got, "data: [DONE]\n\n") && strings.Count(got, "[DONE]") == 1
			if c.Complete() != tc.complete || done != tc.complete {
				t.Errorf("Complete() = %v with %q, want %v", c.Complete(), got, tc.complete)
			}
			checkIncomplete(t, err, tc.complete)

			w := NewWhole(testInfo)
			for _, ems := range tc.in {
				if _, err := w.Apply(nil, ems); err != nil {
					t.Fatal(err)
				}
			}
			if w.Complete() != tc.complete {
				t.Errorf("whole: Complete() = %v, want %v", w.Complete(), tc.complete)
			}
			whole, err := w.End(nil)
			if (whole != nil) != tc.complete {
				t.Errorf("whole: End() = %s", whole)
			}
			checkIncomplete(t, err, tc.complete)
		})
	}
}

// What ends without a FINISH, or goes on after it, depends on how the upstream
// ended.
func TestTheEndOfAnUpstreamDecides(t *testing.T) {
	for name, tc := range map[string]struct {
		in                   calls
		broken, clean, ended bool // whether each is a success
	}{
		"text without FINISH":               {calls{emit(text(0, "a"))}, false, false, true},
		"a call without FINISH":             {calls{emit(toolName(0, 0, "f"))}, false, false, true},
		"one of two choices has a FINISH":   {calls{emit(text(0, "a"), text(1, "b"), finish(1, "stop"))}, false, false, true},
		"nothing but an extra":              {calls{emit(choiceExtra(0, `{"x":1}`), chunkExtra(`{"x":1}`))}, false, false, false},
		"nothing but an empty text":         {calls{emit(text(0, ""))}, false, false, false},
		"FINISH alone":                      {calls{emit(finish(0, "stop"))}, false, true, true},
		"text and FINISH":                   {calls{emit(text(0, "a"), finish(0, "stop"))}, true, true, true},
		"FINISH and text":                   {calls{emit(finish(0, "stop")), emit(text(0, "a"))}, false, true, true},
		"FINISH and text in one call":       {calls{emit(finish(0, "stop"), text(0, "a"))}, false, true, true},
		"a call that never got a name":      {calls{emit(text(0, "a"), toolID(0, 4, "x"), toolArgs(0, 4, "{}")), emit(finish(0, "stop"))}, false, false, false},
		"a call without a name, and usage":  {calls{emit(toolArgs(0, 4, "{}"), finish(0, "stop")), emit(usageOf("{}"))}, false, false, false},
		"a name that comes after its usage": {calls{emit(toolArgs(0, 4, "{}"), finish(0, "stop")), emit(usageOf("{}")), emit(toolName(0, 4, "f"))}, false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			end := func(mark bool) (complete bool, err error) {
				c, w := NewChunks(testInfo), NewWhole(testInfo)
				for _, ems := range tc.in {
					if _, err := c.Apply(nil, ems); err != nil {
						t.Fatal(err)
					}
					if _, err := w.Apply(nil, ems); err != nil {
						t.Fatal(err)
					}
				}
				if mark {
					c.EndMark()
					w.EndMark()
				}
				complete = c.Complete()
				_, err = c.End(nil)
				if _, err2 := w.End(nil); (err == nil) != (err2 == nil) {
					t.Errorf("streamed %v, whole %v", err, err2)
				}
				return complete, err
			}
			complete, err := end(false)
			if got := complete && err == nil; got != tc.broken {
				t.Errorf("broken off: a success is %v, want %v", got, tc.broken)
			}
			checkIncomplete(t, err, tc.clean)
			_, err = end(true)
			checkIncomplete(t, err, tc.ended)
		})
	}
}

func checkIncomplete(t *testing.T, err error, complete bool) {
	t.Helper()
	if complete {
		if err != nil {
			t.Errorf("a complete answer ended with %v", err)
		}
		return
	}
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Upstream || e.Code != "upstream_error" {
		t.Errorf("an incomplete answer ended with %#v, want a 502 upstream_error", err)
	}
}

func TestAdapterErrors(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return "{" + strings.TrimSuffix(b.String(), ",") + "}"
	}
	var tooManyCalls []abi.Emission
	for i := range abi.MaxCalls + 1 {
		tooManyCalls = append(tooManyCalls, toolArgs(0, i, "x"))
	}
	for name, tc := range map[string]struct {
		in   calls
		want fault.Error
		text string // part of the message
	}{
		"the adapter's own error": {
			in:   calls{emit(text(0, "a")), emit(failure(`{"status":429,"type":"rate_limit_error","code":"slow","param":"n","message":"Slow down.","retry_after_ms":1500}`))},
			want: fault.Error{Kind: fault.Rate, Type: "rate_limit_error", Code: "slow", Param: "n", RetryAfter: 1500 * time.Millisecond}, text: "Slow down.",
		},
		"an error without a status is the provider's": {
			in:   calls{emit(failure(`{"message":"Broken.","retry_after_ms":-1}`))},
			want: fault.Error{Kind: fault.Upstream}, text: "Broken.",
		},
		"an error that says nothing, with a status that is none": {
			in:   calls{emit(failure(`{"status":200,"code":7}`))},
			want: fault.Error{Kind: fault.Upstream}, text: "without a message",
		},
		"an error drops what came with it": {
			in:   calls{emit(text(0, "a")), emit(text(0, "b"), failure(`{"message":"Broken."}`), finish(0, "stop"))},
			want: fault.Error{Kind: fault.Upstream}, text: "Broken.",
		},
		"an error beside a FINISH is an error": {
			in:   calls{emit(text(0, "a"), finish(0, "stop"), failure(`{"message":"Broken."}`))},
			want: fault.Error{Kind: fault.Upstream}, text: "Broken.",
		},
		"text after the usage that followed FINISH": {
			in:   calls{emit(text(0, "a"), finish(0, "stop")), emit(usageOf("{}")), emit(text(0, "c"))},
			want: fault.Error{Kind: fault.Upstream, Code: "upstream_error"}, text: "went on after the end",
		},
		"a tool call after the usage that followed FINISH": {
			in:   calls{emit(text(0, "a"), finish(0, "stop")), emit(usageOf("{}")), emit(toolName(0, 0, "f"))},
			want: fault.Error{Kind: fault.Upstream, Code: "upstream_error"}, text: "went on after the end",
		},
		"an error after text that came after FINISH": {
			in:   calls{emit(finish(0, "stop")), emit(text(0, "a")), emit(failure(`{"message":"Broken."}`))},
			want: fault.Error{Kind: fault.Upstream}, text: "Broken.",
		},
		"a reason that OpenAI doesn't know": {
			in:   calls{emit(finish(0, "eos"))},
			want: fault.Error{Kind: fault.Adapter, Code: "adapter_error"}, text: "FINISH",
		},
		"another name when arguments have come": {
			in:   calls{emit(toolName(0, 0, "f"), toolArgs(0, 0, "{")), emit(toolName(0, 0, "g"))},
			want: fault.Error{Kind: fault.Adapter, Code: "adapter_error"}, text: "second TOOL_NAME",
		},
		"a name without end": {
			in:   calls{emit(toolName(0, 0, strings.Repeat("f", 4<<10)), toolID(0, 0, "x")), emit(toolName(0, 0, "g"))},
			want: fault.Error{Kind: fault.Adapter, Code: "adapter_error"}, text: "TOOL_NAME of more than",
		},
		"a choice out of range": {
			in:   calls{emit(text(abi.MaxChoices, "a"))},
			want: fault.Error{Kind: fault.Adapter, Code: "adapter_error"}, text: "choice 128",
		},
		"too many tool calls": {
			in:   calls{tooManyCalls},
			want: fault.Error{Kind: fault.Adapter, Code: "adapter_error"}, text: "tool calls",
		},
		"too many extra fields": {
			in:   calls{emit(deltaExtra(0, many(64+1, `"k%d":1,`)))},
			want: fault.Error{Kind: fault.Adapter, Code: "adapter_error"}, text: "fields in DELTA_EXTRA",
		},
		"too many extra fields, one by one": {
			in: func() (in calls) {
				for i := range 64 + 1 {
					in = append(in, emit(chunkExtra(fmt.Sprintf(`{"k%d":1}`, i))))
				}
				return in
			}(),
			want: fault.Error{Kind: fault.Adapter, Code: "adapter_error"}, text: "fields in CHUNK_EXTRA",
		},
		"too many usage fields": {
			in:   calls{emit(usageOf(`{"details":` + many(64+1, `"k%d":1,`) + `}`))},
			want: fault.Error{Kind: fault.Adapter, Code: "adapter_error"}, text: "fields in USAGE",
		},
		"a huge usage": {
			in:   calls{emit(usageOf(`{"x":"` + strings.Repeat("x", 16<<10) + `"}`))},
			want: fault.Error{Kind: fault.Adapter, Code: "adapter_error"}, text: "USAGE",
		},
	} {
		t.Run(name, func(t *testing.T) {
			check := func(form string, err error) {
				t.Helper()
				var e *fault.Error
				if !errors.As(err, &e) {
					t.Fatalf("%s: error = %v, want an *fault.Error", form, err)
				}
				got := *e
				got.Text, got.Cause, got.Foreign = "", nil, false
				if got != tc.want || !strings.Contains(e.Text, tc.text) {
					t.Errorf("%s: error = %+v, want %+v with %q", form, *e, tc.want, tc.text)
				}
			}
			c := NewChunks(testInfo)
			var before, dst []byte
			var err error
			for _, ems := range tc.in {
				before = dst
				if dst, err = c.Apply(dst, ems); err != nil {
					break
				}
			}
			check("streamed", err)
			if string(dst) != string(before) {
				t.Errorf("the failed call showed %q", dst[len(before):])
			}
			w := NewWhole(testInfo)
			err = nil
			for _, ems := range tc.in {
				if _, err = w.Apply(nil, ems); err != nil {
					break
				}
			}
			check("whole", err)
		})
	}
}

// A stream keeps what waits for a name or for the next chunk, and no more.
func TestWhatAStreamHoldsHasALimit(t *testing.T) {
	for name, tc := range map[string]struct {
		first, more abi.Emission
		held        bool
	}{
		"arguments without a name":      {toolArgs(0, 0, "x"), toolArgs(0, 0, "x"), true},
		"extra fields of the chunk":     {chunkExtra(`{"x":[1]}`), chunkExtra(`{"x":[2]}`), true},
		"extra fields of the choice":    {choiceExtra(0, `{"x":[1]}`), choiceExtra(0, `{"x":[2]}`), true},
		"text":                          {text(0, "x"), reasoning(0, "x"), false},
		"arguments of a call that runs": {toolArgs(0, 0, "x"), toolArgs(0, 0, "x"), false},
	} {
		t.Run(name, func(t *testing.T) {
			info := testInfo
			info.MaxHeld = 2<<20 + len(tc.first.Data)
			c := NewChunks(info)
			if !tc.held {
				if _, err := c.Apply(nil, emit(toolName(0, 0, "f"), toolArgs(0, 0, "x"))); err != nil {
					t.Fatal(err)
				}
			}
			// Something that waits, or is gone again, and takes what is free but for the first.
			for range 2 {
				wait := toolArgs(3, 0, strings.Repeat("x", 1<<20))
				if !tc.held {
					wait = text(0, strings.Repeat("x", 1<<20))
				}
				if _, err := c.Apply(nil, emit(wait)); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := c.Apply(nil, emit(tc.first)); err != nil {
				t.Fatal(err)
			}
			_, err := c.Apply(nil, emit(tc.more))
			var e *fault.Error
			if got := errors.As(err, &e) && e.Code == "upstream_error" && strings.Contains(e.Text, "larger than 2 MiB"); got != tc.held {
				t.Errorf("error %v beyond the limit, want one: %v", err, tc.held)
			}
		})
	}
}

func TestUsageCountsWhateverHappens(t *testing.T) {
	for name, in := range map[string]calls{
		"before the end":           {emit(text(0, "a"), usageOf(`{"prompt_tokens":3,"completion_tokens":4}`))},
		"with an error":            {emit(failure(`{}`), usageOf(`{"prompt_tokens":3,"completion_tokens":4}`))},
		"with a broken protocol":   {emit(finish(0, "?"), usageOf(`{"prompt_tokens":3,"completion_tokens":4}`))},
		"after the last FINISH":    {emit(finish(0, "stop")), emit(text(0, "late"), usageOf(`{"prompt_tokens":3,"completion_tokens":4}`))},
		"when it came piece-wise":  {emit(usageOf(`{"prompt_tokens":3,"completion_tokens":1}`)), emit(usageOf(`{"completion_tokens":4}`))},
		"when nobody asked for it": {emit(usageOf(`{"prompt_tokens":3,"completion_tokens":4}`)), emit(finish(0, "stop"))},
	} {
		t.Run(name, func(t *testing.T) {
			want := facts.Usage{Prompt: 3, Completion: 4, Total: 7, Known: true}
			got, c, _ := stream(testInfo, in)
			want.Stated = c.Usage().Stated // of the text
			if c.Usage() != want {
				t.Errorf("streamed: Usage() = %+v, want %+v", c.Usage(), want)
			}
			if strings.Contains(got, "usage") {
				t.Errorf("usage was sent unasked: %s", got)
			}
			w := NewWhole(testInfo)
			for _, ems := range in {
				_, _ = w.Apply(nil, ems)
			}
			want.Stated = w.Usage().Stated
			if w.Usage() != want {
				t.Errorf("whole: Usage() = %+v, want %+v", w.Usage(), want)
			}
		})
	}
}

func TestFailIsOneEventWithAllFourFields(t *testing.T) {
	got := string(chunkStream{}.Fail([]byte("before "), &fault.Error{Kind: fault.Upstream, Text: "no\nway"}))
	if want := `before data: {"error":{"message":"no\nway","type":"server_error","param":null,"code":null}}` + "\n\n"; got != want {
		t.Errorf("Fail = %q, want %q", got, want)
	}
}

func TestTheClientsNamesAreQuoted(t *testing.T) {
	got, _, err := stream(Info{ID: "a\"b", Model: "m\\\n\xff"}, calls{emit(finish(0, "stop"))})
	if want := `data: {"id":"a\"b","object":"chat.completion.chunk","created":0,"model":"m\\\n` + "\uFFFD" + `","choices":[`; err != nil || !strings.HasPrefix(got, want) {
		t.Errorf("error %v, got %s", err, got)
	}
}

// The adapter's buffers are used again as soon as Apply returns.
func TestApplyKeepsNothingOfTheEmissions(t *testing.T) {
	c := NewChunks(testInfo)
	held := []abi.Emission{chunkExtra(`{"x":"held"}`), choiceExtra(0, `{"y":["held"]}`), toolArgs(0, 0, "held"), toolID(0, 0, "held"), usageOf(`{"cost":"held"}`)}
	if _, err := c.Apply(nil, held); err != nil {
		t.Fatal(err)
	}
	for _, e := range held {
		for i := range e.Data {
			e.Data[i] = '!'
		}
	}
	dst, err := c.Apply(nil, emit(toolName(0, 0, "f"), finish(0, "stop")))
	if err == nil {
		dst, err = c.End(dst)
	}
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(dst), "!") || strings.Count(string(dst), "held") != 4 {
		t.Errorf("got %s", dst)
	}
}

// The way of almost every chunk makes no garbage.
func TestATextAllocatesNothing(t *testing.T) {
	c := NewChunks(testInfo)
	dst, err := c.Apply(make([]byte, 0, 4096), emit(text(0, "first"), toolName(0, 0, "f")))
	if err != nil {
		t.Fatal(err)
	}
	for name, ems := range map[string][]abi.Emission{
		"alone":          emit(text(0, "next")),
		"with a state":   emit(text(0, "next"), on(abi.State, 0, "x")),
		"with an extra":  emit(text(0, "next"), chunkExtra(`{"provider":"A"}`)),
		"as reasoning":   emit(reasoning(0, "next")),
		"as arguments":   emit(toolArgs(0, 0, "next")),
		"beside a usage": emit(text(0, "next"), usageOf(`{"prompt_tokens":1,"cost":2}`)),
	} {
		allocs := testing.AllocsPerRun(100, func() { dst, err = c.Apply(dst[:0], ems) })
		if err != nil || allocs > 0 {
			t.Errorf("a text %s: %v allocations, error %v", name, allocs, err)
		}
	}
}

// TestExtrasOfEveryChunkAreNotCountedForever: what was rendered is counted no more, even if
// each chunk of a long stream has extra fields.
func TestExtrasOfEveryChunkAreNotCountedForever(t *testing.T) {
	grant := memory.New(memory.Options{Limit: 64 << 20}).Grant()
	c := NewChunks(Info{Memory: &grant})
	var dst []byte
	for range 10_000 {
		var err error
		if dst, err = c.Apply(dst[:0], emit(text(0, "a"), chunkExtra(`{"provider":"Google AI Studio"}`))); err != nil {
			t.Fatal(err)
		}
	}
	if used := grant.Used(); used > 64<<10 {
		t.Errorf("%d bytes are counted", used)
	}
}
