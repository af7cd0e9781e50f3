package responses

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk/abi"
)

// client is the other end of a stream, and what is between: events wait in a buffer until
// they are sent, and keep-alives are sent by another goroutine.
type client struct {
	stream dialect.Stream
	answer dialect.Answer
	buf    []byte

	mu  sync.Mutex
	got []byte
}

func newClient(a requestInfo) *client {
	s := newStream(a, testInfo)
	return &client{stream: s, answer: s.Begin()}
}

func (c *client) flush() {
	c.mu.Lock()
	c.got = append(c.got, c.buf...)
	c.mu.Unlock()
	c.answer.Sent(len(c.buf)%2 == 0)
	c.buf = c.buf[:0]
}

func (c *client) keepAlive() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got = append(c.got, c.stream.KeepAlive(nil)...)
}

// fail ends the stream, unless nothing was sent: then the client gets a status.
func (c *client) fail(err error) {
	c.flush()
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := errors.AsType[*fault.Error](err); ok && len(c.got) > 0 {
		c.got = c.stream.Fail(c.got, e)
	}
}

// play plays what an adapter states to a client, by the choices of r. The error is nil if
// the stream came to its end, even to one that is a failure.
func (c *client) play(in calls, r *rand.Rand) (complete bool, err error) {
	for n, ems := range in {
		if r.IntN(4) == 0 {
			c.keepAlive()
		}
		if r.IntN(60) == 0 {
			c.fail(&fault.Error{Kind: fault.Upstream, Text: "The connection broke."})
			return false, nil
		}
		before := len(c.buf)
		if c.buf, err = c.answer.Apply(c.buf, ems); err != nil {
			if len(c.buf) != before {
				return false, fmt.Errorf("call %d failed and appended %q", n, c.buf[before:])
			}
			c.fail(err)
			return false, nil
		}
		if !slices.ContainsFunc(slices.Concat(in[:n+1]...), isContent) && len(c.buf) > 0 {
			return false, fmt.Errorf("call %d has no content and appended %q", n, c.buf)
		}
		if r.IntN(3) == 0 {
			c.flush()
		}
	}
	if len(in)%2 == 0 {
		c.answer.EndMark()
	}
	before := len(c.buf)
	if c.buf, err = c.answer.End(c.buf); err != nil {
		if len(c.buf) != before {
			return false, fmt.Errorf("the end failed and appended %q", c.buf[before:])
		}
		c.fail(err)
		return false, nil
	}
	c.flush()
	return true, nil
}

// isContent reports whether an emission commits an answer to its client.
func isContent(m abi.Emission) bool {
	switch m.Kind {
	case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolID, abi.ToolName, abi.ToolArgs, abi.ToolExtra, abi.ToolSignature:
		return len(m.Data) > 0
	case abi.Logprobs, abi.Finish:
		return true
	}
	return false
}

// checkForms plays an answer to a client, checks what it gets and, if it is complete, that
// the whole answer of the same emissions is the same.
func checkForms(in calls, r *rand.Rand) (complete bool, err error) {
	c := newClient(testAsked)
	var alive sync.WaitGroup
	if r.IntN(2) == 0 {
		alive.Go(func() {
			for range 20 {
				c.keepAlive()
			}
		})
	}
	complete, err = c.play(in, r)
	alive.Wait()
	if err != nil {
		return false, err
	}
	last, err := check(string(c.got))
	if err != nil {
		return false, fmt.Errorf("%w\n%s", err, c.got)
	}
	if !complete {
		if last != nil && last["status"] != statusFailed {
			return false, fmt.Errorf("a failed answer ends with %v", last["status"])
		}
		return false, nil
	}
	if last == nil {
		return false, fmt.Errorf("a complete answer has no end\n%s", c.got)
	}
	w := newWhole(testAsked, testInfo)
	for _, ems := range in {
		if _, err := w.Apply(nil, ems); err != nil {
			return false, fmt.Errorf("streamed it was complete: %w", err)
		}
	}
	if len(in)%2 == 0 {
		w.EndMark()
	}
	body, err := w.End(nil)
	if err != nil {
		return false, fmt.Errorf("streamed it was complete: %w", err)
	}
	streamed, used := c.answer.Usage(), w.Usage()
	streamed.Stated, used.Stated = 0, 0 // which counts what follows a stream's end, too
	if w.Complete() != c.answer.Complete() || used != streamed {
		return false, fmt.Errorf("streamed %v %+v, whole %v %+v", c.answer.Complete(), streamed, w.Complete(), used)
	}
	if err := checkJSON(body); err != nil {
		return false, fmt.Errorf("%w in %s", err, body)
	}
	var whole jsonObject
	if err := decode(body, &whole); err != nil {
		return false, fmt.Errorf("%w in %s", err, body)
	}
	if err := checkObject(whole); err != nil {
		return false, fmt.Errorf("%w in %s", err, body)
	}
	if got, want := normal(last), normal(whole); got != want {
		return false, fmt.Errorf("the stream ends with\n%s\nthe whole answer is\n%s\nevents\n%s", got, want, c.got)
	}
	return true, nil
}

