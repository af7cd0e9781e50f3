package wasm

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/race"
	"github.com/kai-gateway/kai/sdk/abi"
	"github.com/kai-gateway/kai/sdk/sdktest"
)

// told is one record of a script for testdata/hostile/tables.wat. Without ptr, the payload
// is put behind the table, where the record then points to.
type told struct {
	kind     abi.Kind
	at       int32
	payload  string
	ptr, len uint32
}

// What the guest does after its table, see tables.wat.
const (
	thenReturn = 0
	thenFail   = 1
	thenTrapIn = 97 // in kai_events only
	thenLoop   = 98
	thenTrap   = 99
)

// script has the guest give the gateway a table. It stands at that address of the guest's
// memory.
func script(at uint32, then uint32, records ...told) []byte {
	const head = 12
	word := binary.LittleEndian.AppendUint32
	b := word(word(word(nil, at+head), uint32(len(records))), then)
	var payloads []byte
	behind := at + head + uint32(len(records))*abi.RecordBytes
	for _, r := range records {
		if r.ptr == 0 && r.len == 0 {
			r.ptr, r.len = behind+uint32(len(payloads)), uint32(len(r.payload))
			payloads = append(payloads, r.payload...)
		}
		b = word(word(word(word(b, uint32(r.kind)), uint32(r.at)), r.ptr), r.len)
	}
	return append(b, payloads...)
}

// Where a script stands: the buffer is at 4096, and there is no state. The first frame of
// kai_events comes after its length.
const (
	inOne     = 4096
	inSeveral = 4096 + 4
)

func text(s string) told { return told{kind: abi.Text, payload: s} }

var next = told{kind: abi.Next}

// rawTable is a script with any address and number of records.
func rawTable(ptr, n, then uint32) []byte {
	word := binary.LittleEndian.AppendUint32
	return word(word(word(nil, ptr), n), then)
}

func TestTablesAreCheckedAsEmissionsAre(t *testing.T) {
	many := make([]told, abi.MaxRecords)
	for i := range many {
		many[i] = text("")
	}
	for name, tc := range map[string]struct {
		script []byte
		kind   FailureKind
		says   string // in the error; "": there is none
		want   string // the emissions
	}{
		"records in order":                   {script(inOne, 0, text("a"), told{kind: abi.Usage, payload: "{}"}, text("b")), 0, "", `TEXT 0 "a", USAGE 0 "{}", TEXT 0 "b"`},
		"an empty table":                     {script(inOne, 0), 0, "", ""},
		"an empty table anywhere":            {rawTable(0xffffffff, 0, 0), 0, "", ""},
		"as many records as there may be":    {script(inOne, 0, many...), 0, "", strings.TrimSuffix(strings.Repeat(`TEXT 0 "", `, len(many)), ", ")},
		"one record more":                    {script(inOne, 0, append(many, text(""))...), BadOutput, "emit_all: 4097 records; at most 4096", ""},
		"more records than memory":           {rawTable(inOne, 0xffffffff, 0), BadOutput, "emit_all: 4294967295 records", ""},
		"a table beyond memory":              {rawTable(2<<16, 1, 0), BadOutput, "its table is outside of memory", ""},
		"a table that ends beyond memory":    {rawTable(2<<16-8, 1, 0), BadOutput, "its table is outside of memory", ""},
		"a table that wraps around":          {rawTable(0xfffffff8, 1, 0), BadOutput, "its table is outside of memory", ""},
		"a payload beyond memory":            {script(inOne, 0, text("a"), told{kind: abi.Text, ptr: 2 << 16, len: 1}), BadOutput, "its payload is outside of memory", ""},
		"a payload that wraps around":        {script(inOne, 0, told{kind: abi.Text, ptr: 8, len: 0xffffffff}), BadOutput, "its payload is outside of memory", ""},
		"a kind that is none":                {script(inOne, 0, text("a"), told{kind: 99}), BadOutput, "kind 99 does not exist", ""},
		"a choice out of range":              {script(inOne, 0, told{kind: abi.Text, at: 128 << 16}), BadOutput, "choice 128", ""},
		"a request out of an event":          {script(inOne, 0, told{kind: abi.Request, payload: "POST /\n"}), BadOutput, "REQUEST is not allowed here", ""},
		"usage that is no JSON":              {script(inOne, 0, told{kind: abi.Usage, payload: "{"}), BadOutput, "USAGE: not a JSON object", ""},
		"a payload over the limit of a call": {script(inOne, 0, told{kind: abi.Text, ptr: 1, len: 100_000}, told{kind: abi.Text, ptr: 1, len: 100_000}), BadOutput, "more than", ""},
		"NEXT where there is one event":      {script(inOne, 0, next), BadOutput, "NEXT is not allowed here", ""},
		"a trap behind a good table":         {script(inOne, thenTrap, text("a")), Trap, "unreachable", ""},
		"a loop behind a good table":         {script(inOne, thenLoop, text("a")), OutOfFuel, "out of fuel", ""},
	} {
		t.Run(name, func(t *testing.T) {
			e := New(Options{})
			t.Cleanup(e.Close)
			a := e.Adapter("test", hostile(t, "tables"), AdapterOptions{Limits: Limits{Output: 128 << 10, Time: time.Hour}})
			t.Cleanup(a.Close)
			if err := a.Wait(t.Context(), time.Hour); err != nil {
				t.Fatal(err)
			}
			var b Batch
			err := event(a, string(tc.script), &b)
			var broke *CallError
			switch {
			case tc.says == "" && err != nil:
				t.Fatal(err)
			case tc.says != "" && (!errors.As(err, &broke) || broke.Kind != tc.kind || !strings.Contains(err.Error(), tc.says)):
				t.Errorf("error = %v, want %v with %q", err, tc.kind, tc.says)
			}
			if got := emissions(b.Emissions); got != tc.want {
				t.Errorf("it stated %.300s, want %.300s", got, tc.want)
			}
			if err := event(a, "still here", &b); err != nil || emissions(b.Emissions) != `TEXT 0 "still here"` {
				t.Errorf("the next call: %v, %v", emissions(b.Emissions), err)
			}
		})
	}
}

