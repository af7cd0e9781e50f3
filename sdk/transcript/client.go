package transcript

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// View is how the clients of one of the gateway's APIs see an exchange.
type View struct {
	Section string // what such a client gets
	Request string // the section with such a client's request
	Path    string // where the API is served
	Form    bool   // clients send a form, which the section describes as an adapter gets it

	// body is a request for the answer of another one, after its model: %v is whether it
	// asks for a stream.
	body string
}

// Views returns the views that a transcript for an operation may have; none if its clients
// ask for it in words of their own. In the first one, the adapter itself gets the client's
// request. Of the others, those count that the transcript has a section for, which may be
// empty until something writes it.
func Views(op abi.Op) []View {
	switch op {
	case abi.Chat:
		return chatViews()
	case abi.Completions:
		return viewAt("/v1/completions")
	case abi.Embeddings:
		return viewAt("/v1/embeddings")
	case abi.Moderations:
		return viewAt("/v1/moderations")
	case abi.Rerank:
		return viewAt("/v1/rerank")
	case abi.Images:
		return viewAt("/v1/images/generations")
	case abi.Speech:
		return viewAt("/v1/audio/speech")
	case abi.CountMessages:
		return viewAt("/v1/messages/count_tokens")
	case abi.Messages:
		return viewAt("/v1/messages")
	case abi.CountResponses:
		return viewAt("/v1/responses/input_tokens")
	case abi.CompactResponses:
		return viewAt("/v1/responses/compact")
	case abi.Responses:
		return viewAt("/v1/responses")
	case abi.Transcriptions:
		return []View{{Section: SectionAnswer, Request: SectionClient, Path: "/v1/audio/transcriptions", Form: true}}
	}
	return nil
}

func viewAt(path string) []View {
	return []View{{Section: SectionAnswer, Request: SectionClient, Path: path}}
}

func chatViews() []View {
	return []View{
		{Section: SectionAnswer, Request: SectionClient, Path: "/v1/chat/completions"},
		{
			Section: SectionAnswer + ".responses", Request: "client-request.responses.json", Path: "/v1/responses",
			body: `"stream":%v,"input":"Hello!"`,
		},
		{
			Section: SectionAnswer + ".messages", Request: "client-request.messages.json", Path: "/v1/messages",
			body: `"max_tokens":32000,"stream":%v,"messages":[{"role":"user","content":"Hello!"}]`,
		},
	}
}

// Shows reports whether the transcript has a section for a view.
func (t *Transcript) Shows(v View) bool {
	for _, s := range t.Sections {
		if s.Name == v.Section {
			return true
		}
	}
	return false
}

// Asks returns the request of a view's client. If the transcript has none in that API, it
// is a greeting to the model of client-request.json, streamed if that is.
func (t *Transcript) Asks(v View) []byte {
	if own := bytes.TrimSpace(t.Get(v.Request)); len(own) > 0 {
		return own
	}
	var asked struct {
		Model  string
		Stream bool
	}
	if err := json.Unmarshal(t.Get(SectionClient), &asked); err != nil {
		return bytes.TrimSpace(t.Get(SectionClient)) // the gateway says what is wrong with it
	}
	model, err := json.Marshal(asked.Model)
	if err != nil {
		model = []byte(`""`) // never happens with a string
	}
	return fmt.Appendf(nil, `{"model":%s,`+v.body+"}", model, asked.Stream)
}

// Sends returns what a view's client sends: what Asks returns, or the form that it describes,
// with a file of as many zeros as it says.
func (t *Transcript) Sends(v View) (contentType string, body []byte) {
	asked := t.Asks(v)
	if !v.Form {
		return "application/json", asked
	}
	const boundary = "transcript"
	for f := sdk.Object(asked); f.Next(); {
		key, value := f.Key(), f.Value()
		values := []sdk.JSON{value}
		if value.Kind() == sdk.KindArray {
			values = nil
			for it := sdk.Array(value); it.Next(); {
				values = append(values, it.Value())
			}
		}
		for _, one := range values {
			text, _ := one.Str()
			name, _ := one.Get("filename").Str()
			media, _ := one.Get("content_type").Str()
			size, isFile := one.Get("bytes").Int()
			if !isFile {
				body = fmt.Appendf(body, "--%s\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", boundary, key, text)
				continue
			}
			body = fmt.Appendf(body, "--%s\r\nContent-Disposition: form-data; name=%q; filename=%q\r\nContent-Type: %s\r\n\r\n%s\r\n",
				boundary, key, name, media, strings.Repeat("0", int(max(0, min(size, 1<<20)))))
		}
	}
	return "multipart/form-data; boundary=" + boundary, append(body, "--"+boundary+"--\r\n"...)
}

var (
	// What the gateway makes for an answer has 26 random letters and digits in its ids.
	madeID    = regexp.MustCompile(`\b(chatcmpl-|cmpl-|[a-z]{2,8}_)[A-Z2-7]{26}`)
	callID    = regexp.MustCompile(`"(call|toolu)_[A-Za-z0-9]{10,}"`)
	completed = regexp.MustCompile(`"completed_at":[0-9]+`)

	// What providers want back, as clients of the Responses and the Messages API carry it:
	// base64url(deflate(JSON)).
	sealed = regexp.MustCompile(`\bkai1\.[A-Za-z0-9_-]+`)
)

// ClientResponse returns what a client got as a section of the transcript shows it. What is
// different each time is replaced by a fixed text: ids that the gateway made, those of calls
// to which the upstream gave none, and when an answer was complete. What is sealed for the
// provider is shown opened, behind its "kai1.".
func (t *Transcript) ClientResponse(status int, header http.Header, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP %d\n", status)
	for _, name := range []string{"content-type", "retry-after", "x-should-retry"} {
		if v := header.Get(name); v != "" {
			fmt.Fprintf(&b, "%s: %s\n", name, v)
		}
	}
	body = madeID.ReplaceAll(body, []byte("${1}0"))
	body = completed.ReplaceAll(body, []byte(`"completed_at":0`))
	body = sealed.ReplaceAllFunc(t.withoutCallIDs(body), func(value []byte) []byte {
		plain, ok := open(bytes.TrimPrefix(value, []byte("kai1.")))
		if !ok {
			return value
		}
		quoted, err := json.Marshal(string(t.withoutCallIDs(plain)))
		if err != nil {
			return value
		}
		return append([]byte("kai1."), quoted[1:len(quoted)-1]...)
	})
	// An event ends with two line ends. A section ends with one.
	b.WriteByte('\n')
	b.Write(bytes.TrimRight(body, "\n"))
	b.WriteByte('\n')
	return b.Bytes()
}

// withoutCallIDs replaces the ids of calls that are not in what was recorded.
func (t *Transcript) withoutCallIDs(text []byte) []byte {
	return callID.ReplaceAllFunc(text, func(id []byte) []byte {
		for _, s := range t.Sections {
			if !strings.HasPrefix(s.Name, SectionAnswer) && bytes.Contains(s.Data, bytes.Trim(id, `"`)) {
				return id
			}
		}
		kind, _, _ := bytes.Cut(id, []byte("_"))
		return append(bytes.Clone(kind), `_minted"`...)
	})
}

// open returns what is in a sealed text, behind its prefix.
func open(sealed []byte) (plain []byte, ok bool) {
	packed, err := base64.RawURLEncoding.DecodeString(string(sealed))
	if err != nil {
		return nil, false
	}
	plain, err = io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // the last block is not marked
		return nil, false
	}
	return plain, json.Valid(plain)
}