var minted = regexp.MustCompile(`call_[A-Z2-7]{24}`)

// normal makes response objects comparable: what is sealed is opened, and ids of calls
// that the host made are all the same.
func normal(o jsonObject) string {
	for _, it := range o["output"].([]any) {
		item := it.(jsonObject)
		sealed, ok := item["encrypted_content"].(string)
		if !ok {
			continue
		}
		c, _, _ := seal.Open(sealed, new(seal.MaxOpen))
		var extras []string
		for _, of := range c.Calls {
			extras = append(extras, string(of))
		}
		slices.Sort(extras)
		item["encrypted_content"] = []any{c.Details, c.Message, extras}
	}
	b, _ := json.Marshal(o)
	return minted.ReplaceAllString(string(b), "MINTED")
}

func TestAStreamEqualsTheWholeAnswer(t *testing.T) {
	complete := 0
	for seed := range uint64(1000) {
		in := randomCalls(rand.New(rand.NewPCG(seed, 0)))
		ok, err := checkForms(in, rand.New(rand.NewPCG(seed, 1)))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, printed(in))
		}
		if ok {
			complete++
		}
	}
	if complete < 300 {
		t.Errorf("only %d of 1000 answers were complete: the test says little", complete)
	}
}

// randomCalls makes an answer that is mostly well behaved.
func randomCalls(r *rand.Rand) calls {
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	words := func() string { return pick("", "a", "Hi", " there", "\"", "\\", "é", "😀", "\n", "\x01", "</x>") }
	inside := func() string {
		return pick(``, `a`, `\"`, `\\`, `\u00e9`, `\ud83d\ude00`, `\ud83d`, `\ude00`, `\n`, `\/`, "é")
	}
	arguments := func() string {
		return pick(`{}`, `{"input":"a"}`, `{"input":"`, `a"}`, `\n\"`, `{"query":"x","command":["ls"],"commands":["ls"]}`, ` `, `}`, `x`)
	}
	details := func() string {
		return pick(`{"type":"reasoning.text","text":"a","index":0}`, `{"type":"reasoning.text","text":"b","index":0}`, `{"type":"reasoning.text","signature":"s","index":0}`,
			`{"type":"reasoning.encrypted","data":"R"}`, `{}`, "{\n\"type\":\"reasoning.summary\",\"summary\":\"\\u00e9\" }")
	}
	fields := func() string {
		return pick(`{}`, `{"a":1}`, `{"extra_content":{"a":1}}`, `{"extra_content":null,"reasoning_details":[{"type":"reasoning.text","text":"c","index":0}]}`, `{"reasoning_details":1,"output":1,"id":2,"service_tier":"flex"}`)
	}
	names := []string{"lookup", "mcp__words__define", "apply", "mcp__sh__exec", "tool_search", "local_shell", "shell", "apply_patch", "unknown"}
	var in calls
	named := map[int]bool{}
	var ems []abi.Emission
	next := func() {
		if r.IntN(3) > 0 {
			in, ems = append(in, ems), nil
		}
	}
	for range r.IntN(25) {
		k := r.IntN(3)
		var e abi.Emission
		switch r.IntN(22) {
		case 0, 1, 2, 3:
			e = text(words())
		case 4:
			e = raw(text(inside()))
		case 5, 6:
			e = thought(words())
		case 7:
			e = refusal(words())
		case 8:
			e = toolID(k, fmt.Sprint("id", k))
		case 9:
			e = toolName(k, names[r.IntN(len(names))])
			named[k] = true
		case 10, 11:
			e = toolArgs(k, arguments())
		case 12:
			e = logprobs(pick(`[]`, `[{"token":"a"}]`, " [ 1,\n2 ] "))
		case 13:
			e = deltaExtra(fields())
		case 14:
			e = chunkExtra(fields())
		case 15:
			e = toolExtra(k, fields())
		case 16:
			e = detailed(details())
		case 17:
			e = pick2(r, citation(`{"url":"x"}`), stopReason("end"))
		case 18:
			e = signature(words())
		case 19:
			e = toolSignature(k, words())
		case 20:
			e = inChoice(r.IntN(2), text(words()))
		case 21:
			e = usageOf(pick(`{"prompt_tokens":1}`, `{"completion_tokens":2,"total_tokens":9}`, `{"prompt_tokens_details":{"cached_tokens":1}}`, `{"cost":0.1}`))
		}
		if !named[k] && r.IntN(8) > 0 && (e.Kind == abi.ToolID || e.Kind == abi.ToolArgs || e.Kind == abi.ToolExtra || e.Kind == abi.ToolSignature) {
			ems = append(ems, toolName(k, names[r.IntN(len(names))]))
			named[k] = true
		}
		ems = append(ems, e)
		next()
	}
	for choice := range 2 {
		if r.IntN(20) > 0 {
			ems = append(ems, inChoice(choice, finish(pick("stop", "stop", "length", "tool_calls", "content_filter"))))
		}
		next()
	}
	in, ems = append(in, ems), nil
	if r.IntN(2) == 0 { // what may come late
		ems = append(ems, text(words()), usageOf(`{"prompt_tokens":7}`), chunkExtra(fields()), finish("stop"))
	}
	return append(in, ems)
}