// emissions writes emissions down.
func emissions(ems []abi.Emission) string {
	var all []string
	for _, e := range ems {
		all = append(all, fmt.Sprintf("%v %d %q", e.Kind, e.At, e.Data))
	}
	return strings.Join(all, ", ")
}

// TestAFloodOfTablesBurnsFuel: emissions cost the same however they come, and so do calls
// that bring none.
func TestAFloodOfTablesBurnsFuel(t *testing.T) {
	a := newAdapter(t, hostile(t, "tables"), nil)
	records := make([]told, 1000)
	for i := range records {
		records[i] = text("")
	}
	var few, all Batch
	if err := event(a, string(script(inOne, 0, records[:freeEmits]...)), &few); err != nil {
		t.Fatal(err)
	}
	if err := event(a, string(script(inOne, 0, records...)), &all); err != nil {
		t.Fatal(err)
	}
	if got, want := all.Cost.Fuel-few.Cost.Fuel, int64(1000*(len(records)-freeEmits)); got != want {
		t.Errorf("%d emissions more cost %d fuel, want %d", len(records)-freeEmits, got, want)
	}
}

// framesOf makes frames of some events.
func framesOf(t testing.TB, events ...string) *Frames {
	t.Helper()
	f := &Frames{}
	for _, data := range events {
		if !f.Add([]byte(data)) {
			t.Fatalf("there is no room for frame %d", f.Len())
		}
	}
	return f
}

