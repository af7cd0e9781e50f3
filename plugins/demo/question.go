package demo

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/sdk"
)

// question is what the adapter understands of a chat request. Everything else
// in the request makes no difference.
type question struct {
	text    string   // of the last message of the user
	images  int      // how many images are in that message
	results []result // results of tools after that message
	tools   []tool
	only    string // tool_choice names this tool
	noTools bool   // tool_choice is none
	must    bool   // tool_choice is required
	single  bool   // parallel_tool_calls is false
	format  format
	schema  sdk.JSON // of format jsonSchema; absent: any object
	stop    sdk.JSON // a string, or an array that may have millions of them
	most    int      // how many words an answer may have; 0: no limit
	choices int
	models  []model
	prompt  int    // bytes of content in all messages
	strange string // the place of a part of unknown type; "": there is none
}

type format uint8

const (
	plainText format = iota
	jsonObject
	jsonSchema
)

// tool is a function that the client offers.
type tool struct {
	name       string
	parameters sdk.JSON
}

// result is the result of a tool call.
type result struct {
	name string // the tool's; "": no call says it
	text string
}

func read(body sdk.JSON) question {
	q := question{choices: 1}
	for f := sdk.Object(body); f.Next(); {
		v := f.Value()
		switch string(f.Key()) {
		case "messages":
			q.readMessages(v)
		case "tools":
			q.readTools(v)
		case "tool_choice":
			q.readToolChoice(v)
		case "parallel_tool_calls":
			parallel, ok := v.Bool()
			q.single = ok && !parallel
		case "response_format":
			q.readFormat(v)
		case "stop":
			q.stop = v
		case "max_tokens", "max_completion_tokens":
			if n, ok := v.Int(); ok && n > 0 && (q.most == 0 || n < int64(q.most)) {
				q.most = int(min(n, 1<<30))
			}
		case "n":
			if n, ok := v.Int(); ok && n > 0 && n <= 128 {
				q.choices = int(n)
			}
		}
	}
	return q
}

// maxResults is how many results of tools an answer repeats.
const maxResults = 64

// readMessages decodes only what the answer repeats: the last message of the user, and the
// first results of tools after it.
func (q *question) readMessages(array sdk.JSON) {
	var asked, called sdk.JSON
	var results []sdk.Message
	index := 0
	for m := range sdk.Messages(array) {
		q.prompt += len(m.Content)
		q.findStrange(m.Content, index)
		index++
		switch m.Role {
		case "user":
			if asks(m.Content) {
				asked, results = m.Content, results[:0]
			}
		case "assistant":
			called, results = m.ToolCalls, results[:0]
		case "tool", "function":
			if len(results) < maxResults {
				results = append(results, m)
			}
		}
	}
	q.text, q.images = contentOf(asked, "\n")
	q.text = withoutReminders(q.text)
	names := namesOf(called, results)
	for _, m := range results {
		name, _ := m.Name.Str()
		if name == "" {
			id, _ := m.ToolCallID.Str()
			name = names[id]
		}
		text, _ := contentOf(m.Content, "")
		q.results = append(q.results, result{name: name, text: text})
	}
}

// namesOf returns the names of the tools whose results there are, by the id of the call. Of
// calls with the same id the first counts.
func namesOf(called sdk.JSON, results []sdk.Message) map[string]string {
	if len(results) == 0 {
		return nil
	}
	names := map[string]string{}
	for _, m := range results {
		id, _ := m.ToolCallID.Str()
		names[id] = ""
	}
	for c := range sdk.ToolCalls(called) {
		id, _ := c.ID.Str()
		if name, wanted := names[id]; wanted && name == "" {
			names[id], _ = c.Name.Str()
		}
	}
	return names
}

// findStrange records the first part whose type chat completions don't have.
func (q *question) findStrange(content sdk.JSON, message int) {
	i := 0
	for p := range sdk.Parts(content) {
		switch p.Type {
		case "text", "refusal", "image_url", "input_audio", "file":
		default:
			if q.strange == "" {
				q.strange = "messages[" + strconv.Itoa(message) + "].content[" + strconv.Itoa(i) + "].type"
			}
		}
		i++
	}
}