func pick2(r *rand.Rand, of ...abi.Emission) abi.Emission { return of[r.IntN(len(of))] }

func printed(in calls) string {
	var b strings.Builder
	for n, ems := range in {
		for _, e := range ems {
			fmt.Fprintf(&b, "call %d: %v %v.%v raw %v %q\n", n, e.Kind, e.Choice(), e.Item(), e.Raw, e.Data)
		}
	}
	return b.String()
}

// FuzzApply reads emissions from the input: kind, choice, item, length and payload, with
// what the boundary would refuse replaced. Whatever they are, nothing panics and every
// rule that check knows holds.
func FuzzApply(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed, encodeCalls(randomCalls(rand.New(rand.NewPCG(seed, 1)))))
	}
	f.Fuzz(func(t *testing.T, seed uint64, input []byte) {
		in := decodeCalls(input)
		if _, err := checkForms(in, rand.New(rand.NewPCG(seed, 1))); err != nil {
			t.Fatalf("%v\n%s", err, printed(in))
		}
	})
}

// nextCall among the kinds begins another adapter call.
const nextCall = 0

// An emission of the fuzz input is kind, choice, item, length (two bytes, big-endian) and
// the payload.
func encodeCalls(in calls) (b []byte) {
	for _, ems := range in {
		for _, e := range ems {
			kind := byte(e.Kind)
			if e.Raw {
				kind |= abi.Raw
			}
			b = append(b, kind, byte(e.Choice()), byte(e.Item()), byte(len(e.Data)>>8), byte(len(e.Data)))
			b = append(b, e.Data...)
		}
		b = append(b, nextCall)
	}
	return b
}