func TestHostileAnswersToSeveralEvents(t *testing.T) {
	state := told{kind: abi.State, payload: "s"}
	for name, tc := range map[string]struct {
		script []byte
		says   string // in the log; "": nothing is wrong, or nobody is to blame
		want   string // what was stated, by frame; "": the call comes to nothing
	}{
		"a part for each frame":           {script(inSeveral, 0, text("a"), next, text("b"), text("c"), next), "", `TEXT 0 "a" | TEXT 0 "b", TEXT 0 "c" | `},
		"the state at the end":            {script(inSeveral, 0, next, next, text("a"), state), "", ` |  | TEXT 0 "a", STATE 0 "s"`},
		"the same name in two frames":     {script(inSeveral, 0, told{kind: abi.ToolName, payload: "f"}, next, told{kind: abi.ToolName, payload: "f"}, next), "", `TOOL_NAME 0 "f" | TOOL_NAME 0 "f" | `},
		"no NEXT":                         {script(inSeveral, 0, text("a")), "returned before its last frame", ""},
		"an end before the last frame":    {script(inSeveral, 0, text("a"), next, told{kind: abi.End}), "returned before its last frame", ""},
		"more NEXT than frames":           {script(inSeveral, 0, next, next, next), "NEXT: there is no further frame", ""},
		"NEXT without end":                {script(inSeveral, 0, repeatNext(abi.MaxRecords-4000)...), "NEXT: there is no further frame", ""},
		"NEXT with a payload":             {script(inSeveral, 0, told{kind: abi.Next, payload: "x"}), "NEXT: it has no payload", ""},
		"the state before the last frame": {script(inSeveral, 0, state, next, next), "NEXT: after STATE", ""},
		"the state twice":                 {script(inSeveral, 0, next, next, state, state), "STATE: a second one in kai_events", ""},
		"a state over the limit":          {script(inSeveral, 0, next, next, told{kind: abi.State, ptr: 8, len: abi.MaxState + 1}), "at most 4096 are kept", ""},
		"the same name twice in a frame":  {script(inSeveral, 0, told{kind: abi.ToolName, payload: "f"}, told{kind: abi.ToolName, payload: "f"}, next, next), "a second one for choice 0", ""},
		"a request":                       {script(inSeveral, 0, told{kind: abi.Request, payload: "POST /\n"}, next, next), "REQUEST is not allowed here", ""},
		"a wait":                          {script(inSeveral, 0, told{kind: abi.Wait}, next, next), "WAIT is not allowed here", ""},
		"PASS for what is no native API":  {script(inSeveral, 0, told{kind: abi.Pass}, next, next), "PASS is not allowed here", ""},
		"a table out of reach":            {rawTable(0xfffffff0, 1, 0), "its table is outside of memory", ""},
		"too many records":                {rawTable(inSeveral, abi.MaxRecords+1, 0), "4097 records", ""},
		"more than one frame may lead to": {script(inSeveral, 0, told{kind: abi.Text, ptr: 1, len: 100_000}, told{kind: abi.Text, ptr: 1, len: 30_000}, next, next), "more than", ""},
		"a trap":                          {script(inSeveral, thenTrap, next, next), "unreachable", ""},
		"a loop":                          {script(inSeveral, thenLoop, next, next), "out of fuel", ""},
		"a status that is none":           {script(inSeveral, 7, next, next), "returned status 7", ""},
		"a failure":                       {script(inSeveral, thenFail, text("a"), next), "", ""},
		"a failure with a state":          {script(inSeveral, thenFail, next, state, told{kind: abi.Error, payload: "{}"}), "", ""},
		"an error":                        {script(inSeveral, 0, text("a"), told{kind: abi.Error, payload: `{"message":"No."}`}), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			a := newAdapter(t, hostile(t, "tables"), &log)
			a.runner.limits.Output = 100 << 10
			frames := framesOf(t, string(tc.script), "second", "third")
			var b Batch
			b.Calls.OK = 7
			took := a.Events(t.Context(), abi.Chat, nil, frames, &b)
			if took != (tc.want != "") {
				t.Fatalf("Events = %v\n%s", took, log.String())
			}
			blamed := strings.Contains(log.String(), "several events in one call broke the adapter")
			if blamed != (tc.says != "") || !strings.Contains(log.String(), tc.says) {
				t.Errorf("the log lacks %q:\n%s", tc.says, log.String())
			}
			if a.pause.failing.Load() || b.Calls.Broken != 0 || b.Calls.Failed != 0 {
				t.Errorf("the call counts as one that broke: %+v", b.Calls)
			}
			if !took {
				if len(b.Emissions) != 0 || b.Calls.OK != 7 {
					t.Errorf("it left %v behind, and %d calls", b.Emissions, b.Calls.OK)
				}
				if err := event(a, "still here", &b); err != nil || emissions(b.Emissions) != `TEXT 0 "still here"` {
					t.Errorf("the next call: %v, %v", emissions(b.Emissions), err)
				}
				return
			}
			if got := byFrame(&b, frames); got != tc.want {
				t.Errorf("it stated %s\nwant %s", got, tc.want)
			}
		})
	}
}

