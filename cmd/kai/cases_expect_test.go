package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// expectation is an expect.json.
type expectation struct {
	exchange
	Env      map[string]string `json:"env"`
	Steps    []exchange        `json:"steps"`
	Validate *validateWant     `json:"validate"`
}

// exchange is a request and what is right about its answer.
type exchange struct {
	Name   string   `json:"name"`
	Head   []string `json:"head"`
	Body   string   `json:"body"`
	Answer string   `json:"answer"`

	Status     statuses               `json:"status"`
	Text       *string                `json:"text"`
	Reasoning  *string                `json:"reasoning"`
	ToolCalls  *[]callWant            `json:"tool_calls"`
	Finish     stated[*string]        `json:"finish"`
	Done       *bool                  `json:"done"`
	Error      *errorWant             `json:"error"`
	Headers    map[string]*expression `json:"headers"`
	Repeatable *bool                  `json:"repeatable"`
	Usage      map[string]any         `json:"usage"`
	LacksKeys  []string               `json:"message_lacks_keys"`
	Contains   oneOrMore[string]      `json:"body_contains"`
	Lacks      oneOrMore[string]      `json:"body_lacks"`
	Matches    oneOrMore[*expression] `json:"body_matches"`
	Interim    *[]int                 `json:"interim"`
	MaxSeconds float64                `json:"max_seconds"`
	Upstream   *upstreamWant          `json:"upstream"`
	NoUpstream bool                   `json:"no_upstream_request"`
	AnyOf      []exchange             `json:"any_of"`
}

type validateWant struct {
	Exit     int                    `json:"exit"`
	Contains oneOrMore[string]      `json:"stderr_contains"`
	Lacks    oneOrMore[string]      `json:"stderr_lacks"`
	Matches  oneOrMore[*expression] `json:"stderr_matches"`
}

type errorWant struct {
	Type     stated[any]            `json:"type"`
	Code     stated[any]            `json:"code"`
	Param    stated[any]            `json:"param"`
	TypeNot  stated[any]            `json:"type_not"`
	CodeNot  stated[any]            `json:"code_not"`
	ParamNot stated[any]            `json:"param_not"`
	Contains oneOrMore[string]      `json:"message_contains"`
	Lacks    oneOrMore[string]      `json:"message_lacks"`
	Matches  oneOrMore[*expression] `json:"message_matches"`
}

type upstreamWant struct {
	Method    string                 `json:"method"`
	Path      string                 `json:"path"`
	Headers   map[string]*expression `json:"headers"`
	Contains  oneOrMore[string]      `json:"body_contains"`
	Lacks     oneOrMore[string]      `json:"body_lacks"`
	Matches   oneOrMore[*expression] `json:"body_matches"`
	Subset    any                    `json:"json_subset"`
	JSONLacks []string               `json:"json_lacks"`
	Calls     *[]historyWant         `json:"calls"`
}

// callWant is a tool call of an answer.
type callWant struct {
	ID        *string `json:"id"`
	Name      string  `json:"name"`
	Arguments any     `json:"arguments"`
}

