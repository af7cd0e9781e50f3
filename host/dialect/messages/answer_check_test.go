package messages_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/messages"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/sdk/abi"
)

// The emissions of the tests.

func on(kind abi.Kind, payload string) abi.Emission {
	return abi.Emission{Kind: kind, Data: []byte(payload)}
}

func ofCall(kind abi.Kind, call int, payload string) abi.Emission {
	return abi.Emission{Kind: kind, At: abi.At(0, call), Data: []byte(payload)}
}

func text(s string) abi.Emission      { return on(abi.Text, s) }
func reasoning(s string) abi.Emission { return on(abi.Reasoning, s) }
func detail(s string) abi.Emission    { return on(abi.ReasoningDetail, s) }
func finish(s string) abi.Emission    { return on(abi.Finish, s) }
func native(s string) abi.Emission    { return on(abi.StopReason, s) }
func usage(s string) abi.Emission     { return on(abi.Usage, s) }

func callID(n int, s string) abi.Emission   { return ofCall(abi.ToolID, n, s) }
func callName(n int, s string) abi.Emission { return ofCall(abi.ToolName, n, s) }
func callArgs(n int, s string) abi.Emission { return ofCall(abi.ToolArgs, n, s) }
func callSignature(n int, s string) abi.Emission {
	return ofCall(abi.ToolSignature, n, s)
}

// raw marks the payload as the inside of a JSON string literal.
func raw(e abi.Emission) abi.Emission {
	e.Raw = true
	return e
}

// calls is what the adapter states, call by call.
type calls = [][]abi.Emission

func call(ems ...abi.Emission) []abi.Emission { return ems }

var info = dialect.Info{ID: "4KU7", RequestID: "req_9", Created: 1, Model: "granite-local"}

// conversation is what the tests' requests are.
type conversation struct {
	names map[string]string
	ids   map[string]bool
}

func (c conversation) has(id string) bool { return c.ids[id] }

// whole returns the whole answer.
func (c conversation) whole(in calls) (string, error) {
	return answered(messages.NewWhole(c.names, c.has, info), in)
}

// stream returns the events.
func (c conversation) stream(in calls) (string, error) {
	return answered(messages.NewStream(c.names, c.has, info).Begin(), in)
}

func answered(a dialect.Answer, in calls) (string, error) {
	var dst []byte
	var err error
	for _, ems := range in {
		if dst, err = a.Apply(dst, ems); err != nil {
			return string(dst), err
		}
	}
	dst, err = a.End(dst)
	return string(dst), err
}

type object = map[string]any

// event is one event of a stream.
type event struct {
	name string
	data object
}

// eventsOf reads a stream, which may have no more than whole events.
func eventsOf(stream string) ([]event, error) {
	var all []event
	if stream != "" && !strings.HasSuffix(stream, "\n\n") {
		return nil, fmt.Errorf("the stream ends in the middle of an event: %q", stream)
	}
	for _, block := range strings.Split(strings.TrimSuffix(stream, "\n\n"), "\n\n") {
		if block == "" {
			continue
		}
		first, second, two := strings.Cut(block, "\n")
		name, isEvent := strings.CutPrefix(first, "event: ")
		text, isData := strings.CutPrefix(second, "data: ")
		if !two || !isEvent || !isData || strings.ContainsAny(text, "\r\n") {
			return nil, fmt.Errorf("no event with a line of data: %q", block)
		}
		e := event{name: name}
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&e.data); err != nil || d.More() {
			return nil, fmt.Errorf("%v in %q", err, block)
		}
		if e.data["type"] != name {
			return nil, fmt.Errorf("the event %s has the type %v", name, e.data["type"])
		}
		all = append(all, e)
	}
	return all, nil
}

var errOpen = errors.New("the stream has no end")