func repeatNext(n int) (all []told) {
	for range n {
		all = append(all, next)
	}
	return all
}

// byFrame writes down what was stated about each frame.
func byFrame(b *Batch, frames *Frames) string {
	var all []string
	for _, ems := range b.EachFrame(frames) {
		all = append(all, emissions(ems))
	}
	return strings.Join(all, " | ")
}

// TestFuelOfSeveralEventsIsTheSum: fuel for all frames together, and each frame's own
// room for what it leads to.
func TestFuelOfSeveralEventsIsTheSum(t *testing.T) {
	a := newAdapter(t, hostile(t, "tables"), nil)
	a.runner.limits.Output = 100 << 10
	large := told{kind: abi.Text, ptr: 1, len: 100_000}
	frames := framesOf(t, string(script(inSeveral, 0, large, next, large, next, large)), "b", "c")
	var b Batch
	if !a.Events(t.Context(), abi.Chat, nil, frames, &b) {
		t.Fatal("what fits into each frame's room was refused")
	}
	want := int64(fuelPerHeld * b.Cost.Memory) // the guest has had it from its start
	for data := range frames.All() {
		want += a.runner.limits.fuel(len(data))
	}
	if b.Cost.Limit != want {
		t.Errorf("the limit is %d fuel, want %d", b.Cost.Limit, want)
	}
}

// TestEventsThatAreTooMuchTogetherAreTakenAlone: a call's input has its limit, which each of
// them may be below.
func TestEventsThatAreTooMuchTogetherAreTakenAlone(t *testing.T) {
	a := newAdapter(t, hostile(t, "tables"), nil)
	frames := framesOf(t, string(script(inSeveral, 0, next)), "b")
	var b Batch
	a.runner.limits.Input = len(frames.encoded)
	if !a.Events(t.Context(), abi.Chat, nil, frames, &b) {
		t.Error("as much as the limit is too much")
	}
	made := a.instantiated.Load()
	if a.Events(t.Context(), abi.Chat, []byte("s"), frames, &b) || a.instantiated.Load() != made || !a.TakesEvents() {
		t.Error("more than the limit is given to the adapter, or held against it")
	}
}

// TestEventsThatBreakAgainAndAgainAreGivenUp: each costs an instance, which single calls
// would not.
func TestEventsThatBreakAgainAndAgainAreGivenUp(t *testing.T) {
	var log bytes.Buffer
	a := newAdapter(t, hostile(t, "tables"), &log)
	var b Batch
	bad := framesOf(t, string(script(inSeveral, thenTrapIn)), "b")
	good := framesOf(t, string(script(inSeveral, 0, next)), "b")
	for i := range brokenInARow - 1 {
		if a.Events(t.Context(), abi.Chat, nil, bad, &b) {
			t.Fatal("a trap is a success")
		}
		if i == 2 && !a.Events(t.Context(), abi.Chat, nil, good, &b) {
			t.Fatal("a good call is refused") // it counts from here
		}
	}
	if !a.TakesEvents() {
		t.Error("it is given up though a call between worked")
	}
	for range brokenInARow {
		a.Events(t.Context(), abi.Chat, nil, bad, &b)
	}
	made := a.instantiated.Load()
	if a.TakesEvents() || a.Events(t.Context(), abi.Chat, nil, good, &b) || a.instantiated.Load() != made {
		t.Error("it is not given up")
	}
	if n := strings.Count(log.String(), "from now on it gets each in a call of its own"); n != 1 {
		t.Errorf("the log says so %d times:\n%s", n, log.String())
	}
	if left := a.Paused(); left != 0 {
		t.Errorf("the adapter is paused for %v", left)
	}
}

