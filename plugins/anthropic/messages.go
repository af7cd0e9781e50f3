package anthropic

import (
	"bytes"
	"strconv"

	"github.com/kai-gateway/kai/plugins/internal/repair"
	"github.com/kai-gateway/kai/sdk"
)

// conversation writes messages in Anthropic's form: turns of user and assistant that
// alternate, each with a list of blocks, and the system's blocks beside them.
type conversation struct {
	w        *sdk.Writer
	system   sdk.Writer // the system's blocks, an array
	directed bool       // the system has blocks
	index    int        // of the client's message being written
	role     string     // of the turn that is open; "" before the first
	signed   bool       // no thinking is missing that Anthropic would demand, see writeMessages
	held     *heldText  // the assistant's text that was not written yet; nil: there is none
	ids      callIDs
	function string // the id made for the last function_call, which has none; "" after its result
}

// heldText is a block of text. It is written when it is known whether something follows it.
type heldText struct{ text, cache sdk.JSON }

// anyJSON is the instruction that replaces the JSON mode that Anthropic doesn't have.
const anyJSON = "Answer with one JSON object and nothing else: no other text, no code fence."

// writeMessages writes "messages" and "system". It reports whether the request may have a
// budget for thinking. If the last turns are an assistant's message and the results of its
// tool calls, Anthropic demands the thinking of that message for a budget.
func writeMessages(w *sdk.Writer, q *query) (signed bool, err error) {
	c := conversation{w: w, signed: true}
	c.system.Array()
	w.Key("messages").Array()
	for m := range sdk.Messages(q.Messages) {
		if err := c.message(m); err != nil {
			return false, err
		}
		c.index++
	}
	if c.role != "" {
		c.prefill()
		w.End()
		w.End()
	}
	instructed := c.directed // the client has system messages
	if wantsAnyJSON(q.ResponseFormat) {
		writeText(&c.system, sdk.JSON(sdk.AppendQuote(nil, anyJSON)), nil)
		c.directed = true
	}
	c.system.End()
	switch {
	case c.role == "" && !instructed:
		return false, refuse("messages", "Anthropic needs a message that says something: all of these are blank.")
	case c.role == "": // OpenAI answers to a system's message alone, Anthropic does not
		w.Object()
		w.Key("role").String("user")
		w.Key("content").Raw(c.system.Bytes())
		w.End()
		c.directed = false
	}
	w.End()
	if c.directed {
		w.Key("system").Raw(c.system.Bytes())
	}
	return c.signed, nil
}

// prefill writes the text at the end of the last turn, if that is the assistant's. The
// answer continues that text. Anthropic refuses white space at its end.
func (c *conversation) prefill() {
	if c.held != nil {
		inside, _ := c.held.text.RawStr()
		text := append(append([]byte{'"'}, sdk.TrimSpaceEnd(inside)...), '"')
		writeText(c.w, text, c.held.cache)
		c.held = nil
	}
}

// at returns the place of something in the message being written: at(".name").
func (c *conversation) at(inside string) string {
	return "messages[" + strconv.Itoa(c.index) + "]" + inside
}

// turn begins a turn of a role, unless it is open already. It is called before each block.
func (c *conversation) turn(role string) {
	if c.held != nil {
		writeText(c.w, c.held.text, c.held.cache)
		c.held = nil
	}
	if c.role == role {
		return
	}
	if c.role != "" {
		c.w.End()
		c.w.End()
	}
	c.role = role
	c.w.Object()
	c.w.Key("role").String(role)
	c.w.Key("content").Array()
}

func (c *conversation) message(m sdk.Message) error {
	switch m.Role {
	case "system", "developer":
		// It may be anywhere: https://platform.claude.com/docs/en/api/openai-sdk
		return c.texts(m.Content, func(text, cache sdk.JSON) {
			c.directed = true
			writeText(&c.system, text, cache)
		})
	case "assistant":
		c.signed = c.thinking(m)
		if err := c.texts(repair.Said(m), func(text, cache sdk.JSON) {
			c.turn("assistant")
			c.held = &heldText{text, cache}
		}); err != nil {
			return err
		}
		return c.calls(m)
	case "tool":
		id, _ := m.ToolCallID.Str()
		return c.result(m, c.ids.of(id))
	case "function":
		if c.function == "" {
			return refuse(c.at(".role"), "A message of role function needs the assistant's function_call before it.")
		}
		id := c.function
		c.function = ""
		return c.result(m, id)
	}
	c.signed = true
	return c.blocks(m.Content, func() { c.turn("user") })
}

