package wasm

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kai-gateway/kai/sdk/abi"
)

type emitted struct {
	kind, at int32
	payload  string
}

func TestCollectorRefuses(t *testing.T) {
	request := emitted{2, 0, "POST /\n"}
	pass, usage := emitted{int32(abi.Pass), 0, ""}, emitted{int32(abi.Usage), 0, "{}"}
	for name, tc := range map[string]struct {
		in   export
		op   abi.Op
		ems  []emitted // the last one is refused
		want int32
		says string
	}{
		"a body before its request":       {inRequest, abi.Chat, []emitted{{3, 0, "{}"}}, emitWrong, "BODY before REQUEST"},
		"two requests":                    {inRequest, abi.Chat, []emitted{request, request}, emitWrong, "a second one"},
		"a wait after its request":        {inRequest, abi.Chat, []emitted{request, {5, 10, ""}}, emitWrong, "WAIT after REQUEST"},
		"a negative wait":                 {inRequest, abi.Chat, []emitted{{5, -1, ""}}, emitWrong, "-1 milliseconds"},
		"a framing that is none":          {inRequest, abi.Chat, []emitted{{2, 9, "POST /\n"}}, emitWrong, "framing 9"},
		"a request from an event":         {inEvent, abi.Chat, []emitted{request}, emitWrong, "not allowed here"},
		"a manifest from an event":        {inEvent, abi.Chat, []emitted{{1, 0, "{}"}}, emitWrong, "not allowed here"},
		"text from the manifest":          {inManifest, 0, []emitted{{16, 0, "hi"}}, emitWrong, "not allowed here"},
		"text for an embedding":           {inResponse, abi.Embeddings, []emitted{{16, 0, "hi"}}, emitWrong, "not allowed here"},
		"a result for a chat":             {inResponse, abi.Chat, []emitted{{30, 0, "{}"}}, emitWrong, "not allowed here"},
		"a raw finish reason":             {inEvent, abi.Chat, []emitted{{28 + abi.Raw, 0, "stop"}}, emitWrong, "does not exist"},
		"a kind beyond a byte":            {inEvent, abi.Chat, []emitted{{256 + 16, 0, "hi"}}, emitWrong, "does not exist"},
		"two names for one call":          {inEvent, abi.Chat, []emitted{{20, 1, "a"}, {20, 1, "b"}}, emitWrong, "a second one for choice 0, call 1"},
		"a tool call out of range":        {inEvent, abi.Chat, []emitted{{20, 1024, "a"}}, emitWrong, "out of range"},
		"an item where there is none":     {inEvent, abi.Chat, []emitted{{16, 1, "a"}}, emitWrong, "out of range"},
		"log probabilities as an object":  {inEvent, abi.Chat, []emitted{{22, 0, "{}"}}, emitWrong, "not a JSON array"},
		"an extra with trailing garbage":  {inEvent, abi.Chat, []emitted{{24, 0, "{} {}"}}, emitWrong, "not a JSON object"},
		"an extra of no tool call":        {inEvent, abi.Chat, []emitted{{23, 1024, "{}"}}, emitWrong, "out of range"},
		"more bytes than a call may emit": {inEvent, abi.Chat, []emitted{{16, 0, strings.Repeat("x", 1<<20)}, {16, 0, "y"}}, emitLimit, "more than 1048576 bytes"},
		"raw text with a line end":        {inEvent, abi.Chat, []emitted{{16 + abi.Raw, 0, "a\nb"}}, emitWrong, "inside of a JSON string"},
		"raw text that ends in an escape": {inEvent, abi.Chat, []emitted{{16 + abi.Raw, 0, `a\`}}, emitWrong, "inside of a JSON string"},
		"two passes":                      {inEvent, abi.Messages, []emitted{pass, pass}, emitWrong, "a second one"},
		"two passes behind something":     {inEvent, abi.Messages, []emitted{usage, pass, pass}, emitWrong, "a second one"},
		"a pass of a chat":                {inEvent, abi.Chat, []emitted{usage, pass}, emitWrong, "not allowed here"},
		"a pass of a request":             {inRequest, abi.Messages, []emitted{usage, pass}, emitWrong, "not allowed here"},
		"a pass of a kind that is none":   {inEvent, abi.Messages, []emitted{usage, {pass.kind, 2, ""}}, emitWrong, "at is 0 or 1"},
		"a pass with a payload":           {inEvent, abi.Messages, []emitted{usage, {pass.kind, 0, "x"}}, emitWrong, "no payload"},
		"a next event where there is one": {inEvent, abi.Messages, []emitted{usage, {int32(abi.Next), 0, ""}}, emitWrong, "not allowed here"},
		"raw text with a bad escape":      {inEvent, abi.Chat, []emitted{{16 + abi.Raw, 0, `\u12g4`}}, emitWrong, "inside of a JSON string"},
	} {
		t.Run(name, func(t *testing.T) {
			var c collector
			var b Batch
			c.begin(&b, tc.in, tc.op, 1<<20)
			for i, e := range tc.ems {
				got, want := c.emit(e.kind, e.at, []byte(e.payload)), int32(emitOK)
				if i == len(tc.ems)-1 {
					want = tc.want
				}
				if got != want {
					t.Errorf("emission %d: %d, want %d", i, got, want)
				}
			}
			if c.refused == nil || !strings.Contains(c.refused.Error(), tc.says) {
				t.Errorf("refused = %v, want something with %q", c.refused, tc.says)
			}
		})
	}
}

// TestEachFrameHasItsOwnPassAndEmissions: what one event may have, the next one may have again.
func TestEachFrameHasItsOwnPassAndEmissions(t *testing.T) {
	const frames = 5
	var c collector
	var b Batch
	var f Frames
	defer f.Reset()
	for range frames {
		f.Add([]byte("{}"))
	}
	for range 2 { // the second time, there is room in the batch from the beginning
		c.begin(&b, inEvents, abi.Messages, 0)
		c.frames, c.extra = f.encoded, 1<<20
		c.nextFrame()
		for i := range frames {
			if i > 0 {
				if got := c.emit(int32(abi.Next), 0, nil); got != emitOK || c.calls != 0 {
					t.Fatalf("NEXT %d: %d, after %d emissions, %v", i, got, c.calls, c.refused)
				}
			}
			c.calls = freeEmits // as instance.countEmit counts
			if got := c.emit(int32(abi.Pass), abi.PassContent, nil); got != emitOK {
				t.Fatalf("PASS %d: %d, %v", i, got, c.refused)
			}
		}
		if n := len(b.Emissions); n != 2*frames-1 {
			t.Errorf("%d emissions", n)
		}
		if got := c.emit(int32(abi.Next), 0, nil); got != emitWrong || !strings.Contains(c.refused.Error(), "no further frame") {
			t.Errorf("NEXT after the last frame: %d, %v", got, c.refused)
		}
	}
}

// TestAPassNeedsNoRoomForBytes, even if what a broken upstream sent got longer by being mended.
func TestAPassNeedsNoRoomForBytes(t *testing.T) {
	for n := range 12 {
		var c collector
		var b Batch
		usage := `{"a":"` + strings.Repeat("\xffa", 20) + `"}`
		c.begin(&b, inEvent, abi.Responses, 2*n+len(usage))
		for range n {
			c.emit(int32(abi.Usage), 0, []byte("{}"))
		}
		c.emit(int32(abi.Usage), 0, []byte(usage))
		if got := c.emit(int32(abi.Pass), 0, nil); got != emitOK {
			t.Errorf("PASS after %d usages: %d, %v", n+1, got, c.refused)
		}
	}
}

func TestCollectorKeepsPayloadsApart(t *testing.T) {
	var c collector
	var b Batch
	c.begin(&b, inEvent, abi.Chat, 1<<20)
	payload := []byte("one")
	c.emit(16, 0, payload)
	copy(payload, "xxx") // the guest's memory is its own again
	c.emit(27, 0, []byte("{\"prompt_tokens\":\n1}"))
	for range 100 {
		c.emit(17, 0, []byte("and many more, so that the buffer moves"))
	}
	c.end()
	if got := string(b.Emissions[0].Data); got != "one" {
		t.Errorf("first payload = %q, want %q", got, "one")
	}
	if got := string(b.Emissions[1].Data); got != `{"prompt_tokens": 1}` {
		t.Errorf("a line end between JSON tokens: %q, want it as a space", got)
	}
}

// FuzzCollector holds what passes the boundary to what the rest of the host
// relies on.
func FuzzCollector(f *testing.F) {
	f.Add(int32(16), int32(0), []byte("text"), uint8(inEvent))
	f.Add(int32(16+abi.Raw), int32(0), []byte(`\ud83d\ude00 \"`), uint8(inEvent))
	f.Add(int32(20), int32(abi.At(1, 2)), []byte("name"), uint8(inResponse))
	f.Add(int32(22), int32(0), []byte(`[{"token":"a"}]`), uint8(inEvent))
	f.Add(int32(27), int32(0), []byte("{\"a\":\r\n{}}"), uint8(inEvent))
	f.Add(int32(28), int32(0), []byte("stop"), uint8(inRequest))
	f.Add(int32(4), int32(0), []byte("\x00\xff"), uint8(inEvent))
	f.Fuzz(func(t *testing.T, kind, at int32, p []byte, in uint8) {
		var c collector
		var b Batch
		c.begin(&b, export(in%5), abi.Chat, 1<<20)
		code := c.emit(kind, at, p)
		if (code == emitOK) != (c.refused == nil) || (code == emitOK) != (len(b.Emissions) == 1) {
			t.Fatalf("emit = %d, refused = %v, %d emissions", code, c.refused, len(b.Emissions))
		}
		if code != emitOK {
			return
		}
		c.end()
		e := b.Emissions[0]
		switch e.Kind {
		case abi.Text, abi.Reasoning, abi.Refusal, abi.ToolArgs, abi.ToolID, abi.ToolName:
			if !utf8.Valid(e.Data) {
				t.Errorf("%s: %q is no UTF-8", e.Kind, e.Data)
			}
			if e.Raw && !json.Valid([]byte(`"`+string(e.Data)+`"`)) {
				t.Errorf("%s: %q is no inside of a JSON string", e.Kind, e.Data)
			}
		case abi.Logprobs, abi.ToolExtra, abi.DeltaExtra, abi.ChoiceExtra, abi.ChunkExtra, abi.Usage, abi.Error, abi.Manifest:
			if !json.Valid(e.Data) || strings.ContainsAny(string(e.Data), "\r\n") {
				t.Errorf("%s: %q is no JSON in one line", e.Kind, e.Data)
			}
		}
		if e.Kind >= abi.Text && e.Kind <= abi.ChoiceExtra && (e.Choice() >= abi.MaxChoices || e.Item() >= abi.MaxCalls) {
			t.Errorf("%s: choice %d, item %d", e.Kind, e.Choice(), e.Item())
		}
	})
}

func TestLargePayloadsAreKeptWhole(t *testing.T) {
	want := make([]byte, 5*pieceBytes+3)
	for i := range want {
		want[i] = byte(i * i >> 8)
	}
	var b Batch
	b.Append(abi.Emission{Kind: abi.Body}, []byte("before"))
	b.Append(abi.Emission{Kind: abi.Body}, want)
	if got := b.Emissions[1].Data; !bytes.Equal(got, want) {
		t.Errorf("%d bytes, and not those that were given", len(got))
	}
}

// TestTheTableOfKindsIsTrue holds the last column of the table in docs/abi.md against what each
// call of each operation may emit.
func TestTheTableOfKindsIsTrue(t *testing.T) {
	doc, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "### Kinds of emission")
	table, _, _ = strings.Cut(table, "\n### ")
	named := map[string][]export{"manifest": {inManifest}, "request": {inRequest}, "response": {inResponse}, "event": {inEvent, inEvents}, "`kai_events`": {inEvents}}
	of := map[string]func(abi.Op) bool{
		"":                             func(abi.Op) bool { return true },
		"a chat":                       func(op abi.Op) bool { return op == abi.Chat || op == abi.Completions },
		"a native operation":           abi.Op.Native,
		"a stream":                     abi.Op.Streams,
		"a chat or a native operation": func(op abi.Op) bool { return op == abi.Chat || op == abi.Completions || op.Native() },
		"others than a chat or a native operation": func(op abi.Op) bool { return op != abi.Chat && op != abi.Completions && !op.Native() },
	}
	// may reports whether a cell allows an export of an operation.
	may := func(cell string, in export, op abi.Op) bool {
		if cell == "all but manifest" {
			return in != inManifest
		}
		for part := range strings.SplitSeq(cell, "; ") {
			calls, what, _ := strings.Cut(part, " of ")
			matches, ok := of[what]
			if !ok {
				t.Fatalf("the test doesn't know %q", part)
			}
			for call := range strings.SplitSeq(calls, ", ") {
				among, ok := named[call]
				if !ok {
					t.Fatalf("the test doesn't know %q", call)
				}
				if slices.Contains(among, in) && matches(op) {
					return true
				}
			}
		}
		return false
	}
	kinds, before := 0, ""
	number := regexp.MustCompile(`(\d+) [A-Z]`)
	for line := range strings.Lines(table) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 6 || !number.MatchString(cells[1]) {
			continue
		}
		cell := strings.TrimSpace(cells[len(cells)-2])
		if cell == "the same" {
			cell = before
		}
		before = cell
		for _, n := range number.FindAllStringSubmatch(cells[1], -1) {
			kind, _ := strconv.Atoi(n[1])
			kinds++
			for op := abi.Chat; op <= abi.CompactResponses; op++ {
				for in := inManifest; in < exports; in++ {
					c := &collector{in: in, op: op}
					if got, want := c.allowed(abi.Kind(kind)), may(cell, in, op); got != want {
						t.Errorf("kind %d in export %d of %v: allowed is %v, and the document says %v (%s)", kind, in, op, got, want, cell)
					}
				}
			}
		}
	}
	if kinds != 28 {
		t.Errorf("the table has %d kinds", kinds)
	}
}
