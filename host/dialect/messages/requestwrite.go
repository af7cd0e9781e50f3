package messages

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"github.com/kai-gateway/kai/host/buffer"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
)

// form is what a chat request has beyond what every provider takes, for adapters that know
// it.
type form struct {
	Cache  bool // cache_control
	TopK   bool // top_k
	Native bool // what only Anthropic's API has a place for
}

// parts reports whether each text stays a part of its own.
func (f form) parts() bool { return f.Cache || f.Native }

// translation writes a chat request.
type translation struct {
	source *source
	form   form
	count  bool // it is only to be counted

	out     []byte
	owner   *buffer.Owner // of out, as long as that didn't grow
	content content
	here    at                   // of what is being written
	blocks  [1 + maxNested]block // that are being read, the inner ones behind those they are in
	nested  int                  // how many of the inner ones there are
	pending pending
	origins origins
	found   found

	ids        map[string]struct{} // of the calls in the history
	names      map[string]string   // the full names of the tools that have a short one
	tools      toolset
	attached   []attached // results with something that stands behind them
	left       int        // parts that were left for later
	lastUser   int        // the index of the user's last message; -1: there is none
	lastEffort value      // that the system asked for last
	effort     string     // what became of it; "": nothing
	thoughts   thoughts   // of the message being written
	calls      []byte     // of it, the elements of an array
	strict     int        // bytes of schemas that were looked at
}

// found says what in a request would be different in another form.
type found struct{ cache, topK, native bool }

// unknown is an index that was not looked for.
const unknown = -2

func newTranslation(s *source, size int, f form, count bool, buffers *buffer.Pool) *translation {
	out, owner := buffers.Lend(size + size/8 + 1024)
	return &translation{
		source: s, form: f, count: count, lastUser: unknown,
		out: out, owner: owner, ids: map[string]struct{}{},
		thoughts: thoughts{room: 2*size + minRestored},
	}
}

// write writes all of the request.
func (t *translation) write() error {
	s := t.source
	switch {
	case !s.container.isEmpty():
		return refuse("container", "containers are not available through this gateway: leave it out")
	case !s.mcpServers.isEmpty():
		return refuse("mcp_servers", "MCP servers are not available through this gateway: leave it out, and offer their tools as your own")
	case !t.count && string(s.maxTokens) == "0":
		return refuse("max_tokens", "must be at least 1: only providers that speak this API themselves can fill their cache and answer nothing")
	}
	if err := t.readTools(); err != nil {
		return err
	}
	t.raw(`{"model":`)
	t.out = append(t.out, s.model...)
	t.raw(`,"messages":[`)
	if err := t.system(s.system); err != nil {
		return err
	}
	if err := t.history(s.messages); err != nil {
		return err
	}
	t.raw(`]`)
	if err := t.writeTools(); err != nil {
		return err
	}
	t.think()
	if err := t.format(); err != nil {
		return err
	}
	if err := t.sampling(); err != nil {
		return err
	}
	t.user()
	t.cache(s.cache)
	if s.stream.isTrue() && !t.count {
		t.raw(`,"stream":true,"stream_options":{"include_usage":true}`)
	}
	t.raw(`}`)
	return nil
}

// codeThread is the code of the error for a request with a thread. Anthropic's SDK for
// TypeScript sends one by itself, and goes on without it only after an error whose details
// say this.
const codeThread = "thread_unsupported_request"

// check refuses what nobody can take.
func (s *source) check(counting bool) error {
	n, ok := integer(s.maxTokens)
	switch {
	case s.thread != nil:
		return &fault.Error{
			Kind: fault.Invalid, Param: "thread", Code: codeThread,
			Text: "thread: threads are not available through this gateway: leave it out, and send the whole conversation",
		}
	case s.model == nil:
		return refuse("model", "is required")
	case !s.model.isString():
		return refuse("model", "must be a string")
	case s.messages == nil:
		return refuse("messages", "is required: an array of at least one message")
	case !s.messages.isArray():
		return refuse("messages", "must be an array of messages")
	case counting:
		return nil
	case s.maxTokens == nil:
		return refuse("max_tokens", "is required: how many tokens the answer may have")
	case !ok || n < 0:
		return refuse("max_tokens", "must be an integer of at least 0")
	case s.stream != nil && !s.stream.isBool():
		return refuse("stream", "must be true or false")
	}
	return nil
}

// format writes the schema that the answer must follow.
func (t *translation) format() error {
	name, format := "output_config.format", get(t.source.outputConfig, "format")
	if format == nil {
		name, format = "output_format", t.source.outputFormat
	}
	if format == nil {
		return nil
	}
	schema := get(format, "schema")
	switch {
	case get(format, "type").text() != "json_schema":
		return refuse(name+".type", "must be json_schema")
	case !schema.isObject():
		return refuse(name+".schema", "must be an object, a JSON Schema")
	}
	t.raw(`,"response_format":{"type":"json_schema","json_schema":{"name":"output","schema":`)
	t.out = append(t.out, schema...)
	if t.isStrict(schema) {
		t.raw(`,"strict":true`)
	}
	t.raw(`}}`)
	return nil
}

// sampling writes how long the answer may be, where it ends, and how its tokens are chosen.
func (t *translation) sampling() error {
	s := t.source
	if s.maxTokens != nil && !t.count {
		t.raw(`,"max_completion_tokens":`)
		t.out = append(t.out, s.maxTokens...)
	}
	for _, f := range [...]struct {
		name string
		v    value
	}{{"temperature", s.temperature}, {"top_p", s.topP}} {
		if f.v == nil {
			continue
		}
		if x, ok := sdk.JSON(f.v).Float(); !ok || x < 0 || x > 1 {
			return refuse(f.name, "must be a number from 0 to 1")
		}
		t.raw(`,"` + f.name + `":`)
		t.out = append(t.out, f.v...)
	}
	if s.topK != nil {
		if n, ok := integer(s.topK); !ok || n < 0 {
			return refuse("top_k", "must be an integer of at least 0")
		}
		t.found.topK = true
		if t.form.TopK {
			t.raw(`,"top_k":`)
			t.out = append(t.out, s.topK...)
		}
	}
	return t.stops()
}

// stops writes the texts at which the answer ends. Most providers refuse texts that are
// only white space.
func (t *translation) stops() error {
	v := t.source.stopSequences
	if v == nil {
		return nil
	}
	if !v.isArray() {
		return refuse("stop_sequences", "must be an array of strings")
	}
	sep := `,"stop":[`
	c := cursor{b: v}
	i := 0
	for c.enter(); c.next(); i++ {
		stop := c.value()
		if !stop.isString() {
			return refuse("stop_sequences."+strconv.Itoa(i), "must be a string")
		}
		if len(sdk.TrimSpaceEnd(stop.inside())) > 0 {
			t.raw(sep)
			t.out = append(t.out, stop...)
			sep = `,`
		}
	}
	if sep == `,` {
		t.raw(`]`)
	}
	return nil
}

// user writes who the client says its user is. Claude Code puts ids of the device and the
// session there, so providers other than Anthropic get only a hash, which is also short
// enough for all of them.
func (t *translation) user() {
	id := get(t.source.metadata, "user_id")
	if len(id.inside()) == 0 {
		return
	}
	t.found.native = true
	t.raw(`,"safety_identifier":`)
	if t.form.Native {
		t.out = append(t.out, id...)
		return
	}
	sum := sha256.Sum256(id.word())
	t.raw(`"` + hex.EncodeToString(sum[:]) + `"`)
}

func integer(v value) (int64, bool) { return sdk.JSON(v).Int() }