// accumulate puts a stream together as Anthropic's SDKs do, and checks every rule on the
// way that some client relies on. The error is errOpen for a stream that breaks none, but
// lacks its end; then answer is what there is. An event error ends a stream, too.
func accumulate(stream string) (answer object, failed object, err error) {
	all, err := eventsOf(stream)
	if err != nil {
		return nil, nil, err
	}
	var b builder
	for i, e := range all {
		if e.name == "ping" {
			continue
		}
		if b.over || failed != nil {
			return nil, nil, fmt.Errorf("event %d, %s, comes after the end", i, e.name)
		}
		if e.name == "error" {
			failed = e.data
			continue
		}
		if err := b.add(e); err != nil {
			return nil, nil, fmt.Errorf("event %d: %w", i, err)
		}
	}
	if !b.over && failed == nil {
		return b.answer, nil, errOpen
	}
	return b.answer, failed, nil
}

// builder is the state of a client that reads a stream.
type builder struct {
	answer  object
	blocks  []object
	open    string // the type of the block that is open; "" for none
	json    string // of its input
	signed  int    // deltas with a signature of it
	stopped bool   // message_delta came
	over    bool   // message_stop came
}

func (b *builder) add(e event) error {
	if (b.answer == nil) != (e.name == "message_start") {
		return fmt.Errorf("%s where message_start is to be the first and only one", e.name)
	}
	if b.stopped && e.name != "message_stop" {
		return fmt.Errorf("%s after message_delta", e.name)
	}
	switch e.name {
	case "message_start":
		b.answer = e.data["message"].(object)
		if content, ok := b.answer["content"].([]any); !ok || len(content) > 0 {
			return fmt.Errorf("message_start with content %v", b.answer["content"])
		}
		counts := b.answer["usage"].(object)
		if counts["input_tokens"] == nil || counts["output_tokens"] == nil {
			return errors.New("message_start without both counts")
		}
		if stop, ok := b.answer["stop_reason"]; !ok || stop != nil {
			return fmt.Errorf("message_start with stop_reason %v", stop)
		}
	case "content_block_start", "content_block_delta", "content_block_stop":
		index, want := e.data["index"].(json.Number).String(), len(b.blocks)-1
		if e.name == "content_block_start" {
			want++
		}
		if index != fmt.Sprint(want) {
			return fmt.Errorf("%s with index %s, want %d", e.name, index, want)
		}
		return b.addToBlock(e)
	case "message_delta":
		if b.open != "" {
			return fmt.Errorf("message_delta while a block of %s is open", b.open)
		}
		b.stopped = true
		for key, value := range e.data["delta"].(object) {
			b.answer[key] = value
		}
		counts := e.data["usage"].(object)
		if counts["output_tokens"] == nil {
			return errors.New("message_delta without output_tokens")
		}
		for key, value := range counts {
			b.answer["usage"].(object)[key] = value
		}
	case "message_stop":
		if !b.stopped {
			return errors.New("message_stop without message_delta")
		}
		b.over = true
		content := []any{}
		for _, block := range b.blocks {
			content = append(content, block)
		}
		b.answer["content"] = content
	default:
		return fmt.Errorf("an unknown event %s", e.name)
	}
	return nil
}

