package cache

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// clock is a time that a test sets.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

var noon = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func keyOf(n int) Key {
	h := NewHash()
	h.Number(n)
	return h.Key()
}

// TestTrapUnboundedMemory puts entries of random sizes, many of them large, and looks at
// what they take at every step.
func TestTrapUnboundedMemory(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	room := memory.NewLimit(1 << 20)
	c := &clock{noon}
	l := NewLocal(room, c.now)
	max := int64(300_000)
	l.Set(max)
	for range 5000 {
		k := keyOf(random.IntN(400))
		switch random.IntN(10) {
		case 0:
			c.t = c.t.Add(time.Duration(random.IntN(100)) * time.Second)
		case 1:
			max = 1 + random.Int64N(600_000)
			l.Set(max)
		case 2, 3, 4:
			l.Get(t.Context(), k)
		default:
			l.Put(t.Context(), k, Entry{Value: make([]byte, random.IntN(1+random.IntN(400_000)))}, time.Minute)
		}
		n, bytes := l.Held()
		if bytes > max || bytes != room.Used() || int64(n)*entryBytes > bytes {
			t.Fatalf("%d entries have %d bytes of %d, and %d are taken", n, bytes, max, room.Used())
		}
	}
	if n, _ := l.Held(); n == 0 {
		t.Fatal("nothing was kept")
	}
	l.Set(0)
	if n, bytes := l.Held(); n != 0 || bytes != 0 || room.Used() != 0 {
		t.Errorf("%d entries with %d bytes are left, %d are taken", n, bytes, room.Used())
	}
}

func TestWhatWasUsedLastIsKept(t *testing.T) {
	l := NewLocal(memory.NewLimit(1<<20), nil)
	value := make([]byte, 1000)
	l.Set(3 * (entryBytes + 1000))
	for n := range 3 {
		l.Put(t.Context(), keyOf(n), Entry{Value: value}, time.Hour)
	}
	l.Get(t.Context(), keyOf(0))
	l.Put(t.Context(), keyOf(3), Entry{Value: value}, time.Hour)
	for n, want := range []bool{true, false, true, true} {
		if _, ok := l.Get(t.Context(), keyOf(n)); ok != want {
			t.Errorf("entry %d is there: %t", n, ok)
		}
	}
	l.Put(t.Context(), keyOf(4), Entry{Value: make([]byte, 1<<20)}, time.Hour) // more than all may have
	if n, _ := l.Held(); n != 3 {
		t.Errorf("%d entries are left beside one that is too large", n)
	}
}

func TestAnEntryEnds(t *testing.T) {
	c := &clock{noon}
	room := memory.NewLimit(1 << 20)
	l := NewLocal(room, c.now)
	l.Set(1 << 20)
	l.Put(t.Context(), keyOf(1), Entry{Value: []byte("v"), Created: noon}, time.Minute)
	c.t = noon.Add(time.Minute - 1)
	if e, ok := l.Get(t.Context(), keyOf(1)); !ok || string(e.Value) != "v" || !e.Created.Equal(noon) {
		t.Errorf("got %+v, %t", e, ok)
	}
	c.t = noon.Add(time.Minute)
	if _, ok := l.Get(t.Context(), keyOf(1)); ok || room.Used() != 0 {
		t.Error("it is there after its time")
	}
}

func TestWithoutRoomNothingIsKept(t *testing.T) {
	room := memory.NewLimit(10_000)
	l := NewLocal(room, nil)
	l.Set(1 << 20)
	for n := range 20 {
		l.Put(t.Context(), keyOf(n), Entry{Value: make([]byte, 1000)}, time.Hour)
	}
	if n, _ := l.Held(); n != 7 || room.Used() > 10_000 {
		t.Errorf("%d entries are kept, want 7", n)
	}
	room.Take(10_000 - room.Used()) // by others
	l.Clear()
	if _, bytes := l.Held(); bytes != 0 {
		t.Errorf("%d bytes are left", bytes)
	}
	if !room.Take(9000) {
		t.Error("they were not given back")
	}
}

