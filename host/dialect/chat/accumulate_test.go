package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk/abi"
)

type jsonObject = map[string]any

// reasons are those for which OpenAI says that an answer ends.
var reasons = []string{abi.FinishStop, abi.FinishLength, abi.FinishToolCalls, abi.FinishContentFilter, abi.FinishFunctionCall}

// accumulate puts a stream together as OpenAI's SDKs do and gives the whole
// answer it stands for. Every rule a client may rely on is checked on the way.
func accumulate(events string) (jsonObject, error) {
	answer := jsonObject{}
	choices := map[int]jsonObject{}
	finished := map[int]bool{}
	ids := map[string]bool{}
	rest, ok := strings.CutSuffix(events, "\n\ndata: [DONE]\n\n")
	if !ok {
		return nil, fmt.Errorf("no end mark in %q", events)
	}
	list := strings.Split(rest, "\n\n")
	for n, event := range list {
		data, ok := strings.CutPrefix(event, "data: ")
		if !ok || strings.ContainsAny(data, "\r\n") {
			return nil, fmt.Errorf("not one data line: %q", event)
		}
		if err := checkKeys([]byte(data)); err != nil {
			return nil, fmt.Errorf("%w in %s", err, data)
		}
		var chunk jsonObject
		if err := decode([]byte(data), &chunk); err != nil {
			return nil, fmt.Errorf("%w in %s", err, data)
		}
		last := n == len(list)-1
		for key, value := range chunk {
			switch key {
			case "choices":
			case "object":
				if value != "chat.completion.chunk" {
					return nil, fmt.Errorf("object %v", value)
				}
				answer[key] = "chat.completion"
			case "id", "created", "model":
				if n > 0 && answer[key] != value {
					return nil, fmt.Errorf("%s changed to %v", key, value)
				}
				answer[key] = value
			case "usage":
				if (value != nil) != last {
					return nil, fmt.Errorf("usage %v in chunk %d of %d", value, n, len(list))
				}
				answer[key] = value
			default:
				addExtra(answer, key, value)
			}
		}
		for _, key := range []string{"id", "object", "created", "model", "choices", "usage"} {
			if _, ok := chunk[key]; !ok {
				return nil, fmt.Errorf("chunk without %s: %s", key, data)
			}
		}
		of := chunk["choices"].([]any)
		if last != (len(of) == 0) || len(of) > 1 {
			return nil, fmt.Errorf("%d choices in chunk %d of %d", len(of), n, len(list))
		}
		if last {
			break
		}
		ch := of[0].(jsonObject)
		number, _ := ch["index"].(json.Number).Int64()
		index := int(number)
		delta := ch["delta"].(jsonObject)
		if finished[index] {
			return nil, fmt.Errorf("a chunk for finished choice %d: %s", index, data)
		}
		whole, known := choices[index]
		if (delta["role"] == "assistant") == known {
			return nil, fmt.Errorf("the role of choice %d is not in its first chunk only: %s", index, data)
		}
		if !known {
			whole = jsonObject{"index": ch["index"], "logprobs": nil, "message": jsonObject{"role": "assistant", "content": delta["content"], "refusal": nil}}
			choices[index] = whole
			delete(delta, "role")
			delete(delta, "content")
		}
		if err := addDelta(whole["message"].(jsonObject), delta, ids); err != nil {
			return nil, fmt.Errorf("%w in %s", err, data)
		}
		for _, key := range []string{"logprobs", "finish_reason"} {
			if _, ok := ch[key]; !ok {
				return nil, fmt.Errorf("choice without %s: %s", key, data)
			}
		}
		for key, value := range ch {
			switch key {
			case "index", "delta":
			case "logprobs":
				if value == nil {
					break
				}
				if whole[key] == nil {
					whole[key] = value
					break
				}
				all := whole[key].(jsonObject)
				all["content"] = append(all["content"].([]any), value.(jsonObject)["content"].([]any)...)
			case "finish_reason":
				if value == nil {
					break
				}
				if len(delta) > 0 || !slices.Contains(reasons, value.(string)) {
					return nil, fmt.Errorf("bad finish: %s", data)
				}
				finished[index] = true
				whole[key] = value
			default:
				addExtra(whole, key, value)
			}
		}
	}
	var indexes []int
	for index := range choices {
		if !finished[index] {
			return nil, fmt.Errorf("choice %d never finished", index)
		}
		indexes = append(indexes, index)
	}
	slices.Sort(indexes)
	sorted := []any{}
	for _, index := range indexes {
		sorted = append(sorted, choices[index])
	}
	answer["choices"] = sorted
	return answer, nil
}

