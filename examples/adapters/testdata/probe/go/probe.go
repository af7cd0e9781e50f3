// Command probe states what the SDK makes of its input. There is one in each language,
// and all state the same. Facts are arguments of tool calls. The number of a call says
// which fact it is.
package main

import (
	"strconv"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

func init() {
	sdk.Register(sdk.New(sdk.Manifest{Name: "probe", Version: "1.0.0", Provider: "probe"}, adapter{}))
}

func main() {}

type adapter struct{}

type state struct {
	Small  uint8
	Events uint32
	Large  int64
	Half   float64
	Ring   [3]uint16
	Odd    bool
}

type said struct{ out *sdk.Out }

func (s said) bytes(n int, b []byte)     { s.out.ToolArgs(0, n, b) }
func (s said) string(n int, text string) { s.bytes(n, []byte(text)) }
func (s said) int(n int, i int64)        { s.string(n, strconv.FormatInt(i, 10)) }
func (s said) fault(n int, err error) {
	if err != nil {
		s.string(n, err.Error())
	}
}

// Request states one fact of every kind.
func (adapter) Request(r *sdk.Request, s *state, out *sdk.Out) error {
	if r.Op != abi.Chat {
		out.Result([]byte(`{"data":[]}`))
		return nil
	}
	if r.Stream {
		out.Send(sdk.Upstream{
			Method: "PUT", Path: "/a?b=c", Framing: abi.SSE, WaitMS: 300,
			Headers: []string{"x-a: b", "content-type: text/plain"}, Body: []byte("body"),
		})
		return nil
	}
	out.Send(sdk.Upstream{Path: "/a", Body: r.Options})
	out.Text(1, []byte("text"))
	out.TextJSON(1, []byte(`te\nxt`))
	out.Reasoning(1, []byte("reasoning"))
	out.ReasoningJSON(1, []byte(`reason\ning`))
	out.Refusal(2, []byte("refusal"))
	out.RefusalJSON(2, []byte(`refu\nsal`))
	out.ToolID(0, 3, "id")
	out.ToolName(0, 3, "name")
	out.ToolArgs(0, 3, []byte("{"))
	out.ToolArgsJSON(0, 3, []byte(`\"a\":1}`))
	out.ToolExtra(0, 1, []byte(`{"t":0}`))
	out.ToolSignature(0, 1, []byte("s\""))
	out.ToolSignatureJSON(0, 1, []byte(`\"t`))
	out.ReasoningDetail(1, []byte(`{"type":"reasoning.text"}`))
	out.Signature(1, []byte("u"))
	out.SignatureJSON(1, []byte(`\n`))
	out.Citation(1, []byte(`{"url":"x"}`))
	out.StopReason(1, []byte("end_turn"))
	out.StopReasonJSON(1, []byte(`\t`))
	out.Logprobs(1, []byte("[]"))
	out.DeltaExtra(1, []byte(`{"a":1}`))
	out.ChoiceExtra(1, []byte(`{"b":1}`))
	out.ChunkExtra([]byte(`{"c":1}`))
	out.Usage([]byte(`{"total_tokens":1}`))
	out.Tokens(-1, 9223372036854775807)
	out.Finish(127, "length")
	out.End()
	sdk.Log(sdk.LevelWarn, "logged")
	return &sdk.Error{Status: 418, Type: "t", Code: "c", Param: "p", Message: "a\"\\\n\x01\u00e9", RetryAfterMS: 1500}
}

// Response reads the body in every way there is. The status of the answer is the number of
// the key that Get asks for.
func (adapter) Response(r *sdk.Response, s *state, out *sdk.Out) error {
	v, say := sdk.JSON(r.Body), said{out}
	say.string(1, r.Head.Get("retry-after"))
	say.int(2, int64(v.Kind()))
	say.fault(3, v.Valid())
	if b, ok := v.Bool(); ok {
		say.string(4, strconv.FormatBool(b))
	}
	if n, ok := v.Int(); ok {
		say.int(5, n)
	}
	if text, ok := v.Str(); ok {
		say.string(6, text+".")
	}
	if inside, ok := v.RawStr(); ok {
		say.bytes(7, append(append([]byte{}, inside...), '.'))
		if mediaType, base64, ok := sdk.SplitDataURL(inside); ok {
			say.string(8, mediaType+".")
			say.bytes(9, base64)
		}
	}
	say.bytes(10, v.Get("key"))
	fields := sdk.Object(v)
	for fields.Next() {
		say.bytes(11, fields.Key())
		say.bytes(12, fields.Value())
	}
	say.fault(13, fields.Err())
	items := sdk.Array(v)
	for items.Next() {
		say.bytes(14, items.Value())
	}
	say.fault(15, items.Err())
	for m := range sdk.Messages(v) {
		say.string(16, m.Role)
		for i, f := range []sdk.JSON{m.Content, m.Name, m.ToolCalls, m.ToolCallID, m.Reasoning, m.Raw} {
			say.bytes(17+i, f)
		}
		for c := range sdk.ToolCalls(m.ToolCalls) {
			for i, f := range []sdk.JSON{c.ID, c.Name, c.Arguments, c.Raw} {
				say.bytes(23+i, f)
			}
		}
	}
	for p := range sdk.Parts(v) {
		say.string(27, p.Type)
		for i, f := range []sdk.JSON{p.Text, p.URL, p.Data, p.Raw} {
			say.bytes(28+i, f)
		}
	}
	var w sdk.Writer
	w.Array()
	w.Raw(nil)
	w.Object()
	text, _ := v.Str()
	w.Key("te\"xt").String(text)
	inside, _ := v.RawStr()
	w.Key("raw").RawString(inside)
	n, _ := v.Int()
	w.Key("int").Int(n)
	w.Key("list").Array()
	w.End()
	w.End()
	w.Bool(true)
	w.Null()
	w.End()
	say.bytes(32, w.Bytes())
	read(v, say)
	return nil
}

// read reads v in the ways that a Reader has.
func read(v sdk.JSON, say said) {
	reader := sdk.NewReader(v)
	if k := reader.Kind(); k == sdk.KindObject || k == sdk.KindArray {
		goInto(&reader, 0, say)
	} else {
		say.bytes(34, reader.Value())
	}
	say.fault(36, reader.Err())
	strict := sdk.NewReader(v)
	for top := strict.Object(); strict.Next(top); {
		say.bytes(37, strict.Key())
		for list := strict.Array(); strict.Next(list); {
			inside, _ := strict.Value().Inside()
			say.bytes(38, inside)
		}
	}
	say.fault(39, strict.Err())
}

// goInto goes into the current value. Of what is in it, the first, fourth and so on are gone
// into, too, or taken; the second and so on are left early, and the third passed.
func goInto(r *sdk.Reader, level int, say said) {
	object := r.Kind() == sdk.KindObject
	for n, in := 0, enter(r); r.Next(in); n++ {
		if object {
			say.bytes(33, r.Key())
		}
		kind := r.Kind()
		say.int(35, int64(kind))
		nested := kind == sdk.KindObject || kind == sdk.KindArray
		switch {
		case n%3 == 0:
			if nested && level < 20 {
				goInto(r, level+1, say)
			}
			say.bytes(34, r.Value())
		case n%3 == 1 && nested:
			r.Next(enter(r))
		}
	}
}

func enter(r *sdk.Reader) sdk.Depth {
	if r.Kind() == sdk.KindObject {
		return r.Object()
	}
	return r.Array()
}

// Event counts in its state, and panics if told to.
func (adapter) Event(e *sdk.Event, s *state, out *sdk.Out) error {
	if string(e.Data) == "panic" {
		panic("as told")
	}
	if string(e.Data) == "reset" {
		*s = state{}
		return nil
	}
	s.Small += 100
	s.Events++
	s.Large -= 1 << 40
	s.Half += 0.5
	s.Ring[s.Events%3] = uint16(s.Events)
	s.Odd = !s.Odd
	say := said{out}
	say.int(1, int64(s.Small))
	say.int(2, int64(s.Events))
	say.int(3, s.Large)
	say.int(4, int64(s.Half*2))
	say.int(5, int64(s.Ring[0])<<32|int64(s.Ring[1])<<16|int64(s.Ring[2]))
	say.string(6, strconv.FormatBool(s.Odd))
	say.string(7, strconv.FormatBool(e.End)+strconv.FormatBool(e.Done))
	say.bytes(8, e.Name)
	say.bytes(9, e.Data)
	return nil
}