// historyWant is a tool call in what a provider gets.
type historyWant struct {
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`
	Result    *string        `json:"result"`
}

// readExpectation reads an expect.json, of which every word must be known.
func readExpectation(b []byte) (e expectation, err error) {
	return e, strictly(b, &e)
}

// strictly decodes JSON and refuses unknown fields. (The decoder forgets to where
// a type decodes itself, so those types call this.)
func strictly(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func TestReadExpectationRefusesUnknownWords(t *testing.T) {
	for _, text := range []string{
		`{"txet":"a"}`, `{"error":{"kind":"a"}}`, `{"upstream":{"json":{}}}`, `{"steps":[{"heads":[]}]}`, `{"any_of":[{"txet":"a"}]}`,
		`{"validate":{"exits":1}}`, `{"tool_calls":[{"nmae":"f"}]}`, `{"upstream":{"calls":[{"nmae":"f"}]}}`, `{"body_matches":"("}`, `{"status":"200"}`,
	} {
		if _, err := readExpectation([]byte(text)); err == nil {
			t.Errorf("readExpectation(%s) takes it", text)
		}
	}
}

// stated is a value that may be null, and may be missing, which is not the same.
type stated[T any] struct {
	is    bool
	value T
}

func (s *stated[T]) UnmarshalJSON(b []byte) error {
	s.is = true
	return strictly(b, &s.value)
}

// oneOrMore is a list that is written without brackets if it has one item.
type oneOrMore[T any] []T

func (l *oneOrMore[T]) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("[")) {
		return strictly(b, (*[]T)(l))
	}
	*l = make([]T, 1)
	return strictly(b, &(*l)[0])
}

type statuses = oneOrMore[int]

// expression is a regular expression.
type expression struct{ *regexp.Regexp }

func (e *expression) UnmarshalJSON(b []byte) (err error) {
	var s string
	if err := strictly(b, &s); err != nil {
		return err
	}
	e.Regexp, err = regexp.Compile(s)
	return err
}

// request gives the lines of the request's head.
func (e exchange) request() []string {
	if e.Head == nil {
		return []string{"POST /v1/chat/completions HTTP/1.1", "Content-Type: application/json"}
	}
	return slices.Clone(e.Head)
}

// differences are what was got and not wanted, a sentence each.
type differences []string

func (d *differences) add(format string, args ...any) { *d = append(*d, fmt.Sprintf(format, args...)) }

func (d *differences) equal(what string, got, want any) {
	if !reflect.DeepEqual(got, want) {
		d.add("%s: got %s, want %s", what, short(got), short(want))
	}
}

// words checks what a text contains, lacks and matches.
func (d *differences) words(what, got string, contains, lacks []string, matches []*expression) {
	for _, w := range contains {
		if !strings.Contains(got, w) {
			d.add("%s: got %s, want it with %q", what, short(got), w)
		}
	}
	for _, w := range lacks {
		if strings.Contains(got, w) {
			d.add("%s: got %s, want it without %q", what, short(got), w)
		}
	}
	for _, w := range matches {
		if !w.MatchString(got) {
			d.add("%s: got %s, want it like %s", what, short(got), w)
		}
	}
}

// headers checks headers; one that must match nil must be absent.
func (d *differences) headers(what string, got map[string][]string, want map[string]*expression) {
	for name, w := range want {
		var values []string
		for n, v := range got {
			if strings.EqualFold(n, name) {
				values = v
			}
		}
		joined := strings.Join(values, ", ")
		switch {
		case w == nil && values != nil:
			d.add("%s %s: got %q, want none", what, name, joined)
		case w != nil && (values == nil || !w.MatchString(joined)):
			d.add("%s %s: got %q, want it like %s", what, name, values, w)
		}
	}
}

// short shows a value in a message.
func short(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	if len(b) > 400 {
		return string(b[:400]) + "…"
	}
	return string(b)
}

// check adds what differs. An error that nothing is said of is a difference,
// unless it was judged already.
func (e exchange) check(d *differences, a *answer, seen []mock.Request, judged bool) {
	if e.Status != nil && !slices.Contains(e.Status, a.status) {
		d.add("status: got %d, want %v (%s)", a.status, e.Status, short(string(a.body)))
	}
	if e.Text != nil {
		d.equal("text", a.text, *e.Text)
	}
	if e.Reasoning != nil {
		d.equal("reasoning", a.reasoning, *e.Reasoning)
	}
	if e.Finish.is {
		d.equal("finish", a.finish, e.Finish.value)
	}
	if e.Done != nil {
		d.equal("done", a.done, *e.Done)
	}
	if e.ToolCalls != nil && !slices.EqualFunc(*e.ToolCalls, a.calls, callWant.is) {
		d.add("tool calls: got %s, want %s", short(a.calls), short(*e.ToolCalls))
	}
	if e.Error != nil {
		e.Error.check(d, a.err)
	} else if a.err != nil && !judged && !slices.ContainsFunc(e.AnyOf, func(o exchange) bool { return o.Error != nil }) {
		d.add("error: got %s, want none", short(a.err))
	}
	d.headers("header", a.headers, e.Headers)
	d.words("body", string(a.body), e.Contains, e.Lacks, e.Matches)
	if e.Repeatable != nil {
		d.equal("repeatable", a.headers.Get("X-Should-Retry") != "false", *e.Repeatable)
	}
	if e.Usage != nil {
		d.subset("usage", map[string]any(a.usage), e.Usage)
	}
	for _, key := range e.LacksKeys {
		if a.keys[key] {
			d.add("message: got the field %s, want none", key)
		}
	}
	if e.Interim != nil {
		d.equal("statuses before the answer", a.interim, *e.Interim)
	}
	e.checkUpstream(d, seen)
	e.checkAnyOf(d, a, seen)
}

func (e exchange) checkUpstream(d *differences, seen []mock.Request) {
	if e.NoUpstream && len(seen) > 0 {
		d.add("upstream: got %s %s, want no request", seen[0].Method, seen[0].URI)
	}
	if e.Upstream == nil {
		return
	}
	if len(seen) == 0 {
		d.add("upstream: got no request, want one")
	}
	for _, r := range seen {
		e.Upstream.check(d, r)
	}
}

// checkAnyOf wants one of the alternatives to hold.
func (e exchange) checkAnyOf(d *differences, a *answer, seen []mock.Request) {
	var all []string
	for _, alternative := range e.AnyOf {
		var of differences
		if alternative.check(&of, a, seen, e.Error != nil); len(of) == 0 {
			return
		}
		all = append(all, strings.Join(of, "; "))
	}
	if all != nil {
		d.add("%s", strings.Join(all, ", or: "))
	}
}

// is compares a tool call of an answer. Arguments that are wanted as text are
// that text, others the text of an equal value.
func (w callWant) is(got toolCall) bool {
	if w.ID != nil && *w.ID != got.ID || w.Name != got.Name {
		return false
	}
	if s, ok := w.Arguments.(string); ok {
		return s == got.Arguments
	}
	var arguments any
	return json.Unmarshal([]byte(got.Arguments), &arguments) == nil && reflect.DeepEqual(arguments, w.Arguments)
}

func (w errorWant) check(d *differences, got any) {
	e := object(got)
	if e == nil {
		d.add("error: got %s, want one", short(got))
		return
	}
	for _, f := range []struct {
		name    string
		is, not stated[any]
	}{{"type", w.Type, w.TypeNot}, {"code", w.Code, w.CodeNot}, {"param", w.Param, w.ParamNot}} {
		if f.is.is {
			d.equal("error "+f.name, e[f.name], f.is.value)
		}
		if f.not.is && reflect.DeepEqual(e[f.name], f.not.value) {
			d.add("error %s: got %s, want another", f.name, short(e[f.name]))
		}
	}
	d.words("message", text(e["message"]), w.Contains, w.Lacks, w.Matches)
}

// check compares a request that the provider got.
func (w upstreamWant) check(d *differences, r mock.Request) {
	if w.Method != "" {
		d.equal("upstream method", r.Method, w.Method)
	}
	if w.Path != "" {
		d.equal("upstream path", r.URI, w.Path)
	}
	d.headers("upstream header", r.Header, w.Headers)
	d.words("upstream body", r.Body, w.Contains, w.Lacks, w.Matches)
	if w.Subset == nil && w.JSONLacks == nil && w.Calls == nil {
		return
	}
	body, err := readJSON([]byte(r.Body))
	if err != nil {
		d.add("upstream body: %v: %s", err, short(r.Body))
		return
	}
	if w.Subset != nil {
		d.subset("upstream", body, w.Subset)
	}
	for _, path := range w.JSONLacks {
		if v := lookup(body, path); v != nil {
			d.add("upstream %s: got %s, want none", path, short(v))
		}
	}
	if w.Calls != nil {
		got, err := history(object(body))
		if err != nil {
			d.add("upstream calls: %v", err)
		} else if !slices.EqualFunc(*w.Calls, got, historyWant.is) {
			d.add("upstream calls: got %s, want %s", short(got), short(*w.Calls))
		}
	}
}

// subset adds where got lacks something of want. Objects may have more fields;
// lists have as many items.
func (d *differences) subset(at string, got, want any) {
	if w, ok := want.(map[string]any); ok && object(got) != nil {
		for name, field := range w {
			if g, ok := object(got)[name]; ok {
				d.subset(at+"."+name, g, field)
			} else {
				d.add("%s.%s is missing", at, name)
			}
		}
		return
	}
	if w, ok := want.([]any); ok && len(list(got)) == len(w) {
		for i, g := range list(got) {
			d.subset(fmt.Sprintf("%s[%d]", at, i), g, w[i])
		}
		return
	}
	d.equal(at, got, want)
}

// lookup gives what is at a path such as "contents.0.role", or nil.
func lookup(v any, path string) any {
	for _, step := range strings.Split(path, ".") {
		if o := object(v); o != nil {
			v = o[step]
			continue
		}
		i, err := strconv.Atoi(step)
		if err != nil || i < 0 || i >= len(list(v)) {
			return nil
		}
		v = list(v)[i]
	}
	return v
}

// pastCall is a tool call in what a provider gets, with the result it belongs to.
type pastCall struct {
	ID, Name  string
	Arguments map[string]any
	Result    *string
}

func (w historyWant) is(got pastCall) bool {
	return w.Name == got.Name &&
		(w.Arguments == nil || reflect.DeepEqual(w.Arguments, got.Arguments)) &&
		(w.Result == nil || got.Result != nil && *w.Result == *got.Result)
}

// past collects the calls of a history as a provider understands it.
type past struct {
	calls []pastCall
	open  int // the first call that may get a result
}

var errArguments = errors.New("arguments that are no object")

func (p *past) call(id, name string, arguments any) error {
	if s, ok := arguments.(string); ok { // OpenAI's are the text of an object
		if err := json.Unmarshal([]byte(s), &arguments); err != nil {
			return fmt.Errorf("%w: %s", errArguments, short(s))
		}
	}
	if object(arguments) == nil {
		return fmt.Errorf("%w: %s", errArguments, short(arguments))
	}
	p.calls = append(p.calls, pastCall{ID: id, Name: name, Arguments: object(arguments)})
	return nil
}

// result gives a result to its call: that of its id, or else of its name.
func (p *past) result(id, name, text string) error {
	for i := p.open; i < len(p.calls); i++ {
		c := &p.calls[i]
		if c.Result == nil && (id != "" && c.ID == id || id == "" && (name == "" || name == c.Name)) {
			c.Result = &text
			return nil
		}
	}
	return fmt.Errorf("a result without its call: %q %q", id, name)
}

// history gives the tool calls in a request to a provider, each with its result.
// It fails where they don't belong together by the rules of that provider.
func history(body map[string]any) ([]pastCall, error) {
	var p past
	for _, v := range list(body["contents"]) { // Gemini
		if err := p.content(object(v)); err != nil {
			return nil, err
		}
	}
	for _, v := range list(body["messages"]) {
		if err := p.message(object(v)); err != nil {
			return nil, err
		}
	}
	return p.calls, nil
}

// content takes one of Gemini's, whose results answer the turn before them.
func (p *past) content(c map[string]any) error {
	ids := map[string]bool{}
	fresh := len(p.calls)
	for _, v := range list(c["parts"]) {
		f := object(object(v)["functionCall"])
		if f == nil {
			continue
		}
		id := text(f["id"])
		if id != "" && ids[id] {
			return fmt.Errorf("an id that is not unique: %q", id)
		}
		ids[id] = true
		arguments := f["args"]
		if arguments == nil {
			arguments = map[string]any{}
		}
		if err := p.call(id, text(f["name"]), arguments); err != nil {
			return err
		}
		p.open = fresh
	}
	for _, v := range list(c["parts"]) {
		f := object(object(v)["functionResponse"])
		if f == nil {
			continue
		}
		response := object(f["response"])
		said := short(response)
		if len(response) == 1 {
			for _, v := range response {
				said = plain(v)
			}
		}
		if err := p.result(text(f["id"]), text(f["name"]), said); err != nil {
			return err
		}
	}
	return nil
}

var anthropicID = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)

// message takes one of the others, who have messages.
func (p *past) message(m map[string]any) error {
	for _, v := range list(m["content"]) { // Anthropic
		part := object(v)
		switch part["type"] {
		case "tool_use":
			id := text(part["id"])
			if !anthropicID.MatchString(id) || slices.ContainsFunc(p.calls, func(c pastCall) bool { return c.ID == id }) {
				return fmt.Errorf("an id that is not unique or not allowed: %q", id)
			}
			if _, ok := part["input"].(string); ok {
				return fmt.Errorf("%w: %s", errArguments, short(part["input"]))
			}
			if err := p.call(id, text(part["name"]), part["input"]); err != nil {
				return err
			}
		case "tool_result":
			if err := p.result(text(part["tool_use_id"]), "", plain(part["content"])); err != nil {
				return err
			}
		}
	}
	for _, v := range list(m["tool_calls"]) { // Ollama and OpenAI
		c := object(v)
		f := object(c["function"])
		if _, ok := f["arguments"].(string); ok && c["type"] == nil {
			return fmt.Errorf("%w: %s", errArguments, short(f["arguments"]))
		}
		if err := p.call(text(c["id"]), text(f["name"]), f["arguments"]); err != nil {
			return err
		}
	}
	if m["role"] == "tool" {
		return p.result(text(m["tool_call_id"]), text(m["tool_name"]), plain(m["content"]))
	}
	return nil
}

// plain gives the text of a message's content.
func plain(content any) string {
	switch c := content.(type) {
	case nil:
		return ""
	case string:
		return c
	case []any:
		var b strings.Builder
		for _, part := range c {
			if o := object(part); o != nil {
				b.WriteString(plain(o["text"]))
			} else {
				b.WriteString(plain(part))
			}
		}
		return b.String()
	}
	return short(content)
}
