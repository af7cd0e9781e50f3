package ollama

import (
	"strconv"

	"github.com/kai-gateway/kai/plugins/internal/repair"
	"github.com/kai-gateway/kai/sdk"
)

// history writes the messages of a conversation in Ollama's form.
type history struct {
	w     *sdk.Writer
	index int                 // of the message being written
	names map[string]sdk.JSON // the function of each call so far, by the call's id
	text  []byte              // the text of the message being written
}

// at returns the place of something in the message being written: at(".name").
func (h *history) at(inside string) string {
	return "messages[" + strconv.Itoa(h.index) + "]" + inside
}

// part returns the place of something in part i of the message being written.
func (h *history) part(i int, inside string) string {
	return h.at(".content[" + strconv.Itoa(i) + "]" + inside)
}

func writeMessages(w *sdk.Writer, messages sdk.JSON) error {
	h := history{w: w}
	w.Key("messages").Array()
	for m := range sdk.Messages(messages) {
		if err := h.message(m); err != nil {
			return err
		}
		h.index++
	}
	w.End()
	return nil
}

func (h *history) message(m sdk.Message) error {
	h.w.Object()
	switch m.Role {
	case "developer": // Ollama passes an unknown role to the template, which ignores it
		h.w.Key("role").String("system")
	case "function":
		h.w.Key("role").String("tool")
	default:
		h.w.Key("role").String(m.Role)
	}
	if err := h.content(m); err != nil {
		return err
	}
	switch m.Role {
	case "assistant":
		if m.Reasoning.Kind() == sdk.KindString {
			h.w.Key("thinking").Raw(m.Reasoning)
		}
		if err := h.calls(m); err != nil {
			return err
		}
	case "tool", "function":
		h.result(m)
	}
	h.w.End()
	return nil
}

// content writes a message's text and images. Ollama takes one string, and a list of images
// beside it. The parts of a model's or a tool's message are joined as they are. In other
// messages each part is a line.
func (h *history) content(m sdk.Message) error {
	content, lines := m.Content, true
	switch m.Role {
	case "assistant":
		content, lines = repair.Said(m), false
	case "tool", "function":
		lines = false
	}
	switch content.Kind() {
	case sdk.KindString:
		h.w.Key("content").Raw(content)
		return nil
	case sdk.KindArray:
	default:
		h.w.Key("content").String("")
		return nil
	}
	h.text = h.text[:0]
	images, i := 0, 0
	for p := range sdk.Parts(content) {
		switch p.Type {
		case "text", "refusal":
			inside, ok := p.Text.RawStr()
			if !ok {
				return refuse(h.part(i, "."+p.Type), "The "+p.Type+" of a part must be a string.")
			}
			if lines && len(h.text) > 0 && len(inside) > 0 {
				h.text = append(h.text, `\n`...)
			}
			h.text = append(h.text, inside...)
		case "image_url":
			if _, wrong := image(p); wrong != "" {
				return refuse(h.part(i, ".image_url"), wrong)
			}
			images++
		case "input_audio":
			return refuse(h.part(i, ".input_audio"), "Ollama's chat API takes no audio: send text and images.")
		case "file":
			return refuse(h.part(i, ".file"), "Ollama takes no files: send their text, or pictures of their pages.")
		default:
			return refuse(h.part(i, ".type"), "Ollama takes parts of type text and image_url, not "+strconv.Quote(p.Type)+".")
		}
		i++
	}
	h.w.Key("content").RawString(h.text)
	if images == 0 {
		return nil
	}
	h.w.Key("images").Array()
	for p := range sdk.Parts(content) {
		if p.Type == "image_url" {
			base64, _ := image(p)
			h.w.RawString(base64)
		}
	}
	h.w.End()
	return nil
}

// image returns the base64 of an image, as the inside of a JSON string, or the gateway's
// reference to it. If it can't, it says what is wrong.
func image(p sdk.Part) (base64 []byte, wrong string) {
	url, ok := p.URL.RawStr()
	if !ok {
		return nil, "image_url must be an object with a url, a string."
	}
	mediaType, base64, ok := sdk.SplitDataURL(url)
	if !ok {
		return nil, "Ollama does not fetch images: send the image itself as a data: URL " +
			"(data:image/png;base64,...), not a link to it."
	}
	switch mediaType {
	case "image/png", "image/jpeg", "image/jpg", "image/webp", "":
		return base64, ""
	}
	return nil, "Ollama takes images of type image/png, image/jpeg and image/webp, not " + strconv.Quote(mediaType) + "."
}

// calls writes an assistant's tool calls and remembers their names.
func (h *history) calls(m sdk.Message) error {
	legacy := m.Raw.Get("function_call")
	if m.ToolCalls == nil && legacy.Kind() != sdk.KindObject {
		return nil
	}
	h.w.Key("tool_calls").Array()
	i := 0
	for c := range sdk.ToolCalls(m.ToolCalls) {
		if field, wrong := h.call(c); wrong != "" {
			return refuse(h.at(".tool_calls["+strconv.Itoa(i)+"].function"+field), wrong)
		}
		i++
	}
	if i == 0 && legacy.Kind() == sdk.KindObject {
		c := sdk.ToolCall{Name: legacy.Get("name"), Arguments: legacy.Get("arguments")}
		if field, wrong := h.call(c); wrong != "" {
			return refuse(h.at(".function_call"+field), wrong)
		}
	}
	h.w.End()
	return nil
}

// call writes one call. If it can't, it says which field is wrong, and why.
func (h *history) call(c sdk.ToolCall) (field, wrong string) {
	if c.Name.Kind() != sdk.KindString {
		return ".name", "Ollama knows only calls of functions, and each needs the function's name."
	}
	h.w.Object()
	if id, ok := c.ID.Str(); ok {
		h.w.Key("id").Raw(c.ID)
		if h.names == nil {
			h.names = make(map[string]sdk.JSON)
		}
		h.names[id] = c.Name // if an id is used twice, it means the last call
	}
	h.w.Key("function").Object()
	h.w.Key("name").Raw(c.Name)
	h.w.Key("arguments").Raw(repair.Arguments(c))
	h.w.End()
	h.w.End()
	return "", ""
}

// result writes the function that a tool's result belongs to. Templates show the model the
// function's name, and OpenAI's clients send that only with the call.
func (h *history) result(m sdk.Message) {
	name := m.Name
	if id, ok := m.ToolCallID.Str(); ok {
		if called, ok := h.names[id]; ok {
			name = called
		}
		h.w.Key("tool_call_id").Raw(m.ToolCallID)
	}
	if name.Kind() == sdk.KindString {
		h.w.Key("tool_name").Raw(name)
	}
}
