package responses

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

type jsonObject = map[string]any

// event is one event of a stream.
type event struct {
	name string
	data jsonObject
}

// parse reads a stream and checks each event by itself: two lines, the type twice, numbers
// without gaps, JSON without repeated keys or halves of characters.
func parse(stream string) ([]event, error) {
	if stream == "" {
		return nil, nil
	}
	rest, ok := strings.CutSuffix(stream, "\n\n")
	if !ok {
		return nil, fmt.Errorf("the stream ends within an event: %q", stream[max(0, len(stream)-200):])
	}
	var all []event
	for n, block := range strings.Split(rest, "\n\n") {
		first, second, ok := strings.Cut(block, "\n")
		name, ok1 := strings.CutPrefix(first, "event: ")
		data, ok2 := strings.CutPrefix(second, "data: ")
		if !ok || !ok1 || !ok2 || strings.ContainsAny(data, "\r\n") {
			return nil, fmt.Errorf("not an event of two lines: %q", block)
		}
		if err := checkJSON([]byte(data)); err != nil {
			return nil, fmt.Errorf("%w in %s", err, data)
		}
		e := event{name: name}
		if err := decode([]byte(data), &e.data); err != nil {
			return nil, fmt.Errorf("%w in %s", err, data)
		}
		if e.data["type"] != name || number(e.data["sequence_number"]) != n {
			return nil, fmt.Errorf("event %d is %s", n, block)
		}
		all = append(all, e)
	}
	return all, nil
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

var escape = regexp.MustCompile(`\\(u[0-9a-fA-F]{4}|.)`)

// checkJSON reports a key that comes twice in one object, and the escape of half a
// character.
func checkJSON(data []byte) error {
	half := false
	for _, at := range escape.FindAllIndex(data, -1) {
		e := data[at[0]:at[1]]
		first, second := isSurrogate(e, '8', 'b'), isSurrogate(e, 'c', 'f')
		if second != half && (second || half) {
			return fmt.Errorf("half a character: %s", e)
		}
		if half = first; first && !bytes.HasPrefix(data[at[1]:], []byte(`\u`)) {
			return fmt.Errorf("half a character: %s", e)
		}
	}
	return checkKeys(json.NewDecoder(bytes.NewReader(data)))
}

func checkKeys(d *json.Decoder) error {
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
				return fmt.Errorf("key %q twice", key)
			}
			seen[key.(string)] = true
			if err := checkKeys(d); err != nil {
				return err
			}
		}
		_, err = d.Token()
	case json.Delim('['):
		for d.More() {
			if err := checkKeys(d); err != nil {
				return err
			}
		}
		_, err = d.Token()
	}
	return err
}

func number(v any) int {
	n, ok := v.(json.Number)
	if !ok {
		return -1
	}
	i, err := n.Int64()
	if err != nil {
		return -1
	}
	return int(i)
}

// required are the fields that every response object has.
var required = []string{
	"id", "object", "created_at", "completed_at", "status", "background", "error", "incomplete_details", "instructions",
	"max_output_tokens", "max_tool_calls", "model", "output", "parallel_tool_calls", "previous_response_id",
	"prompt_cache_key", "reasoning", "safety_identifier", "service_tier", "store", "temperature", "text", "tool_choice",
	"tools", "top_logprobs", "top_p", "truncation", "usage", "user", "metadata",
}

// checkObject checks a response object by itself.
func checkObject(o jsonObject) error {
	for _, key := range required {
		if _, ok := o[key]; !ok {
			return fmt.Errorf("a response without %s", key)
		}
	}
	output, ok := o["output"].([]any)
	if !ok {
		return fmt.Errorf("output is %v", o["output"])
	}
	said := 0
	for _, it := range output {
		switch it := it.(jsonObject); {
		case it["type"] != "reasoning":
			said++
		case it["encrypted_content"] == nil && len(it["summary"].([]any)) == 0:
			return fmt.Errorf("a reasoning that says nothing: %v", it)
		}
	}
	status := o["status"]
	if (status == statusCompleted) != (number(o["completed_at"]) >= 0) ||
		(status == statusFailed) != (o["error"] != nil) || (status == statusIncomplete) != (o["incomplete_details"] != nil) {
		return fmt.Errorf("status %v, completed_at %v, error %v, incomplete_details %v", status, o["completed_at"], o["error"], o["incomplete_details"])
	}
	if status == statusInProgress && (len(output) > 0 || o["usage"] != nil) {
		return fmt.Errorf("a response in progress with output %v and usage %v", output, o["usage"])
	}
	if (status == statusCompleted || status == statusIncomplete) && said == 0 {
		return fmt.Errorf("an answer that says nothing: %v", output)
	}
	if usage, ok := o["usage"].(jsonObject); ok {
		in, _ := usage["input_tokens_details"].(jsonObject)
		out, _ := usage["output_tokens_details"].(jsonObject)
		for _, count := range []any{usage["input_tokens"], usage["output_tokens"], usage["total_tokens"], in["cached_tokens"], in["cache_write_tokens"], out["reasoning_tokens"]} {
			if number(count) < 0 {
				return fmt.Errorf("usage %v", usage)
			}
		}
	}
	return nil
}

