package gemini

import (
	"github.com/kai-gateway/kai/plugins/internal/errortext"
	"github.com/kai-gateway/kai/plugins/internal/tokencount"
	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Response handles a whole answer.
func (adapter) Response(r *sdk.Response, s *state, out *sdk.Out) error {
	if r.Status < 200 || r.Status > 299 {
		if r.Op == abi.Embeddings {
			return errortext.InEmbeddings(failure(r.Status, r.Head, r.Body))
		}
		return s.explain(failure(r.Status, r.Head, r.Body))
	}
	if r.Op == abi.Embeddings {
		return embedded(r, out)
	}
	if r.Op == abi.Count {
		if sdk.JSON(r.Body).Valid() != nil || !tokencount.State(sdk.JSON(r.Body).Get("totalTokens"), out) {
			return malformed()
		}
		return nil
	}
	if sdk.JSON(r.Body).Kind() == sdk.KindArray {
		return takeAll(r.Body, s, out)
	}
	return take(r.Body, s, true, out)
}

// Event handles one event of a stream. Each event is a whole answer with what is new in it.
// The only sign of a stream's end is the finish reason of each candidate.
func (adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error {
	if e.End || e.Done {
		return nil
	}
	if string(e.Name) == "error" {
		return s.explain(failure(0, nil, e.Data)) // something in front of the API sent it
	}
	return take(e.Data, s, false, out)
}

// takeAll handles a stream that came as one array. Gemini sends that if nobody asks for
// events, or if something on the way removes alt=sse from the URL.
func takeAll(list sdk.JSON, s *state, out *sdk.Out) error {
	it := sdk.Array(list)
	for it.Next() {
		if err := take(it.Value(), s, false, out); err != nil {
			return err
		}
	}
	if it.Err() != nil {
		return malformed()
	}
	return nil
}

// take states the content of an answer, or of a part of one.
// https://ai.google.dev/api/generate-content#GenerateContentResponse
func take(data sdk.JSON, s *state, whole bool, out *sdk.Out) error {
	if data.Kind() != sdk.KindObject {
		return malformed()
	}
	var candidates, usage, feedback, wrong sdk.JSON
	it := sdk.Object(data)
	for it.Next() {
		switch string(it.Key()) {
		case "candidates":
			candidates = it.Value()
		case "usageMetadata":
			usage = it.Value()
		case "promptFeedback":
			feedback = it.Value()
		case "error":
			wrong = it.Value()
		}
	}
	if it.Err() != nil {
		return malformed()
	}
	emitUsage(usage, out)
	if !wrong.Empty() {
		return s.explain(failure(0, nil, data))
	}
	list := sdk.Array(candidates)
	n := 0
	for ; list.Next(); n++ {
		if err := candidate(list.Value(), n, s, whole, out); err != nil {
			return err
		}
	}
	if list.Err() != nil {
		return malformed()
	}
	if reason, _ := feedback.Get("blockReason").Str(); reason != "" && n == 0 {
		return blocked(reason)
	}
	if whole && n == 0 {
		return errortext.Upstream("Gemini answered without any candidate.")
	}
	return nil
}

// candidate states the new content of a candidate.
func candidate(raw sdk.JSON, position int, s *state, whole bool, out *sdk.Out) error {
	var content, finish, message, logprobs, ratings sdk.JSON
	var extra sdk.Writer
	open := false
	index := position
	it := sdk.Object(raw)
	for it.Next() {
		v := it.Value()
		switch key := string(it.Key()); key {
		case "index":
			n, ok := v.Int()
			if !ok || n < 0 || n >= abi.MaxChoices {
				return malformed()
			}
			index = int(n)
		case "content":
			content = v
		case "finishReason":
			finish = v
		case "finishMessage":
			message = v
		case "logprobsResult":
			logprobs = v
		case "safetyRatings":
			ratings = v
		case "citationMetadata", "groundingMetadata", "urlContextMetadata":
			if len(v) > len("{}") && v.Kind() == sdk.KindObject {
				if !open {
					open = true
					extra.Object()
				}
				extra.Key(key).Raw(v)
			}
		}
	}
	if it.Err() != nil {
		return malformed()
	}
	word, _ := finish.Str()
	if err := parts(content, index, s, word != "" || whole, out); err != nil {
		return err
	}
	if logprobs.Kind() == sdk.KindObject {
		emitLogprobs(logprobs, index, out)
	}
	reason, err := finishReason(word, message)
	if err != nil {
		return err
	}
	if open {
		extra.End()
		out.ChoiceExtra(index, extra.Bytes())
	}
	if reason == abi.FinishContentFilter {
		out.StopReason(index, []byte(word))
		if ratings.Kind() == sdk.KindArray {
			var w sdk.Writer
			w.Object()
			w.Key("safetyRatings").Raw(ratings)
			w.End()
			out.ChoiceExtra(index, w.Bytes())
		}
	}
	if reason != "" {
		out.Finish(index, reason)
	}
	return nil
}

// finishReason maps a finish reason; "" means that none has come yet. The words are those of
// https://ai.google.dev/api/generate-content#FinishReason. A word that means neither an end
// nor a filter is a failure, and so is an unknown word.
func finishReason(word string, message sdk.JSON) (string, error) {
	switch word {
	case "":
		return "", nil
	case "STOP":
		return abi.FinishStop, nil
	case "MAX_TOKENS":
		return abi.FinishLength, nil
	case "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
		"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION":
		return abi.FinishContentFilter, nil
	}
	return "", brokenOff(word, message)
}

// parts states the parts of a candidate's content. last says that the candidate
// ends with them.
func parts(content sdk.JSON, choice int, s *state, last bool, out *sdk.Out) error {
	var signature sdk.JSON // of the text
	if content.Kind() == sdk.KindObject {
		r := sdk.NewReader(content)
		for fields := r.Object(); r.Next(fields); {
			if string(r.Key()) != "parts" {
				continue
			}
			for list := r.Array(); r.Next(list); {
				var p part
				if err := p.read(&r); err != nil {
					return err
				}
				if err := p.emit(choice, s, out); err != nil {
					return err
				}
				if p.call == nil && p.signature != nil {
					signature = p.signature
				}
			}
		}
		if r.Err() != nil {
			return malformed()
		}
	}
	// The signature of the text comes with the last part. If the choice has calls, it is
	// not passed on: it would come back as the signature of a call that has none.
	if inside, _ := signature.Inside(); last && !s.Called.has(choice) {
		out.SignatureJSON(choice, inside)
	}
	return nil
}

// part is a part of a content.
type part struct {
	text, inline, file, call, signature sdk.JSON
	thought                             bool
	unknown                             bool // it has a field whose meaning is not known
}

// read reads the part that r is before.
func (p *part) read(r *sdk.Reader) error {
	for fields := r.Object(); r.Next(fields); {
		v := r.Value()
		if v.Kind() == sdk.KindNull {
			continue
		}
		switch string(r.Key()) {
		case "text":
			p.text = v
		case "thought":
			p.thought, _ = v.Bool()
		case "thoughtSignature":
			p.signature = v
		case "functionCall":
			p.call = v
		case "inlineData":
			p.inline = v
		case "fileData":
			p.file = v
		case "executableCode", "codeExecutionResult", "toolCall", "toolResponse": // these are about Google's own tools
		case "videoMetadata", "partMetadata", "mediaResolution": // these have no content
		default:
			p.unknown = true
		}
	}
	if r.Err() != nil {
		return malformed()
	}
	return nil
}

// emit states a part.
func (p *part) emit(choice int, s *state, out *sdk.Out) error {
	switch {
	case p.call != nil:
		return s.call(p.call, p.signature, choice, out)
	case p.text != nil:
		inside, ok := p.text.Inside()
		switch {
		case !ok:
			return malformed()
		case p.thought:
			out.ReasoningJSON(choice, inside)
		default:
			out.TextJSON(choice, inside)
		}
	case p.inline != nil:
		emitMedia(p.inline, choice, out)
	case p.file != nil:
		if uri, ok := p.file.Get("fileUri").RawStr(); ok {
			emitImage(uri, choice, out)
		}
	case p.unknown:
		return errortext.Upstream("Gemini answered with content of a type that the gateway does not know.")
	}
	return nil
}

// call states a function call, which always comes whole. Its number counts the calls of the
// whole answer, because it need only tell calls apart.
func (s *state) call(raw, signature sdk.JSON, choice int, out *sdk.Out) error {
	var id, name, args sdk.JSON
	for f := sdk.Object(raw); f.Next(); {
		switch string(f.Key()) {
		case "id":
			id = f.Value()
		case "name":
			name = f.Value()
		case "args":
			args = f.Value()
		}
	}
	function, _ := name.Str()
	if function == "" || s.Calls >= abi.MaxCalls {
		return malformed()
	}
	n := int(s.Calls)
	s.Calls++
	s.Called.add(choice)
	if id, _ := id.Str(); id != "" {
		out.ToolID(choice, n, id)
	}
	out.ToolName(choice, n, function)
	switch args.Kind() {
	case sdk.KindObject:
		out.ToolArgs(choice, n, args)
	case sdk.KindAbsent, sdk.KindNull:
		out.ToolArgs(choice, n, []byte("{}"))
	default:
		return malformed()
	}
	inside, _ := signature.RawStr()
	out.ToolSignatureJSON(choice, n, inside)
	return nil
}

// emitMedia states an image or a sound as a data: URL, in the form that clients know from
// OpenRouter.
func emitMedia(inline sdk.JSON, choice int, out *sdk.Out) {
	mediaType, ok := inline.Get("mimeType").RawStr()
	data, ok2 := inline.Get("data").RawStr()
	if !ok || !ok2 {
		return
	}
	url := make([]byte, 0, len(data)+len(mediaType)+16)
	url = append(append(append(url, "data:"...), mediaType...), ";base64,"...)
	emitImage(append(url, data...), choice, out)
}

// emitImage states an image or another file by its URL, the inside of a literal.
func emitImage(url []byte, choice int, out *sdk.Out) {
	var w sdk.Writer
	w.Object()
	w.Key("images").Array()
	w.Object()
	w.Key("type").String("image_url")
	w.Key("image_url").Object()
	w.Key("url").RawString(url)
	w.End()
	w.End()
	w.End()
	w.End()
	out.DeltaExtra(choice, w.Bytes())
}
