package responses

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk/abi"
)

// The streams in testdata/streams are what Codex, OpenAI's SDKs for Python and Node, both
// Agents SDKs and the Vercel AI SDK were run with: all of them took these events. An
// answer of the same content must have the same events, with the same fields.

// recorded reads the events of a recording. Their JSON may have spaces in it.
func recorded(t *testing.T, file string) (events []event) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for block := range strings.SplitSeq(strings.TrimSpace(string(b)), "\n\n") {
		first, second, _ := strings.Cut(block, "\n")
		e := event{name: strings.TrimPrefix(first, "event: ")}
		if err := decode([]byte(strings.TrimPrefix(second, "data: ")), &e.data); err != nil {
			t.Fatalf("%s: %v in %s", file, err, second)
		}
		events = append(events, e)
	}
	return events
}

// stated is what an adapter would have stated for the events of a recording, one call for
// each, and how the upstream ended.
func stated(t *testing.T, events []event) (in calls, failed *fault.Error) {
	t.Helper()
	items := map[int]jsonObject{} // as they were when they were done
	for _, e := range events {
		if e.name == "response.output_item.done" {
			items[number(e.data["output_index"])] = e.data["item"].(jsonObject)
		}
	}
	call, calls := -1, map[int]int{}
	for _, e := range events {
		index := number(e.data["output_index"])
		switch strings.TrimPrefix(e.name, "response.") {
		case "output_text.delta":
			in = append(in, emit(text(e.data["delta"].(string))))
		case "refusal.delta":
			in = append(in, emit(refusal(e.data["delta"].(string))))
		case "reasoning_summary_text.delta":
			in = append(in, emit(thought(e.data["delta"].(string))))
		case "reasoning_summary_text.done":
			in = append(in, unsealed(t, items[index], "rd"))
		case "output_item.added":
			item := e.data["item"].(jsonObject)
			switch {
			case item["type"] == "reasoning" && len(items[index]["summary"].([]any)) == 0:
				in = append(in, unsealed(t, items[index], "rd"))
			case strings.HasSuffix(item["type"].(string), "_call"):
				call++
				calls[index] = call
				ems := emit(toolID(call, item["call_id"].(string)), toolName(call, item["name"].(string)))
				if before := items[index-1]; before["encrypted_content"] != nil {
					ems = append(ems, unsealed(t, before, "calls")...)
				}
				in = append(in, ems)
			}
		case "function_call_arguments.delta":
			in = append(in, emit(toolArgs(calls[index], e.data["delta"].(string))))
		case "custom_tool_call_input.delta":
			wrapped, _ := json.Marshal(jsonObject{"input": e.data["delta"]})
			in = append(in, emit(toolArgs(calls[index], string(wrapped))))
		case "completed", "incomplete":
			reason := "stop"
			o := e.data["response"].(jsonObject)
			if o["incomplete_details"] != nil {
				reason = "length"
			}
			usage := o["usage"].(jsonObject)
			in = append(in, emit(finish(reason), usageOf(fmt.Sprintf(`{"prompt_tokens":%v,"completion_tokens":%v,"total_tokens":%v}`, usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]))))
		case "error":
			return in, &fault.Error{Kind: fault.Upstream, Text: e.data["message"].(string)}
		}
	}
	return in, nil
}

// unsealed is what an item of a recording has sealed, which the recordings don't compress:
// the details, or what belongs to a call.
func unsealed(t *testing.T, item jsonObject, what string) (ems []abi.Emission) {
	t.Helper()
	sealed, ok := item["encrypted_content"].(string)
	if !ok {
		return nil
	}
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimPrefix(sealed, "kai1."))
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		RD    []json.RawMessage
		Calls map[string]json.RawMessage
	}
	if err := decode(b, &c); err != nil {
		t.Fatal(err)
	}
	if what == "rd" {
		for _, d := range c.RD {
			ems = append(ems, detailed(string(d)))
		}
		return ems
	}
	for _, extras := range c.Calls {
		ems = append(ems, toolExtra(0, string(extras)))
	}
	return ems
}

// outline is an event without its values but for those that say what it is about. Events
// about calls may come in another order, so they are told apart by their index.
func outline(events []event) map[string][]string {
	all := map[string][]string{}
	for _, e := range events {
		key := "the response"
		if index, ok := e.data["output_index"]; ok {
			key = fmt.Sprint("item ", index)
		}
		all[key] = append(all[key], e.name+" "+shape(e.data))
	}
	return all
}

// shape is a value with its fields, and the types of what is in them.
func shape(v any) string {
	switch v := v.(type) {
	case jsonObject:
		fields := []string{}
		for key, value := range v {
			if key == "prompt_cache_retention" {
				continue // newer than the recordings
			}
			switch key {
			case "type", "status", "output_index", "content_index", "summary_index", "sequence_number", "object":
				if key != "sequence_number" {
					fields = append(fields, fmt.Sprintf("%s:%v", key, value))
					continue
				}
			case "tools", "tool_choice", "reasoning", "max_output_tokens", "instructions":
				fields = append(fields, key) // what the client sent
				continue
			}
			fields = append(fields, key+":"+shape(value))
		}
		slices.Sort(fields)
		return "{" + strings.Join(fields, " ") + "}"
	case []any:
		elements := []string{}
		for _, element := range v {
			elements = append(elements, shape(element))
		}
		return "[" + strings.Join(elements, " ") + "]"
	}
	return fmt.Sprintf("%T", v)
}

func TestRecordedStreams(t *testing.T) {
	files, _ := filepath.Glob("testdata/streams/*.sse")
	if len(files) < 9 {
		t.Fatalf("only %d recordings", len(files))
	}
	a := requestInfo{tools: tools{"apply_patch": {kind: custom, name: "apply_patch"}}}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			want := recorded(t, file)
			in, failed := stated(t, want)
			c := newClient(a)
			var err error
			for _, ems := range in {
				if c.buf, err = c.answer.Apply(c.buf, ems); err != nil {
					t.Fatal(err)
				}
				c.flush()
			}
			if failed != nil {
				c.fail(failed)
			} else {
				if c.buf, err = c.answer.End(c.buf); err != nil {
					t.Fatal(err)
				}
				c.flush()
			}
			if _, err := check(string(c.got)); err != nil {
				t.Error(err)
			}
			events, err := parse(string(c.got))
			if err != nil {
				t.Fatal(err)
			}
			got, wanted := outline(events), outline(want)
			for key := range wanted {
				if !slices.Equal(got[key], wanted[key]) {
					t.Errorf("%s: got\n%s\nwant\n%s", key, strings.Join(got[key], "\n"), strings.Join(wanted[key], "\n"))
				}
			}
			if len(got) != len(wanted) || len(events) != len(want) {
				t.Errorf("%d events about %d things, want %d about %d", len(events), len(got), len(want), len(wanted))
			}
		})
	}
}

func TestARecordedWholeAnswer(t *testing.T) {
	b, err := os.ReadFile("testdata/streams/11-whole-answer.json")
	if err != nil {
		t.Fatal(err)
	}
	var want jsonObject
	if err := decode(b, &want); err != nil {
		t.Fatal(err)
	}
	got, err := wholly(requestInfo{}, calls{emit(text("This is Kai."), finish("stop"), usageOf(`{"prompt_tokens":1,"completion_tokens":64}`))})
	if err != nil {
		t.Fatal(err)
	}
	if shape(got) != shape(want) {
		t.Errorf("got\n%s\nwant\n%s", shape(got), shape(want))
	}
}