func addDelta(message, delta jsonObject, ids map[string]bool) error {
	for key, value := range delta {
		switch key {
		case "content", "refusal", "reasoning", "reasoning_content":
			s, _ := message[key].(string)
			if value.(string) == "" {
				return fmt.Errorf("empty %s", key)
			}
			message[key] = s + value.(string)
		case "role":
			return errors.New("a second role")
		case "tool_calls":
			list, _ := message[key].([]any)
			for _, entry := range value.([]any) {
				part := entry.(jsonObject)
				function := part["function"].(jsonObject)
				number, _ := part["index"].(json.Number).Int64()
				index := int(number)
				delete(part, "index")
				if index == len(list) {
					id := part["id"].(string)
					if ids[id] || id == "" || part["type"] != "function" || function["name"] == "" || len(function) != 2 {
						return fmt.Errorf("bad first delta of tool call %d", index)
					}
					ids[id] = true
					list = append(list, part)
					continue
				}
				if index > len(list) || part["id"] != nil || part["type"] != nil || len(function) != 1 {
					return fmt.Errorf("bad delta of tool call %d", index)
				}
				call := list[index].(jsonObject)
				whole := call["function"].(jsonObject)
				whole["arguments"] = whole["arguments"].(string) + function["arguments"].(string)
				delete(part, "function")
				for key, value := range part {
					addExtra(call, key, value)
				}
			}
			message[key] = list
		default:
			addExtra(message, key, value)
		}
	}
	return nil
}

// addExtra merges a field that OpenAI doesn't know, as the package promises.
func addExtra(to jsonObject, key string, value any) {
	before, known := to[key]
	list, ok := before.([]any)
	more, ok2 := value.([]any)
	switch {
	case ok && ok2:
		to[key] = append(slices.Clone(list), more...)
	case known && value == nil:
	default:
		to[key] = value
	}
}

func decode(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one JSON value")
	}
	return nil
}

// checkKeys reports a key that comes twice in an object that the package writes:
// the chunk, its choice, its delta or message, its usage.
func checkKeys(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	return checkValue(d, "")
}

func checkValue(d *json.Decoder, path string) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		seen := map[string]bool{}
		for d.More() {
			key, err := d.Token()
			if err != nil {
				return err
			}
			if seen[key.(string)] {
				switch path {
				case "", ".choices", ".choices.delta", ".choices.message", ".usage":
					return fmt.Errorf("key %q twice at %q", key, path)
				}
			}
			seen[key.(string)] = true
			if err := checkValue(d, path+"."+key.(string)); err != nil {
				return err
			}
		}
		_, err = d.Token()
	case json.Delim('['):
		for d.More() {
			if err := checkValue(d, path); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}

// normal makes answers comparable: ids that the host made are all the same, and
// content is null wherever it is empty, since a stream's first chunk cannot know
// whether text will follow.
func normal(answer jsonObject) jsonObject {
	for _, ch := range answer["choices"].([]any) {
		message := ch.(jsonObject)["message"].(jsonObject)
		if message["content"] == "" {
			message["content"] = nil
		}
		list, _ := message["tool_calls"].([]any)
		for _, c := range list {
			id, _ := json.Marshal(c.(jsonObject)["id"])
			if minted.Match(id) {
				c.(jsonObject)["id"] = "MINTED"
			}
		}
	}
	return answer
}