// part returns the place of something in part i of the message being written.
func (c *conversation) part(i int, inside string) string {
	return c.at(".content[" + strconv.Itoa(i) + "]" + inside)
}

// texts passes the texts of a message's content to write, with their cache_control. It
// leaves out blank texts, and refuses anything that is not text.
func (c *conversation) texts(content sdk.JSON, write func(text, cache sdk.JSON)) error {
	i := 0
	for p := range sdk.Parts(content) {
		if !isText(p) {
			return refuse(c.part(i, ".type"), "Anthropic takes nothing but text from a system or an assistant, not "+strconv.Quote(p.Type)+".")
		}
		inside, ok := p.Text.RawStr()
		if !ok {
			return refuse(c.part(i, "."+p.Type), "The "+p.Type+" of a part must be a string.")
		}
		if !repair.Blank(inside) {
			write(p.Text, p.Raw.Get("cache_control"))
		}
		i++
	}
	return nil
}

func isText(p sdk.Part) bool { return p.Type == "text" || p.Type == "refusal" }

// blocks writes a message's content. It calls begin before each block. It leaves out blank
// texts, which Anthropic refuses.
func (c *conversation) blocks(content sdk.JSON, begin func()) error {
	i := 0
	for p := range sdk.Parts(content) {
		at := func(inside string) string { return c.part(i, inside) }
		switch {
		case isText(p):
			inside, ok := p.Text.RawStr()
			if !ok {
				return refuse(at("."+p.Type), "The "+p.Type+" of a part must be a string.")
			}
			if !repair.Blank(inside) {
				begin()
				writeText(c.w, p.Text, p.Raw.Get("cache_control"))
			}
		case p.Type == "image_url":
			a, wrong := attach(p.URL)
			if wrong != "" {
				return refuse(at(".image_url"), wrong)
			}
			begin()
			a.write(c.w, nil, p.Raw.Get("cache_control"))
		case p.Type == "file":
			a, wrong := attach(p.Data)
			if wrong != "" {
				return refuse(at(".file"), wrong)
			}
			if a.base64 == nil {
				a.kind = "document"
			}
			begin()
			a.write(c.w, p.Raw.Get("file").Get("filename"), p.Raw.Get("cache_control"))
		case p.Type == "input_audio":
			return refuse(at(".input_audio"), "Anthropic takes no audio: send text, images and PDF documents.")
		default:
			return refuse(at(".type"), "Anthropic takes parts of type text, image_url and file, not "+strconv.Quote(p.Type)+".")
		}
		i++
	}
	return nil
}

// writeText writes a block of text; text is a string.
func writeText(w *sdk.Writer, text, cache sdk.JSON) {
	w.Object()
	w.Key("type").String("text")
	w.Key("text").Raw(text)
	writeCache(w, cache)
	w.End()
}

// attachment is an image or a document.
type attachment struct {
	kind      string // "image" or "document"
	mediaType string
	base64    []byte // inside of a JSON string, perhaps the gateway's reference; nil if there is a link
	link      []byte // inside of a JSON string
}

// attach reads a string that is a data: URL or a link. If it can't, it says what is wrong.
func attach(v sdk.JSON) (a attachment, wrong string) {
	inside, ok := v.RawStr()
	if !ok {
		return a, "An image needs a url and a file its file_data, a string: Anthropic doesn't know files that were uploaded to OpenAI."
	}
	a.mediaType, a.base64, ok = sdk.SplitDataURL(inside)
	if !ok {
		if !isLink(inside) {
			return a, "Send the image or file itself as a data: URL (data:image/png;base64,...), or an https link to it."
		}
		a.kind, a.link = "image", inside
		return a, ""
	}
	switch a.mediaType {
	case "image/jpg":
		a.mediaType = "image/jpeg"
		fallthrough
	case "image/jpeg", "image/png", "image/gif", "image/webp":
		a.kind = "image"
	case "application/pdf":
		a.kind = "document"
	default:
		return a, "Anthropic takes image/jpeg, image/png, image/gif, image/webp and application/pdf, not " + strconv.Quote(a.mediaType) + "."
	}
	return a, ""
}