func (b *builder) addToBlock(e event) error {
	switch e.name {
	case "content_block_start":
		if b.open != "" {
			return fmt.Errorf("a block begins while one of %s is open", b.open)
		}
		block := e.data["content_block"].(object)
		b.open, b.json, b.signed = block["type"].(string), "", 0
		b.blocks = append(b.blocks, block)
		empty := map[string]string{"text": `{"text":"","type":"text"}`, "thinking": `{"signature":"","thinking":"","type":"thinking"}`}
		got, _ := json.Marshal(block)
		switch want := empty[b.open]; {
		case want != "" && string(got) != want:
			return fmt.Errorf("a block begins with %s", got)
		case b.open == "tool_use" && (len(block["input"].(object)) > 0 || block["id"] == "" || block["name"] == ""):
			return fmt.Errorf("a call begins with %s", got)
		case want == "" && b.open != "tool_use" && b.open != "redacted_thinking":
			return fmt.Errorf("a block of type %s", b.open)
		}
	case "content_block_delta":
		block := b.blocks[len(b.blocks)-1]
		delta := e.data["delta"].(object)
		kind := delta["type"].(string)
		of := map[string]struct{ block, field string }{
			"text_delta": {"text", "text"}, "thinking_delta": {"thinking", "thinking"}, "signature_delta": {"thinking", "signature"}, "input_json_delta": {"tool_use", "partial_json"},
		}[kind]
		if b.open == "" || of.block != b.open || b.signed > 0 {
			return fmt.Errorf("%s in a block of %q, after %d signatures", kind, b.open, b.signed)
		}
		said := delta[of.field].(string)
		switch {
		case said == "":
			return fmt.Errorf("an empty %s", kind)
		case kind == "input_json_delta":
			b.json += said
		default:
			block[of.field] = block[of.field].(string) + said
		}
		if kind == "signature_delta" {
			b.signed++
		}
	case "content_block_stop":
		block := b.blocks[len(b.blocks)-1]
		switch {
		case b.open == "":
			return errors.New("a block ends that is not open")
		case b.open == "thinking" && b.signed != 1:
			return fmt.Errorf("a block of thinking has %d signatures", b.signed)
		case b.open == "text" && block["text"] == "":
			return errors.New("a block of text without any")
		case b.open == "tool_use":
			if input, ok := decoded(b.json).(object); ok {
				block["input"] = input
			} else if b.json != "" {
				block["input"] = object{"_invalid_arguments": b.json}
			}
		}
		b.open = ""
	}
	return nil
}

// decoded returns a JSON value, nil for what is none.
func decoded(s string) any {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil || d.More() || !json.Valid([]byte(s)) {
		return nil
	}
	return v
}

// compact returns a value as JSON with its keys in order.
func compact(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(b.String())
}

// same fails unless a stream accumulates to the whole answer.
func same(t *testing.T, events, whole string) {
	t.Helper()
	answer, failed, err := accumulate(events)
	if err != nil || failed != nil {
		t.Fatalf("%v %v in\n%s", failed, err, events)
	}
	want := decoded(whole).(object)
	for _, m := range []object{answer, want} {
		for _, b := range m["content"].([]any) {
			forgetMinted(b.(object))
		}
		// The whole answer has all counts, the stream those that are known.
		counts := m["usage"].(object)
		for _, key := range []string{"input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens"} {
			if counts[key] == json.Number("0") {
				delete(counts, key)
			}
		}
	}
	if got, want := compact(answer), compact(want); got != want {
		t.Errorf("the stream accumulates to\n%s\nand the whole answer is\n%s", got, want)
	}
}

// forgetMinted replaces ids that are made anew each time, also where they are sealed.
func forgetMinted(block object) {
	if id, ok := block["id"].(string); ok {
		block["id"] = unminted(id)
	}
	s, _ := block["signature"].(string)
	c, ours, err := seal.Open(s, new(seal.MaxOpen))
	if !ours || err != nil {
		return
	}
	var minted []string // the extra fields of several may be sealed together
	for id, extra := range c.Calls {
		if unminted(id) != id {
			delete(c.Calls, id)
			minted = append(minted, string(extra))
		}
	}
	slices.Sort(minted)
	for i, extra := range minted {
		c.Calls[fmt.Sprint("minted ", i)] = json.RawMessage(extra)
	}
	block["signature"] = seal.Seal(c)
}

func unminted(id string) string {
	if strings.HasPrefix(id, "toolu_") || strings.HasPrefix(id, "call_") && len(id) > 20 {
		return "minted"
	}
	return id
}

func newStream() dialect.Stream { return messages.NewStream(nil, nil, info) }

func newStreamAnswer() dialect.Answer { return newStream().Begin() }

func newStreamOf(c conversation) dialect.Stream { return messages.NewStream(c.names, c.has, info) }