func TestFramesHaveLimits(t *testing.T) {
	var f Frames
	for i := range abi.MaxFrames {
		if !f.Add([]byte("x")) {
			t.Fatalf("no room for frame %d", i)
		}
	}
	if f.Add([]byte("x")) || f.Len() != abi.MaxFrames {
		t.Errorf("there is room for %d frames", f.Len())
	}
	f.Reset()
	if f.Add(make([]byte, abi.MaxFrame+1)) || f.Len() != 0 {
		t.Error("there is room for too long a frame")
	}
	const whole = abi.MaxFrameBytes / (4 + abi.MaxFrame)
	for range whole {
		f.Add(make([]byte, abi.MaxFrame))
	}
	left := abi.MaxFrameBytes - whole*(4+abi.MaxFrame) - 4
	if f.Add(make([]byte, left+1)) || !f.Add(make([]byte, left)) || f.Len() != whole+1 {
		t.Errorf("%d frames with %d bytes", f.Len(), len(f.encoded))
	}
	n := 0
	for data := range f.All() {
		n += len(data)
	}
	if want := abi.MaxFrameBytes - 4*f.Len(); n != want {
		t.Errorf("they have %d bytes, want %d", n, want)
	}
}

// FuzzTables has a guest give the gateway any bytes as its table, in both exports. Nothing
// may pass that the checks of single emissions would refuse.
func FuzzTables(f *testing.F) {
	f.Add(script(inOne, 0, text("a"), told{kind: abi.Text | abi.Raw, payload: `\u00e9`}), false)
	f.Add(script(inOne, 1, told{kind: abi.Error, payload: "{}"}), false)
	f.Add(script(inSeveral, 0, text("a"), next, told{kind: abi.Usage, payload: "{}"}, next, told{kind: abi.State, payload: "s"}), true)
	f.Add(script(inSeveral, 0, told{kind: abi.ToolName, at: abi.At(1, 2), payload: "f"}, next, next, next), true)
	f.Add(rawTable(2<<16-16, 1, 0), true)
	a := newAdapter(f, hostile(f, "tables"), nil)
	f.Fuzz(func(t *testing.T, data []byte, several bool) {
		if len(data) >= 12 && binary.LittleEndian.Uint32(data[8:]) > 1 {
			return // it would break an instance
		}
		var b Batch
		frames := &Frames{}
		switch {
		case !several:
			if err := event(a, string(data), &b); err == nil {
				checkAgain(t, inEvent, b.Emissions)
			}
		case frames.Add(data) && frames.Add([]byte("second")) && frames.Add([]byte("third")):
			a.runner.eventsBroke.Store(0)
			a.runner.pause.worked()
			if !a.Events(t.Context(), abi.Chat, nil, frames, &b) {
				return
			}
			n, total := 0, 0
			for _, ems := range b.EachFrame(frames) {
				if n++; n < 3 && strings.Contains(emissions(ems), "STATE ") {
					for _, e := range ems {
						if e.Kind == abi.State {
							t.Errorf("a state after frame %d: %s", n, emissions(ems))
						}
					}
				}
				checkAgain(t, inEvent, ems)
				total += len(ems)
			}
			if n != 3 || total+2 != len(b.Emissions) {
				t.Errorf("%d parts with %d of %d emissions", n, total, len(b.Emissions))
			}
		}
		a.runner.pause.worked()
	})
}

// checkAgain gives emissions that were accepted to a collector of their own.
func checkAgain(t *testing.T, in export, ems []abi.Emission) {
	t.Helper()
	var c collector
	var b Batch
	c.begin(&b, in, abi.Chat, 64<<20)
	for _, e := range ems {
		kind := int32(e.Kind)
		if e.Raw {
			kind |= abi.Raw
		}
		if c.emit(kind, e.At, e.Data) != emitOK {
			t.Fatalf("%s passed, and is refused by itself: %v", emissions([]abi.Emission{e}), c.refused)
		}
	}
}

// TestModulesOfOldSDKsRun replays the examples' transcripts with modules that the SDKs
// made before there were tables and calls with several events. They are never built anew.
func TestModulesOfOldSDKsRun(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	files, err := filepath.Glob("testdata/old/*.wasm.gz")
	if err != nil || len(files) != 3 {
		t.Fatalf("%d modules, want 3: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".wasm.gz"), func(t *testing.T) {
			packed, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer packed.Close()
			z, err := gzip.NewReader(packed)
			if err != nil {
				t.Fatal(err)
			}
			module, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			a := newAdapter(t, module, nil)
			if a.TakesEvents() {
				t.Error("it takes several events in a call: is it an old one?")
			}
			sdktest.RunCaller(t, &replayer{adapter: a}, "../../testdata/transcripts/example/*.txtar")
		})
	}
}