// isLink reports whether the inside of a JSON string is a link that Anthropic
// may follow.
func isLink(inside []byte) bool {
	for _, scheme := range [...]string{"https://", "http://", `https:\/\/`, `http:\/\/`} {
		if bytes.HasPrefix(inside, []byte(scheme)) {
			return true
		}
	}
	return false
}

func (a *attachment) write(w *sdk.Writer, title, cache sdk.JSON) {
	w.Object()
	w.Key("type").String(a.kind)
	w.Key("source").Object()
	if a.link != nil {
		w.Key("type").String("url")
		w.Key("url").RawString(a.link)
	} else {
		w.Key("type").String("base64")
		w.Key("media_type").String(a.mediaType)
		w.Key("data").RawString(a.base64)
	}
	w.End()
	if inside, ok := title.RawStr(); ok && a.kind == "document" && !repair.Blank(inside) {
		w.Key("title").Raw(title)
	}
	writeCache(w, cache)
	w.End()
}

// calls writes an assistant's tool calls.
func (c *conversation) calls(m sdk.Message) error {
	i := 0
	for call := range sdk.ToolCalls(m.ToolCalls) {
		at := c.at(".tool_calls[" + strconv.Itoa(i) + "]")
		id, ok := call.ID.Str()
		if !ok {
			return refuse(at+".id", "A tool call needs an id, a string.")
		}
		if call.Name.Kind() != sdk.KindString {
			return refuse(at+".function.name", "Anthropic knows only calls of functions, and each needs the function's name.")
		}
		c.call(call, c.ids.of(id))
		i++
	}
	if old := m.Raw.Get("function_call"); i == 0 && old.Kind() == sdk.KindObject {
		call := sdk.ToolCall{Name: old.Get("name"), Arguments: old.Get("arguments")}
		if call.Name.Kind() != sdk.KindString {
			return refuse(c.at(".function_call.name"), "A call of a function needs the function's name.")
		}
		c.function = c.ids.of("function_call " + strconv.Itoa(c.index))
		c.call(call, c.function)
	}
	return nil
}

func (c *conversation) call(call sdk.ToolCall, id string) {
	c.turn("assistant")
	c.w.Object()
	c.w.Key("type").String("tool_use")
	c.w.Key("id").String(id)
	c.w.Key("name").Raw(call.Name)
	c.w.Key("input").Raw(repair.Arguments(call))
	writeCache(c.w, call.Raw.Get("cache_control"))
	c.w.End()
}

// callIDs are the ids that Anthropic gets.
type callIDs struct {
	given map[string]string // by the client's
	taken map[string]bool
}

// of returns a call's id with only the characters that Anthropic allows. Ids of other
// providers, such as functions.weather:0, have others. Different ids stay different.
func (ids *callIDs) of(id string) string {
	if known, ok := ids.given[id]; ok {
		return known
	}
	if ids.given == nil {
		ids.given, ids.taken = map[string]string{}, map[string]bool{}
	}
	b := []byte(id)
	for i, c := range b {
		if c != '_' && c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			b[i] = '_'
		}
	}
	if len(b) == 0 {
		b = []byte("call")
	}
	allowed := string(b)
	for n := 2; ids.taken[allowed]; n++ {
		allowed = string(b) + "_" + strconv.Itoa(n)
	}
	ids.given[id], ids.taken[allowed] = allowed, true
	return allowed
}

// result writes the result of a tool call. The results of calls that were made together must
// be in one turn, before anything else.
func (c *conversation) result(m sdk.Message, id string) error {
	c.turn("user")
	c.w.Object()
	c.w.Key("type").String("tool_result")
	c.w.Key("tool_use_id").String(id)
	switch inside, ok := m.Content.RawStr(); {
	case ok && !repair.Blank(inside):
		c.w.Key("content").Raw(m.Content)
	case m.Content.Kind() == sdk.KindArray:
		open := false
		if err := c.blocks(m.Content, func() {
			if !open {
				c.w.Key("content").Array()
				open = true
			}
		}); err != nil {
			return err
		}
		if open {
			c.w.End()
		}
	}
	// OpenAI has neither: they are Anthropic's own, for clients that know it.
	if failed, _ := m.Raw.Get("is_error").Bool(); failed {
		c.w.Key("is_error").Bool(true)
	}
	writeCache(c.w, m.Raw.Get("cache_control"))
	c.w.End()
	return nil
}