// checkForms makes both forms of an answer of the same emissions, checks each,
// and that they agree.
func checkForms(in calls) error {
	info := testInfo
	info.IncludeUsage = true
	c, w := NewChunks(info), NewWhole(info)
	var events []byte
	for n, ems := range in {
		var err error
		events, err = c.Apply(events, ems)
		_, err2 := w.Apply(nil, ems)
		var e, e2 *fault.Error
		if errors.As(err, &e) != errors.As(err2, &e2) || e != nil && e.Text != e2.Text || (err == nil) != (e == nil) {
			return fmt.Errorf("call %d: streamed %v, whole %v", n, err, err2)
		}
		streamed, whole := c.Usage(), w.Usage()
		streamed.Stated, whole.Stated = 0, 0 // one counts what waits to be sent, the other doesn't yet
		if c.Complete() != w.Complete() || streamed != whole {
			return fmt.Errorf("call %d: streamed %v %+v, whole %v %+v", n, c.Complete(), streamed, w.Complete(), whole)
		}
		if err != nil {
			return nil
		}
	}
	if len(in)%2 == 0 {
		c.EndMark()
		w.EndMark()
	}
	complete := c.Complete()
	events, err := c.End(events)
	body, err2 := w.End(nil)
	if (err == nil) != (err2 == nil) || complete && err != nil && !strings.Contains(err.Error(), "without naming it") {
		return fmt.Errorf("End of an answer with Complete() = %v: streamed %v, whole %v", complete, err, err2)
	}
	if err != nil {
		return nil
	}
	got, err := accumulate(string(events))
	if err != nil {
		return err
	}
	if err := checkKeys(body); err != nil {
		return fmt.Errorf("%w in %s", err, body)
	}
	var want jsonObject
	if err := decode(body, &want); err != nil {
		return fmt.Errorf("%w in %s", err, body)
	}
	if !reflect.DeepEqual(normal(got), normal(want)) {
		g, _ := json.Marshal(got)
		return fmt.Errorf("the stream stands for\n%s\nthe whole answer is\n%s\nevents\n%s", g, body, events)
	}
	return nil
}

func TestAStreamEqualsTheWholeAnswer(t *testing.T) {
	complete := 0
	for seed := range uint64(3000) {
		in := randomCalls(rand.New(rand.NewPCG(seed, 0)))
		if err := checkForms(in); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, printed(in))
		}
		if _, err := whole(in); err == nil {
			complete++
		}
	}
	if complete < 1000 {
		t.Errorf("only %d of 3000 answers were complete: the test says little", complete)
	}
}

// randomCalls makes an answer that is mostly well behaved.
func randomCalls(r *rand.Rand) calls {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	words := func() string { return pick("", "a", "Hi", " there", "\"", "\\", "é", "😀", "\n", "\x01", "</x>") }
	inside := func() string {
		return pick(``, `a`, `\"`, `\\`, `\u00e9`, `\ud83d\ude00`, `\ud83d`, `\ude00`, `\n`, `\/`, "é")
	}
	fields := func() string {
		return pick(`{}`, `{"a":1}`, `{"a":null,"b":"x"}`, "{\n\"c\" : [ {\"i\":1} , 2 ]\r\n}", `{"c":[]}`, `{"c":[3]}`, `{"c":null}`, `{"\u0061":{"d":[1,{"e":"}]"}]}}`,
			`{"content":1,"role":1,"index":1,"id":1,"usage":1,"finish_reason":1,"a":2}`)
	}
	n := 1
	if r.IntN(3) == 0 {
		n += r.IntN(3)
	}
	var in calls
	named := map[[2]int]bool{}
	var ems []abi.Emission
	next := func() {
		if r.IntN(3) > 0 {
			in, ems = append(in, ems), nil
		}
	}
	for range r.IntN(20) {
		ch, k := r.IntN(n), r.IntN(3)
		var e abi.Emission
		switch r.IntN(20) {
		case 0, 1, 2:
			e = text(ch, words())
		case 3:
			e = raw(text(ch, inside()))
		case 4:
			e = reasoning(ch, words())
		case 5:
			e = refusal(ch, words())
		case 6:
			e = toolID(ch, k, fmt.Sprint("id", k))
		case 7:
			e = toolName(ch, k, "f")
			named[[2]int{ch, k}] = true
		case 8:
			e = toolArgs(ch, k, words())
		case 9:
			e = logprobs(ch, pick(`[]`, `[{"token":"a"}]`, " [ 1,\n2 ] "))
		case 10:
			e = deltaExtra(ch, fields())
		case 11:
			e = choiceExtra(ch, fields())
		case 12:
			e = chunkExtra(fields())
		case 14:
			e = toolExtra(ch, k, fields())
		case 15:
			e = detail(ch, pick(`{"type":"reasoning.text","text":"a"}`, `{}`))
		case 16:
			e = citation(ch, pick(`{"url":"x"}`, `{}`))
		case 17:
			e = signature(ch, words())
		case 18:
			e = toolSignature(ch, k, words())
		case 19:
			e = stopReason(ch, words())
		case 13:
			e = usageOf(pick(`{"prompt_tokens":1}`, `{"completion_tokens":2,"total_tokens":9}`, `{"d":{"x":1}}`, `{"d":{"y":null,"x":2},"cost":0.1}`))
		}
		if e.Kind == abi.ToolID || e.Kind == abi.ToolArgs || e.Kind == abi.ToolExtra || e.Kind == abi.ToolSignature {
			if !named[[2]int{ch, k}] && r.IntN(8) > 0 {
				ems = append(ems, toolName(ch, k, "f"))
				named[[2]int{ch, k}] = true
			}
		}
		ems = append(ems, e)
		next()
	}
	for ch := range n {
		if r.IntN(20) > 0 {
			ems = append(ems, finish(ch, pick("stop", "stop", "length", "tool_calls")))
		}
		next()
	}
	in, ems = append(in, ems), nil
	if r.IntN(2) == 0 { // what may come late
		ems = append(ems, text(0, words()), usageOf(`{"prompt_tokens":7}`), chunkExtra(fields()), choiceExtra(0, fields()), finish(0, "stop"))
	}
	return append(in, ems)
}