// emissions are those of an answer with everything that may be in one.
func emissions() []abi.Emission {
	return []abi.Emission{
		{Kind: abi.State, Data: []byte("secret of the adapter")},
		{Kind: abi.Text, At: abi.At(0, 0), Data: []byte("Hel")},
		{Kind: abi.Text, At: abi.At(0, 0), Data: []byte("lo")},
		{Kind: abi.Text, Raw: true, At: abi.At(0, 0), Data: []byte(`\n`)},
		{Kind: abi.Text, Raw: true, At: abi.At(1, 0), Data: []byte(`x`)},
		{Kind: abi.Reasoning, At: abi.At(0, 0), Data: []byte("Hm.")},
		{Kind: abi.Text, At: abi.At(0, 0)},
		{Kind: abi.ToolName, At: abi.At(0, 1), Data: []byte("f")},
		{Kind: abi.ToolArgs, At: abi.At(0, 1), Data: []byte(`{"a"`)},
		{Kind: abi.ToolArgs, At: abi.At(0, 1), Data: []byte(`:1}`)},
		{Kind: abi.Usage, Data: []byte(`{"prompt_tokens":1}`)},
		{Kind: abi.Finish, Data: []byte("tool_calls")},
		{Kind: abi.Finish, At: abi.At(1, 0), Data: []byte("stop")},
	}
}