// asks reports whether there is more in a message than reminders.
func asks(content sdk.JSON) bool {
	reminded := false
	for p := range sdk.Parts(content) {
		text, ok := p.Text.RawStr()
		if !ok || !bytes.HasPrefix(text, []byte(reminderBegin)) {
			return true
		}
		if said, _ := p.Text.Str(); withoutReminders(said) != "" {
			return true
		}
		reminded = true
	}
	return !reminded
}

// Agents such as Claude Code put what they tell the model, such as lists of tools, into the
// user's messages between these.
const reminderBegin, reminderEnd = "<system-reminder>", "</system-reminder>"

// withoutReminders returns what the user says in a text.
func withoutReminders(text string) string {
	if !strings.Contains(text, reminderBegin) {
		return text
	}
	var b strings.Builder
	for {
		before, behind, found := strings.Cut(text, reminderBegin)
		_, after, ended := strings.Cut(behind, reminderEnd)
		if !found || !ended {
			b.WriteString(text)
			return strings.TrimSpace(b.String())
		}
		b.WriteString(before)
		text = after
	}
}

// contentOf returns the text of a message's content, with between between its parts, and the
// number of its images.
func contentOf(content sdk.JSON, between string) (text string, images int) {
	var b strings.Builder
	for p := range sdk.Parts(content) {
		switch p.Type {
		case "text", "refusal":
			s, _ := p.Text.Str()
			if b.Len() > 0 && s != "" {
				b.WriteString(between)
			}
			b.WriteString(s)
		case "image_url":
			images++
		}
	}
	return b.String(), images
}

func (q *question) readTools(array sdk.JSON) {
	for it := sdk.Array(array); it.Next(); {
		var t tool
		for f := sdk.Object(it.Value().Get("function")); f.Next(); {
			switch string(f.Key()) {
			case "name":
				t.name, _ = f.Value().Str()
			case "parameters":
				t.parameters = f.Value()
			}
		}
		if t.name != "" {
			q.tools = append(q.tools, t)
		}
	}
}

func (q *question) readToolChoice(v sdk.JSON) {
	word, _ := v.Str()
	q.noTools, q.must = word == "none", word == "required"
	q.only, _ = v.Get("function").Get("name").Str()
}

func (q *question) readFormat(v sdk.JSON) {
	typ, _ := v.Get("type").Str()
	switch typ {
	case "json_object":
		q.format = jsonObject
	case "json_schema":
		q.format = jsonSchema
		q.schema = v.Get("json_schema").Get("schema")
	}
}

// calls returns the tools to call: the one that tool_choice names, or those that the user
// mentions, or the first one if there must be a call. It returns none if the tools have
// answered already or are not wanted. Agents run what is called, so it must have been
// asked for.
func (q *question) calls() ([]tool, error) {
	if q.only != "" {
		for _, t := range q.tools {
			if t.name == q.only {
				return q.unlessAnswered([]tool{t}), nil
			}
		}
		return nil, &sdk.Error{
			Status: 400, Param: "tool_choice",
			Message: "tool_choice names '" + shorten(q.only, 64) + "', which is not among the tools.",
		}
	}
	if q.noTools || len(q.tools) == 0 {
		return nil, nil
	}
	var mentioned []tool
	for _, t := range q.tools {
		if mentions(q.text, t.name) {
			mentioned = append(mentioned, t)
		}
	}
	if len(mentioned) == 0 && q.must {
		mentioned = q.tools[:1]
	}
	if q.single && len(mentioned) > 1 {
		mentioned = mentioned[:1]
	}
	return q.unlessAnswered(mentioned), nil
}

// unlessAnswered drops the calls if tools have already answered the last question. Otherwise
// the conversation would never end.
func (q *question) unlessAnswered(calls []tool) []tool {
	if len(q.results) > 0 {
		return nil
	}
	return calls
}
