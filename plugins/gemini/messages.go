package gemini

import (
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/plugins/internal/repair"
	"github.com/kai-gateway/kai/sdk"
)

// history writes the messages of a conversation as Gemini's contents. A content is the
// user's or the model's. The results of functions are the user's.
type history struct {
	w     *sdk.Writer
	model string
	index int                 // of the message being written
	open  string              // whose content is open: "user", "model", "tool" or ""
	count int                 // how many contents there are so far
	names map[string]sdk.JSON // the function of each call so far, by the call's id
	text  []byte
}

// at returns the place of something in the message being written: at(".name").
func (h *history) at(inside string) string {
	return "messages[" + strconv.Itoa(h.index) + "]" + inside
}

// part returns the place of part i of the message being written.
func (h *history) part(i int, inside string) string {
	return h.at(".content[" + strconv.Itoa(i) + "]" + inside)
}

func writeMessages(w *sdk.Writer, q *query) error {
	h := history{w: w, model: q.model}
	alone := true
	for m := range sdk.Messages(q.Messages) {
		alone = alone && (isInstruction(m.Role) || isSilent(m))
	}
	if !alone {
		if err := h.instructions(q.Messages, func() {
			w.Key("systemInstruction").Object()
			w.Key("parts").Array()
		}); err != nil {
			return err
		}
	}
	w.Key("contents").Array()
	h.index = 0
	if alone { // OpenAI answers to instructions alone, Gemini does not
		if err := h.instructions(q.Messages, func() {
			h.count++
			w.Object()
			w.Key("role").String("user")
			w.Key("parts").Array()
		}); err != nil {
			return err
		}
		h.index = 0
	}
	for m := range sdk.Messages(q.Messages) {
		if err := h.message(m); err != nil {
			return err
		}
		h.index++
	}
	h.close()
	w.End()
	if h.count == 0 {
		return refuse("messages", "Gemini needs a message that says something: all of these are empty.")
	}
	return nil
}

// isSilent reports whether a message has nothing for Gemini, which refuses empty texts.
func isSilent(m sdk.Message) bool {
	if m.Role == "tool" || m.Role == "function" || m.Raw.Get("function_call").Kind() == sdk.KindObject {
		return false
	}
	for range sdk.ToolCalls(m.ToolCalls) {
		return false
	}
	content := m.Content
	if m.Role == "assistant" {
		content = repair.Said(m)
	}
	for p := range sdk.Parts(content) {
		if inside, ok := p.Text.RawStr(); !isText(p) || !ok || !repair.Blank(inside) {
			return false
		}
	}
	return true
}

func isText(p sdk.Part) bool { return p.Type == "text" || p.Type == "refusal" }

// instructions writes the texts of all system messages, wherever in the conversation they
// are, because Gemini has one system instruction. It calls begin before the first.
func (h *history) instructions(messages sdk.JSON, begin func()) error {
	open := false
	for m := range sdk.Messages(messages) {
		if isInstruction(m.Role) {
			i := 0
			for p := range sdk.Parts(m.Content) {
				inside, ok := p.Text.RawStr()
				if !isText(p) || !ok {
					return refuse(h.part(i, ".type"), "Messages of role "+m.Role+" must be text.")
				}
				if len(inside) > 0 {
					if !open {
						open = true
						begin()
					}
					h.textPart(p.Text, nil)
				}
				i++
			}
		}
		h.index++
	}
	if open {
		h.w.End()
		h.w.End()
	}
	return nil
}

func isInstruction(role string) bool { return role == "system" || role == "developer" }

// content begins a content of one side, unless it is open already. Messages of one side in a
// row become one content, because Gemini wants the results of all calls together.
func (h *history) content(of string) {
	if h.open == of {
		return
	}
	h.close()
	h.open = of
	h.count++
	role := of
	if of == "tool" {
		role = "user"
	}
	h.w.Object()
	h.w.Key("role").String(role)
	h.w.Key("parts").Array()
}

func (h *history) close() {
	if h.open != "" {
		h.w.End()
		h.w.End()
		h.open = ""
	}
}