// checker follows a stream as a strict client does, and checks that each event may come
// where it comes.
type checker struct {
	first jsonObject // the object of response.created
	items []*checked
	ids   map[string]bool
	last  jsonObject // the object of the last event; nil: none yet
	name  string     // of the last event
	told  jsonObject // the error before it
	next  string     // the event that must come next; "": any
	done  bool       // a call is done, so what the model says is over
}

// checked is an item of a stream.
type checked struct {
	index   int
	id      string
	typ     string
	part    bool   // its part was added
	partOf  string // the type of the part
	text    string // the deltas
	spoken  bool   // its ….done came
	parted  bool   // its part is done
	item    jsonObject
	logprob []any
}

// ids that items may have, with the random part of the response's.
var itemID = regexp.MustCompile(`^(msg|rs|fc|ctc|tsc|lsh|sh|apc|cmp)_[A-Za-z0-9_]{26,60}$`)

// check checks a stream, which may not have come to its end yet. ended is the object of
// its last event, nil if there is none.
func check(stream string) (ended jsonObject, err error) {
	events, err := parse(stream)
	if err != nil {
		return nil, err
	}
	c := &checker{ids: map[string]bool{}}
	for n, e := range events {
		if err := c.take(n, e); err != nil {
			data, _ := json.Marshal(e.data)
			return nil, fmt.Errorf("event %d: %w: %s", n, err, data)
		}
	}
	return c.last, nil
}

func (c *checker) take(n int, e event) error {
	name := strings.TrimPrefix(e.name, "response.")
	switch {
	case c.last != nil:
		return errors.New("an event after the last one")
	case c.next != "" && c.next != name:
		return fmt.Errorf("want %s", c.next)
	case (n == 0) != (name == "created"), n == 1 && name != "in_progress":
		return errors.New("a wrong beginning")
	}
	c.next = ""
	switch name {
	case "created", "in_progress", "completed", "incomplete", "failed":
		return c.takeResponse(name, e.data["response"].(jsonObject))
	case "error":
		c.told, c.next = e.data, "failed"
		return checkError(e.data)
	case "output_item.added":
		return c.takeAdded(e.data)
	case "output_item.done":
		return c.takeDone(e.data)
	}
	index := number(e.data["output_index"])
	if index < 0 || index >= len(c.items) {
		return errors.New("no such item")
	}
	it := c.items[index]
	if e.data["item_id"] != it.id || it.item != nil {
		return fmt.Errorf("item %s is meant, or done", it.id)
	}
	if strings.HasSuffix(name, ".delta") && name != "custom_tool_call_input.delta" && c.done {
		return errors.New("a delta after a call was done")
	}
	return c.takePart(it, name, e.data)
}

// checkError checks that both shapes of an error say the same.
func checkError(data jsonObject) error {
	nested, _ := data["error"].(jsonObject)
	for _, key := range []string{"code", "message", "param"} {
		flat, ok1 := data[key]
		deep, ok2 := nested[key]
		if !ok1 || !ok2 || flat != deep {
			return fmt.Errorf("%s is %v and %v", key, flat, deep)
		}
	}
	if nested["type"] == nil {
		return errors.New("an error without a type")
	}
	return nil
}

func (c *checker) takeResponse(name string, o jsonObject) error {
	if err := checkObject(o); err != nil {
		return err
	}
	want := name
	if name == "created" {
		want = statusInProgress
	}
	if o["status"] != want {
		return fmt.Errorf("status %v", o["status"])
	}
	if c.first == nil {
		c.first = o
	}
	for _, key := range []string{"id", "object", "created_at", "model", "store"} {
		if o[key] != c.first[key] {
			return fmt.Errorf("%s changed from %v", key, c.first[key])
		}
	}
	if want == statusInProgress {
		return nil
	}
	c.last, c.name = o, name
	output := []any{}
	for _, it := range c.items {
		if it.item != nil {
			output = append(output, it.item)
			continue
		}
		call := strings.HasSuffix(it.typ, "_call")
		if name == statusCompleted || name == statusIncomplete && !call {
			return fmt.Errorf("item %s was never done", it.id)
		}
	}
	if !reflect.DeepEqual(o["output"], output) {
		return fmt.Errorf("the items that were done are %v", output)
	}
	if name != statusFailed {
		return nil
	}
	failure, _ := o["error"].(jsonObject)
	if c.told == nil || failure["code"] != c.told["code"] || failure["message"] != c.told["message"] {
		return fmt.Errorf("the error was %v", c.told)
	}
	return nil
}