func printed(in calls) string {
	var b strings.Builder
	for n, ems := range in {
		for _, e := range ems {
			fmt.Fprintf(&b, "call %d: %v %v.%v raw %v %q\n", n, e.Kind, e.Choice(), e.Item(), e.Raw, e.Data)
		}
	}
	return b.String()
}

// FuzzApply reads emissions from the input: kind, at, length and payload, with
// what the boundary would refuse replaced. Whatever they are, nothing panics and
// every rule that accumulate checks holds, and what an emission leads to is the same if it
// is alone.
func FuzzApply(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(encodeCalls(randomCalls(rand.New(rand.NewPCG(seed, 1)))))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		in := decodeCalls(input)
		if err := errors.Join(checkForms(in), checkWays(in)); err != nil {
			t.Fatalf("%v\n%s", err, printed(in))
		}
	})
}

// nextCall among the kinds begins another adapter call.
const nextCall = 0

// An emission of the fuzz input is kind, choice, item, length (two bytes,
// big-endian) and the payload.
func encodeCalls(in calls) (b []byte) {
	for _, ems := range in {
		for _, e := range ems {
			kind := byte(e.Kind)
			if e.Raw {
				kind |= abi.Raw
			}
			b = append(b, kind, byte(e.Choice()), byte(e.Item()), byte(len(e.Data)>>8), byte(len(e.Data)))
			b = append(b, e.Data...)
		}
		b = append(b, nextCall)
	}
	return b
}

func decodeCalls(b []byte) (in calls) {
	var ems []abi.Emission
	for len(b) > 0 {
		if b[0] == nextCall {
			in, ems, b = append(in, ems), nil, b[1:]
			continue
		}
		if len(b) < 5 {
			break
		}
		n := min(int(b[3])<<8|int(b[4]), len(b)-5)
		e := abi.Emission{Kind: abi.Kind(b[0] &^ abi.Raw), At: abi.At(int(b[1]), int(b[2])), Data: b[5 : 5+n : 5+n]}
		e.Raw = b[0]&abi.Raw != 0 && e.Kind.AllowsRaw()
		b = b[5+n:]
		ems = append(ems, checked(e))
	}
	return append(in, ems)
}

// checked does what the boundary does, but mends what it would refuse.
func checked(e abi.Emission) abi.Emission {
	first := byte('{')
	switch e.Kind {
	case abi.Logprobs:
		first = '['
		fallthrough
	case abi.ToolExtra, abi.DeltaExtra, abi.ChoiceExtra, abi.ChunkExtra, abi.Usage, abi.Error, abi.ReasoningDetail, abi.Citation:
		if trimmed := bytes.TrimSpace(e.Data); !json.Valid(trimmed) || trimmed[0] != first {
			e.Data = []byte{first, first + 2}
		}
		return e
	}
	e.Data = bytes.ToValidUTF8(e.Data, nil)
	if e.Raw && !json.Valid(slices.Concat([]byte{'"'}, e.Data, []byte{'"'})) {
		e.Raw = false
	}
	return e
}