func TestAnAnswerIsReadAsItWasStated(t *testing.T) {
	r := NewRecorder(nil, 1<<20)
	r.Part(2)
	r.Add(emissions())
	r.Part(3)
	r.Add([]abi.Emission{{Kind: abi.Text, Data: []byte("again")}})
	r.Ended()
	value, ok := r.Value()
	if !ok {
		t.Fatal("it was given up")
	}
	if bytes.Contains(value, []byte("secret")) {
		t.Error("what is the adapter's own is kept")
	}
	got, err := Read(value)
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string, e abi.Emission) abi.Emission { e.Data = []byte(s); return e }
	all := emissions()
	want := []Part{
		{Inputs: 2, Emissions: []abi.Emission{
			text("Hello", all[1]), all[3], all[4], all[5], text("", all[6]), all[7], text(`{"a":1}`, all[8]), all[10], all[11], all[12],
		}},
		{Inputs: 3, Emissions: []abi.Emission{{Kind: abi.Text, Data: []byte("again")}}, Ended: true},
	}
	for i := range got {
		for k := range got[i].Emissions {
			got[i].Emissions[k].Data = append([]byte{}, got[i].Emissions[k].Data...)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestTrapABadAnswerIsKept(t *testing.T) {
	good := abi.Emission{Kind: abi.Text, Data: []byte("x")}
	for name, ems := range map[string][]abi.Emission{
		"an error":                    {good, {Kind: abi.Error, Data: []byte("{}")}},
		"cut by its length":           {good, {Kind: abi.Finish, Data: []byte("length")}},
		"filtered":                    {good, {Kind: abi.Finish, Data: []byte("content_filter")}},
		"of a reason that nobody has": {good, {Kind: abi.Finish, Data: []byte("function_call")}},
		"refused":                     {good, {Kind: abi.Refusal, Data: []byte("No.")}, {Kind: abi.Finish, Data: []byte("stop")}},
		"passed as it came":           {good, {Kind: abi.Pass}},
		"too large":                   {{Kind: abi.Text, Data: make([]byte, 2000)}},
		"too large in pieces":         slices.Repeat([]abi.Emission{{Kind: abi.Text, Data: make([]byte, 300)}}, 5),
	} {
		t.Run(name, func(t *testing.T) {
			total := memory.New(memory.Options{Limit: 1 << 20})
			grant := total.Grant()
			r := NewRecorder(&grant, 1000)
			r.Part(1)
			r.Add(ems)
			r.Add([]abi.Emission{good, {Kind: abi.Finish, Data: []byte("stop")}})
			r.Ended()
			if value, ok := r.Value(); ok || grant.Used() != 0 {
				t.Errorf("%q is kept, with %d bytes", value, grant.Used())
			}
		})
	}
	if _, ok := NewRecorder(nil, 1000).Value(); ok {
		t.Error("an answer that never came is kept")
	}
}

func TestWithoutMemoryAnAnswerIsGivenUp(t *testing.T) {
	total := memory.New(memory.Options{Limit: memory.Grain})
	grant := total.Grant()
	r := NewRecorder(&grant, 1<<20)
	r.Part(1)
	r.Add([]abi.Emission{{Kind: abi.Text, Data: make([]byte, 2*memory.Grain)}})
	if _, ok := r.Value(); ok || grant.Used() != 0 {
		t.Errorf("it is kept; %d bytes are counted", grant.Used())
	}
}

func FuzzRead(f *testing.F) {
	r := NewRecorder(nil, 1<<20)
	r.Part(1)
	r.Add(emissions())
	r.Ended()
	value, _ := r.Value()
	f.Add(value)
	f.Add([]byte{version})
	f.Fuzz(func(t *testing.T, value []byte) {
		parts, err := Read(value)
		if err != nil {
			return
		}
		r := NewRecorder(nil, 1<<30)
		n := 0
		for _, p := range parts {
			r.Part(p.Inputs)
			for _, e := range p.Emissions {
				if e.Kind.String() == "" {
					t.Errorf("an emission of kind %d", e.Kind)
				}
				n += 48
			}
			r.Add(p.Emissions)
		}
		if int64(n) > ReadBytes(value) {
			t.Errorf("%d bytes were made, and %d counted", n, ReadBytes(value))
		}
	})
}

func hashed(t *testing.T, request string) Key {
	t.Helper()
	h := NewHash()
	if _, err := h.Members([]byte(request), nil); err != nil {
		t.Fatal(err)
	}
	return h.Key()
}

func TestWhatARequestsKeyDependsOn(t *testing.T) {
	const request = `{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":0}`
	for name, tc := range map[string]struct {
		other string
		same  bool
	}{
		"nothing else":            {request, true},
		"the order of members":    {`{"temperature":0,"messages":[{"role":"user","content":"x"}]}`, true},
		"space between members":   {`{ "temperature" : 0 , "messages" : [{"role":"user","content":"x"}]}`, true},
		"how it is delivered":     {request[:len(request)-1] + `,"stream":true,"stream_options":{"include_usage":true}}`, true},
		"whose it is":             {request[:len(request)-1] + `,"user":"u","metadata":{"a":"b"},"safety_identifier":"s","prompt_cache_key":"k","store":true}`, true},
		"another temperature":     {strings.Replace(request, `:0}`, `:0.1}`, 1), false},
		"another text":            {strings.Replace(request, `"x"`, `"y"`, 1), false},
		"another role":            {strings.Replace(request, `"user"`, `"system"`, 1), false},
		"one more member":         {request[:len(request)-1] + `,"seed":1}`, false},
		"one less member":         {`{"messages":[{"role":"user","content":"x"}]}`, false},
		"a member of another one": {`{"messages":[{"role":"user","content":"x","temperature":0}]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			if same := hashed(t, request) == hashed(t, tc.other); same != tc.same {
				t.Errorf("the keys are the same: %t", same)
			}
		})
	}
}

func TestNoTwoListsOfPartsLookAlike(t *testing.T) {
	seen := map[Key]string{}
	for _, parts := range [][]string{{}, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"a\x00\x00\x00\x00\x00\x00\x00\x01b"}} {
		h := NewHash()
		for _, p := range parts {
			h.Text(p)
		}
		if other, twice := seen[h.Key()]; twice {
			t.Errorf("%q and %s have one key", parts, other)
		}
		seen[h.Key()] = fmt.Sprintf("%q", parts)
	}
}

// TestLongContentIsHashedInItsPlace: a value in pieces has the key of the whole one.
func TestLongContentIsHashedInItsPlace(t *testing.T) {
	short := NewHash()
	_, err := short.Members([]byte(`{"a":"@1@","b":1}`), func(value []byte, yield func([]byte)) error {
		before, after, long := bytes.Cut(value, []byte("@1@"))
		if yield(before); long {
			yield([]byte("long content"))
			yield(after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if short.Key() != hashed(t, `{"a":"long content","b":1}`) {
		t.Error("the keys differ")
	}
	failed := errors.New("no such content")
	if _, err := NewHash().Members([]byte(`{"a":1}`), func([]byte, func([]byte)) error { return failed }); err != failed {
		t.Errorf("got %v", err)
	}
}

func TestTheTemperatureOfARequest(t *testing.T) {
	for request, want := range map[string]string{`{"temperature":0.5,"a":1}`: "0.5", `{"a":{"temperature":1}}`: "", `{"temperature":null}`: "null"} {
		if got, err := NewHash().Members([]byte(request), nil); err != nil || string(got) != want {
			t.Errorf("of %s: %q, %v", request, got, err)
		}
	}
	if _, err := NewHash().Members([]byte(`{"a":`), nil); err == nil {
		t.Error("half a request has a key")
	}
}

func BenchmarkLocal(b *testing.B) {
	l := NewLocal(memory.NewLimit(1<<30), nil)
	l.Set(1 << 28)
	e := Entry{Value: make([]byte, 2000)}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		k := Key{byte(n), byte(n >> 8)}
		if _, ok := l.Get(b.Context(), k); !ok {
			l.Put(b.Context(), k, e, time.Hour)
		}
	}
}