func (h *history) message(m sdk.Message) error {
	switch m.Role {
	case "system", "developer":
		return nil
	case "assistant":
		return h.assistant(m)
	case "tool", "function":
		return h.result(m)
	}
	if isSilent(m) {
		return nil
	}
	h.content("user")
	return h.parts(m.Content, nil)
}

// textPart writes a part of text, with a thought signature if there is one.
func (h *history) textPart(text, signature sdk.JSON) {
	h.w.Object()
	h.w.Key("text").Raw(text)
	h.sign(signature)
	h.w.End()
}

func (h *history) sign(signature sdk.JSON) {
	if signature.Kind() == sdk.KindString {
		h.w.Key("thoughtSignature").Raw(signature)
	}
}

// parts writes the parts of a message's content. The last one gets the signature. It leaves
// out empty texts, which Gemini refuses.
func (h *history) parts(content, signature sdk.JSON) error {
	last, i := 0, 0
	for p := range sdk.Parts(content) {
		if !isEmpty(p) {
			last = i
		}
		i++
	}
	i = 0
	for p := range sdk.Parts(content) {
		if isEmpty(p) {
			i++
			continue
		}
		var signed sdk.JSON
		if i == last {
			signed = signature
		}
		switch p.Type {
		case "text", "refusal":
			if _, ok := p.Text.RawStr(); !ok {
				return refuse(h.part(i, "."+p.Type), "The "+p.Type+" of a part must be a string.")
			}
			h.textPart(p.Text, signed)
		case "image_url", "input_audio", "file":
			if wrong := h.media(p); wrong != "" {
				return refuse(h.part(i, "."+p.Type), wrong)
			}
		default:
			return refuse(h.part(i, ".type"), "Gemini takes parts of type text, image_url, input_audio and file, not "+strconv.Quote(p.Type)+".")
		}
		i++
	}
	return nil
}

// isEmpty reports whether a part is an empty text.
func isEmpty(p sdk.Part) bool {
	inside, ok := p.Text.RawStr()
	return isText(p) && ok && len(inside) == 0
}

// media writes an image, a sound or a document, which is given as data or as a link that
// Google follows. If it can't, it says what is wrong.
// https://ai.google.dev/gemini-api/docs/file-input-methods
func (h *history) media(p sdk.Part) (wrong string) {
	source := p.URL
	if p.Type != "image_url" {
		source = p.Data
	}
	inside, ok := source.RawStr()
	if !ok {
		return "Data or a link is missing: Gemini knows nothing of files that were uploaded elsewhere."
	}
	if p.Type == "input_audio" {
		format, _ := p.Raw.Get("input_audio").Get("format").Str()
		if format == "" {
			return "The format of the audio is missing."
		}
		h.inline("audio/"+format, inside)
		return ""
	}
	if mediaType, base64, ok := sdk.SplitDataURL(inside); ok {
		if mediaType == "" {
			return "The data: URL must name its media type, such as image/png."
		}
		h.inline(mediaType, base64)
		return ""
	}
	if url, _ := source.Str(); !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "gs://") {
		return "It must be a data: URL of base64 (data:image/png;base64,...) or a link that begins with https://."
	}
	h.w.Object()
	h.w.Key("fileData").Object()
	h.w.Key("fileUri").RawString(inside)
	h.w.End()
	h.w.End()
	return ""
}

func (h *history) inline(mediaType string, base64 []byte) {
	h.w.Object()
	h.w.Key("inlineData").Object()
	h.w.Key("mimeType").String(mediaType)
	h.w.Key("data").RawString(base64)
	h.w.End()
	h.w.End()
}

