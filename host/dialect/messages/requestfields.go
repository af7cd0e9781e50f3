package messages

import (
	"bytes"

	"github.com/kai-gateway/kai/host/body"
)

// source is what is read of a client's request. Everything else means nothing to a chat
// completion, or doesn't concern the gateway, and goes nowhere.
type source struct {
	model, messages, maxTokens, system, stream   value
	temperature, topP, topK, stopSequences       value
	tools, toolChoice, thinking, metadata, cache value
	outputConfig, outputFormat                   value
	container, mcpServers, thread                value
}

// field is a field of a request and where it is kept.
type field struct {
	name string
	of   func(*source) *value
}

// fields are all fields that are read. The number of each is that of its place.
var fields = [...]field{
	{"model", func(s *source) *value { return &s.model }},
	{"messages", func(s *source) *value { return &s.messages }},
	{"max_tokens", func(s *source) *value { return &s.maxTokens }},
	{"system", func(s *source) *value { return &s.system }},
	{"stream", func(s *source) *value { return &s.stream }},
	{"temperature", func(s *source) *value { return &s.temperature }},
	{"top_p", func(s *source) *value { return &s.topP }},
	{"top_k", func(s *source) *value { return &s.topK }},
	{"stop_sequences", func(s *source) *value { return &s.stopSequences }},
	{"tools", func(s *source) *value { return &s.tools }},
	{"tool_choice", func(s *source) *value { return &s.toolChoice }},
	{"thinking", func(s *source) *value { return &s.thinking }},
	{"metadata", func(s *source) *value { return &s.metadata }},
	{"cache_control", func(s *source) *value { return &s.cache }},
	{"output_config", func(s *source) *value { return &s.outputConfig }},
	{"output_format", func(s *source) *value { return &s.outputFormat }},
	{"container", func(s *source) *value { return &s.container }},
	{"mcp_servers", func(s *source) *value { return &s.mcpServers }},
	{"thread", func(s *source) *value { return &s.thread }},
}

// grammar is the form of a request. The scan needs to know only the top level.
var grammar = func() body.Grammar {
	g := body.Grammar{Needs: "messages", Known: known(), Places: make([]body.Node, body.First)}
	for i, f := range fields {
		g.Places[body.Top].Fields = append(g.Places[body.Top].Fields, body.Field{Name: f.name, Place: body.First + body.Place(i)})
	}
	return g.Indexed()
}()

// known returns the names of the fields that are read.
func known() (names []string) {
	for i := range fields {
		names = append(names, fields[i].name)
	}
	return names
}

// Begin does nothing: Value is told of a field of the top level when it ends.
func (s *source) Begin(body.Place, int) {}

// End does nothing, either.
func (s *source) End(body.Place, int) {}

// Value keeps a field, unless it is null.
func (s *source) Value(at body.Place, b []byte, span body.Span, _ int) (long body.Span) {
	if v := value(span.Of(b)); v[0] != 'n' {
		*fields[at-body.First].of(s) = v
	}
	return body.Span{}
}

// read checks that b is JSON that every reader understands in the same way, and keeps its
// fields.
func (s *source) read(b []byte) error {
	return new(body.Doc).Scan(bytes.TrimPrefix(b, []byte("\ufeff")), &grammar, s)
}