func decodeCalls(b []byte) (in calls) {
	var ems []abi.Emission
	for len(b) > 0 {
		if b[0] == nextCall {
			in, ems, b = append(in, ems), nil, b[1:]
			continue
		}
		if len(b) < 5 {
			break
		}
		n := min(int(b[3])<<8|int(b[4]), len(b)-5)
		e := abi.Emission{Kind: abi.Kind(b[0] &^ abi.Raw), At: abi.At(int(b[1]), int(b[2])), Data: b[5 : 5+n : 5+n]}
		e.Raw = b[0]&abi.Raw != 0 && e.Kind.AllowsRaw()
		b = b[5+n:]
		ems = append(ems, checkedEmission(e))
	}
	return append(in, ems)
}

// checkedEmission does what the boundary does, but mends what it would refuse.
func checkedEmission(e abi.Emission) abi.Emission {
	first := byte('{')
	switch e.Kind {
	case abi.Logprobs:
		first = '['
		fallthrough
	case abi.ToolExtra, abi.DeltaExtra, abi.ChoiceExtra, abi.ChunkExtra, abi.Usage, abi.Error, abi.ReasoningDetail, abi.Citation:
		trimmed := bytes.TrimSpace(e.Data)
		if !json.Valid(trimmed) || trimmed[0] != first || checkJSON(trimmed) != nil {
			e.Data = []byte{first, first + 2}
		}
		return e
	}
	e.Data = bytes.ToValidUTF8(e.Data, nil)
	if e.Raw && (!json.Valid(slices.Concat([]byte{'"'}, e.Data, []byte{'"'})) || hasHalfWithin(e.Data)) {
		e.Raw = false
	}
	return e
}

// hasHalfWithin reports whether there is half a character that is neither the first nor
// the last of a text. The boundary replaces those.
func hasHalfWithin(inside []byte) bool {
	for facts.HasHalf(&abi.Emission{Raw: true, Data: inside}) {
		if isSurrogate(inside, 'c', 'f') {
			inside = inside[6:]
			continue
		}
		inside = inside[:len(inside)-6]
		if isSurrogate(inside, '8', 'b') {
			break
		}
	}
	return checkJSON(slices.Concat([]byte{'"'}, inside, []byte{'"'})) != nil
}

// Another attempt goes on where the numbers of the keep-alives ended.
func TestAnAttemptWithoutContentLeavesNothing(t *testing.T) {
	c := newClient(testAsked)
	var err error
	if c.buf, err = c.answer.Apply(nil, emit(detailed(`{"type":"reasoning.encrypted","data":"x"}`), chunkExtra(`{"provider":"x"}`), usageOf(`{"prompt_tokens":5}`))); err != nil || len(c.buf) > 0 {
		t.Fatalf("Apply without content = %q, %v", c.buf, err)
	}
	c.keepAlive()
	c.answer = c.stream.Begin()
	c.keepAlive()
	for _, ems := range []calls{{emit(text("Hi"))}, {stop}} {
		if c.buf, err = c.answer.Apply(c.buf, ems[0]); err != nil {
			t.Fatal(err)
		}
		c.flush()
	}
	c.keepAlive()
	if c.buf, err = c.answer.End(c.buf); err != nil {
		t.Fatal(err)
	}
	c.flush()
	last, err := check(string(c.got))
	if err != nil {
		t.Fatalf("%v\n%s", err, c.got)
	}
	if output := last["output"].([]any); len(output) != 1 || last["usage"] != nil || last["provider"] != nil {
		t.Errorf("something of the first attempt was left: %v", last)
	}
	want := []string{created, alive, alive}
	got := lines(t, string(c.got))
	if !slices.Equal(got[:3], want) || got[len(got)-1] != ended {
		t.Errorf("got\n%s", strings.Join(got, "\n"))
	}
	if at := slices.Index(got[3:], alive); at < 0 || !reflect.DeepEqual(got[3+at-1][:17], "output_text.delta") {
		t.Errorf("no sign of life in the middle:\n%s", strings.Join(got, "\n"))
	}
}

const (
	created = `created {"status":"in_progress"}`
	alive   = `in_progress {"status":"in_progress"}`
	ended   = `completed {"status":"completed"}`
)