// assistant writes the model's text and calls. Of its thoughts, only the signature is sent
// back.
func (h *history) assistant(m sdk.Message) error {
	legacy := m.Raw.Get("function_call")
	ofText, ofCall := signatureOf(m.Raw), sdk.JSON(nil)
	if ofText != nil && lacksSignature(m.ToolCalls, legacy) {
		ofText, ofCall = nil, ofText
	}
	if said := repair.Said(m); !isSilent(sdk.Message{Content: said}) {
		h.content("model")
		if err := h.parts(said, ofText); err != nil {
			return err
		}
	}
	i := 0
	for c := range sdk.ToolCalls(m.ToolCalls) {
		h.content("model")
		signed := signatureOf(c.Raw)
		if signed == nil && i == 0 {
			signed = ofCall
		}
		if field, wrong := h.call(c, signed, i); wrong != "" {
			return refuse(h.at(".tool_calls["+strconv.Itoa(i)+"].function"+field), wrong)
		}
		i++
	}
	if i == 0 && legacy.Kind() == sdk.KindObject {
		h.content("model")
		c := sdk.ToolCall{Name: legacy.Get("name"), Arguments: legacy.Get("arguments")}
		if field, wrong := h.call(c, ofCall, 0); wrong != "" {
			return refuse(h.at(".function_call"+field), wrong)
		}
	}
	return nil
}

// lacksSignature reports whether a message has calls and none of them has a signature. Then
// the client may have kept their signature with the message.
func lacksSignature(calls, legacy sdk.JSON) bool {
	called := legacy.Kind() == sdk.KindObject
	for c := range sdk.ToolCalls(calls) {
		if signatureOf(c.Raw) != nil {
			return false
		}
		called = true
	}
	return called
}

// signatureOf reads the signature of an encrypted thought from the place where Google's
// OpenAI layer has it: in the tool call for a call, and in the message for text.
// https://ai.google.dev/gemini-api/docs/thought-signatures
func signatureOf(object sdk.JSON) sdk.JSON {
	signature := object.Get("extra_content").Get("google").Get("thought_signature")
	if inside, _ := signature.RawStr(); len(inside) > 0 {
		return signature
	}
	return nil
}

// unsigned is what Google documents as the signature of a call whose own is not known, such
// as a call of another model. Generation 3 refuses a step without any signature.
const unsigned = `"skip_thought_signature_validator"`

// call writes call number n of a message. If it can't, it says which field is wrong, and why.
func (h *history) call(c sdk.ToolCall, signature sdk.JSON, n int) (field, wrong string) {
	if c.Name.Kind() != sdk.KindString {
		return ".name", "Gemini knows only calls of functions, and each needs the function's name."
	}
	if signature == nil && n == 0 && isNew(h.model) {
		signature = sdk.JSON(unsigned)
	}
	h.w.Object()
	h.w.Key("functionCall").Object()
	if id, ok := c.ID.Str(); ok {
		if h.names == nil {
			h.names = make(map[string]sdk.JSON)
		}
		h.names[id] = c.Name // if an id is used twice, it means the last call
		h.w.Key("id").Raw(c.ID)
	}
	h.w.Key("name").Raw(c.Name)
	h.w.Key("args").Raw(repair.Arguments(c))
	h.w.End()
	h.sign(signature)
	h.w.End()
	return "", ""
}

// result writes what a function returned. Gemini wants an object. The text can't be looked
// into, because it may be a reference to content that the gateway keeps. So it becomes the
// field output of an object, which is Google's convention.
// https://ai.google.dev/api/caching#FunctionResponse
func (h *history) result(m sdk.Message) error {
	name := m.Name
	if id, ok := m.ToolCallID.Str(); ok {
		if called, ok := h.names[id]; ok {
			name = called
		}
	}
	if name.Kind() != sdk.KindString {
		return refuse(h.at(".tool_call_id"), "No tool call before this message has that id, so its function is not known.")
	}
	h.text = h.text[:0]
	i := 0
	for p := range sdk.Parts(m.Content) {
		inside, ok := p.Text.RawStr()
		if p.Type != "text" || !ok {
			return refuse(h.part(i, ".type"), "Results of tools must be text.")
		}
		h.text = append(h.text, inside...)
		i++
	}
	h.content("tool")
	h.w.Object()
	h.w.Key("functionResponse").Object()
	if m.ToolCallID.Kind() == sdk.KindString {
		h.w.Key("id").Raw(m.ToolCallID)
	}
	h.w.Key("name").Raw(name)
	h.w.Key("response").Object()
	h.w.Key("output").RawString(h.text)
	h.w.End()
	h.w.End()
	h.w.End()
	return nil
}