func (c *checker) takeAdded(data jsonObject) error {
	item := data["item"].(jsonObject)
	it := &checked{index: number(data["output_index"]), id: item["id"].(string), typ: item["type"].(string)}
	for _, before := range c.items {
		if before.item == nil && !strings.HasSuffix(before.typ, "_call") {
			return fmt.Errorf("item %s is still open", before.id)
		}
	}
	if it.index != len(c.items) || c.ids[it.id] || !itemID.MatchString(it.id) || len(it.id) > 64 {
		return errors.New("a wrong index or id")
	}
	c.ids[it.id] = true
	c.items = append(c.items, it)
	var empty any
	switch it.typ {
	case "message":
		c.next, empty = "content_part.added", item["content"]
	case "reasoning":
		empty = item["summary"]
	case "compaction":
		c.next = "output_item.done"
		if item["encrypted_content"] == "" {
			return errors.New("nothing is sealed")
		}
		return nil
	default:
		if item["status"] != statusInProgress || item["call_id"] == "" {
			return errors.New("a wrong status or call_id")
		}
		return nil
	}
	if list, ok := empty.([]any); !ok || len(list) > 0 || it.typ == "message" && (item["status"] != statusInProgress || item["role"] != "assistant") {
		return errors.New("the item is not empty")
	}
	return nil
}

func (c *checker) takePart(it *checked, name string, data jsonObject) error {
	index := "content_index"
	if it.typ == "reasoning" {
		index = "summary_index"
	}
	if (it.typ == "message" || it.typ == "reasoning") != (number(data[index]) == 0) {
		return fmt.Errorf("%s is %v", index, data[index])
	}
	part, _ := data["part"].(jsonObject)
	switch name {
	case "content_part.added", "reasoning_summary_part.added":
		if it.part || part["text"] != "" && part["refusal"] != "" {
			return errors.New("the part is not new")
		}
		it.part, it.partOf = true, part["type"].(string)
		return nil
	case "content_part.done", "reasoning_summary_part.done":
		if !it.spoken || it.parted || part["type"] != it.partOf || part["text"] != it.text && part["refusal"] != it.text {
			return errors.New("not the part as it was told")
		}
		it.parted = true
		c.next = "output_item.done"
		return nil
	}
	kinds := map[string]string{
		"output_text": "output_text", "refusal": "refusal", "reasoning_summary_text": "summary_text",
		"function_call_arguments": "function_call", "custom_tool_call_input": "custom_tool_call",
	}
	of, what, _ := strings.Cut(name, ".")
	if kinds[of] != it.partOf && kinds[of] != it.typ || it.spoken {
		return errors.New("an event that does not belong to the item, or is too late")
	}
	if what == "delta" {
		delta := data["delta"].(string)
		if delta == "" {
			return errors.New("an empty delta")
		}
		it.text += delta
		if list, ok := data["logprobs"].([]any); ok == (of == "output_text") {
			it.logprob = append(it.logprob, list...)
			return nil
		}
		return errors.New("logprobs where there are none, or none where there are")
	}
	it.spoken = true
	field := map[string]string{"output_text": "text", "refusal": "refusal", "reasoning_summary_text": "text", "function_call_arguments": "arguments", "custom_tool_call_input": "input"}[of]
	if what != "done" || data[field] != it.text {
		return fmt.Errorf("%s is not %q", field, it.text)
	}
	switch it.typ {
	case "message":
		c.next = "content_part.done"
	case "reasoning":
		c.next = "reasoning_summary_part.done"
	default:
		c.next = "output_item.done"
	}
	return nil
}

func (c *checker) takeDone(data jsonObject) error {
	index := number(data["output_index"])
	if index < 0 || index >= len(c.items) {
		return errors.New("no such item")
	}
	it, item := c.items[index], data["item"].(jsonObject)
	if it.item != nil || item["id"] != it.id || item["type"] != it.typ {
		return fmt.Errorf("item %d is %s, a %s", index, it.id, it.typ)
	}
	it.item = item
	if call := strings.HasSuffix(it.typ, "_call"); call {
		c.done = true
		if item["status"] != statusCompleted {
			return errors.New("a call that is done and not completed")
		}
	}
	switch it.typ {
	case "message":
		parts := item["content"].([]any)
		part := parts[0].(jsonObject)
		if len(parts) != 1 || !it.parted || part["type"] != it.partOf || part["text"] != it.text && part["refusal"] != it.text {
			return errors.New("not the message that was told")
		}
		if list, ok := part["logprobs"].([]any); ok && (len(list) < len(it.logprob) || !reflect.DeepEqual(slices.Clip(list[:len(it.logprob)]), append([]any{}, it.logprob...))) {
			return fmt.Errorf("the logprobs that were told are %v", it.logprob)
		}
	case "reasoning":
		parts := item["summary"].([]any)
		if len(parts) > 0 != (it.text != "") || it.part != it.parted || len(parts) > 0 && parts[0].(jsonObject)["text"] != it.text {
			return errors.New("not the reasoning that was told")
		}
	case "function_call":
		if !it.spoken || item["arguments"] != it.text {
			return errors.New("not the arguments that were told")
		}
	case "custom_tool_call":
		if !it.spoken || item["input"] != it.text {
			return errors.New("not the input that was told")
		}
	}
	return nil
}
