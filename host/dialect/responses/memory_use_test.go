package responses

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/seal"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"

	"github.com/kai-gateway/kai/sdk/abi"
)

// counted returns an Info whose memory is counted, up to a limit.
func counted(limit int64) (dialect.Info, *memory.Grant) {
	grant := memory.New(memory.Options{Limit: limit}).Grant()
	info := testInfo
	info.Memory = &grant
	return info, &grant
}

// Everything that is kept of an answer is counted, however it came, and hardly more.
func TestWhatIsKeptIsCounted(t *testing.T) {
	const all = 2 << 20
	for name, m := range map[string]abi.Emission{
		"short texts":        text(strings.Repeat("a ", 16)),
		"texts with escapes": text(strings.Repeat("\n\"", 16)),
		"long texts":         raw(text(strings.Repeat("a ", 64<<10))),
		"reasoning":          thought(strings.Repeat("a ", 100)),
		"details":            detailed(`{"type":"reasoning.text","text":"` + strings.Repeat("a ", 100) + `"}`),
		"redacted details":   detailed(`{"type":"reasoning.encrypted","data":"` + strings.Repeat("a ", 1000) + `"}`),
		"arguments":          toolArgs(0, strings.Repeat("a ", 100)),
		"log probabilities":  logprobs(`["` + strings.Repeat("a ", 100) + `"]`),
	} {
		t.Run(name, func(t *testing.T) {
			info, grant := counted(1 << 30)
			e := newStream(testAsked, info).Begin().(*events)
			w := newWhole(testAsked, info).(*whole)
			for _, a := range []dialect.Answer{e, w} {
				before := grant.Used()
				ems := emit(toolName(0, "apply"), m)
				for n := 0; n < all; n += len(m.Data) {
					buf, err := a.Apply(nil, ems)
					if err != nil {
						t.Fatal(err)
					}
					ems = emit(m)
					a.Sent(true)
					if n > all/2 && len(buf) > 1<<20 {
						t.Fatalf("one emission appended %d bytes", len(buf))
					}
				}
				of := &w.answer
				if a == dialect.Answer(e) {
					of = &e.answer
				}
				kept := int64(cap(of.logprobs))
				for _, it := range of.items {
					kept += int64(cap(it.text) + cap(it.logprobs))
				}
				for i := range of.sealed.details {
					kept += int64(cap(of.sealed.details[i].Text) + len(of.sealed.details[i].Raw))
				}
				if kept < all*8/10 {
					t.Fatalf("%d bytes are kept", kept)
				}
				if counted := grant.Used() - before; counted < kept || counted > kept+kept/2+128<<10 {
					t.Errorf("%T keeps %d bytes, and %d are counted", a, kept, counted)
				}
			}
		})
	}
}

// An upstream that changes the kind of content with every byte makes many items, which
// count as well.
func TestItemsAreCounted(t *testing.T) {
	info, grant := counted(1 << 30)
	a := newStream(requestInfo{}, info).Begin()
	for range 5000 {
		if _, err := a.Apply(nil, emit(text("a"), thought("b"))); err != nil {
			t.Fatal(err)
		}
		a.Sent(true)
	}
	if used := grant.Used(); used < 10_000*itemBytes {
		t.Errorf("%d bytes are counted", used)
	}
}

// allocated returns how many bytes f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestALongAnswerIsNotCopiedMoreThanNeeded(t *testing.T) {
	const size = 32 << 20
	long := []byte(strings.Repeat("a long text\n", size/12))
	t.Run("whole, in one piece: what is kept and what is made of it", func(t *testing.T) {
		info, grant := counted(1 << 30)
		w := newWhole(requestInfo{}, info)
		var body []byte
		bytes := allocated(func() {
			if _, err := w.Apply(nil, emit(text(""), abi.Emission{Kind: abi.Text, Data: long, Raw: false}, finish("stop"))); err != nil {
				t.Fatal(err)
			}
			var err error
			if body, err = w.End(nil); err != nil {
				t.Fatal(err)
			}
		})
		// The escapes make the text longer than was known when its array was made.
		if most := uint64(4.5 * size); bytes > most {
			t.Errorf("%d MiB were allocated for an answer of %d MiB", bytes>>20, len(body)>>20)
		}
		if used := grant.Used(); used < int64(2*len(body))-4096 || used > int64(3*len(body)) {
			t.Errorf("%d MiB are counted", used>>20)
		}
	})
	t.Run("streamed, in small pieces", func(t *testing.T) {
		info, grant := counted(1 << 30)
		e := newStream(requestInfo{}, info).Begin()
		buf := make([]byte, 0, 64<<10)
		var err error
		bytes := allocated(func() {
			for n := 0; n < len(long); n += 1200 {
				if buf, err = e.Apply(buf[:0], emit(abi.Emission{Kind: abi.Text, Data: long[n:min(n+1200, len(long))]})); err != nil {
					t.Fatal(err)
				}
				e.Sent(false)
			}
		})
		if most := uint64(7 * size); bytes > most {
			t.Errorf("%d MiB were allocated for the deltas of an answer of %d MiB", bytes>>20, size>>20)
		}
		used := grant.Used()
		bytes = allocated(func() {
			if _, err := e.Apply(buf[:0], stop); err != nil {
				t.Fatal(err)
			}
			if buf, err = e.End(nil); err != nil {
				t.Fatal(err)
			}
		})
		if bytes > uint64(len(buf))+1<<20 || len(buf) < 4*size {
			t.Errorf("%d MiB were allocated for the last %d MiB", bytes>>20, len(buf)>>20)
		}
		if more := grant.Used() - used; more < int64(len(buf)) || more > int64(len(buf))+1<<20 {
			t.Errorf("%d MiB are counted for the last %d MiB", more>>20, len(buf)>>20)
		}
		e.Sent(true)
		if more := grant.Used() - used; more > 64<<10 {
			t.Errorf("%d KiB are still counted when they were sent", more>>10)
		}
	})
	t.Run("streamed, in one piece", func(t *testing.T) {
		info, _ := counted(1 << 30)
		e := newStream(requestInfo{}, info).Begin()
		plain := []byte(strings.Repeat("a", size))
		bytes := allocated(func() {
			if _, err := e.Apply(nil, emit(raw(abi.Emission{Kind: abi.Text, Data: plain}))); err != nil {
				t.Fatal(err)
			}
		})
		if most := uint64(2*size) + 64<<10; bytes > most {
			t.Errorf("%d MiB were allocated for a text of %d MiB", bytes>>20, size>>20)
		}
	})
}

// Too little memory, or too large an answer, ends it at whatever point, and nothing of
// the step that failed has reached the client.
func TestAnAnswerThatDoesNotFit(t *testing.T) {
	big := strings.Repeat("a", 700<<10)
	for name, tc := range map[string]struct {
		limit   int64
		maxHeld int
		in      calls
		kind    fault.Kind
	}{
		"a text that is too large for the memory": {1 << 20, 0, calls{emit(text("a")), emit(text(big)), emit(text(big))}, fault.Share},
		"the end of a text that just fits":        {2 << 20, 0, calls{emit(text(big)), stop}, fault.Share},
		"an answer larger than one may be":        {1 << 30, 1 << 20, calls{emit(text("a")), emit(text(big)), emit(text(big))}, fault.Upstream},
		"arguments larger than they may be":       {1 << 30, 1 << 20, calls{emit(toolName(0, "apply"), toolArgs(0, big)), emit(toolArgs(0, big))}, fault.Upstream},
		"short texts that become too large":       {1 << 30, 1 << 10, calls{emit(text(big[:500])), emit(text(big[:500])), emit(text(big[:500]))}, fault.Upstream},
	} {
		t.Run(name, func(t *testing.T) {
			info, _ := counted(tc.limit)
			info.MaxHeld = tc.maxHeld
			c := &client{stream: newStream(testAsked, info)}
			c.answer = c.stream.Begin()
			w := newWhole(testAsked, info)
			var err, err2 error
			for _, ems := range tc.in {
				if err2 == nil {
					_, err2 = w.Apply(nil, ems)
				}
				before := len(c.buf)
				if c.buf, err = c.answer.Apply(c.buf, ems); err != nil && len(c.buf) != before {
					t.Errorf("%d bytes were appended", len(c.buf)-before)
				}
				if err != nil {
					break
				}
				c.flush()
			}
			if err == nil {
				if _, err = c.answer.End(c.buf); err == nil {
					t.Fatal("it fits")
				}
			}
			if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != tc.kind {
				t.Errorf("the error is %#v", err)
			}
			if _, again := c.answer.End(nil); again == nil {
				t.Error("an answer that failed came to its end")
			}
			c.fail(err)
			if last, err := check(string(c.got)); err != nil || last != nil && last["status"] != statusFailed {
				t.Errorf("%v, %v in\n%.2000s", last, err, c.got)
			}
			if err2 != nil {
				if _, ok := errors.AsType[*fault.Error](err2); !ok {
					t.Errorf("the error of the whole answer is %#v", err2)
				}
			}
		})
	}
}

// The size that is counted before events are made is no less than they have.
func TestEventsHaveNoMoreBytesThanCounted(t *testing.T) {
	for _, tc := range told {
		s := newStream(testAsked, testInfo)
		e := s.Begin().(*events)
		for n, ems := range append(tc.in, nil) {
			deltas, err := e.facts.Apply(ems)
			if err != nil {
				t.Fatal(err)
			}
			counted, dst := 0, []byte(nil)
			if n < len(tc.in) {
				counted = e.applied(deltas)
				dst, err = e.render(nil, func() int { return 0 }, func() error { return e.takeAll(deltas, false) })
			} else {
				counted = e.ended()
				dst, err = e.End(nil)
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(dst) > counted {
				t.Errorf("%s: %d bytes, counted %d: %s", tc.name, len(dst), counted, fmt.Sprintf("%.300s", dst))
			}
		}
	}
}

// TestWhatIsAddedIsCountedFirst: what a request of some bytes adds to itself is counted
// before it is allocated, so that many of them at once can't take more than there is.
func TestWhatIsAddedIsCountedFirst(t *testing.T) {
	const size = 4 << 20
	m, _ := newMemory(64 << 20)
	o := Options{Store: m}
	answered(t, o, "", "1", `{"input":"`+strings.Repeat("x", size)+`"}`, strings.Repeat("y", size))
	sealed := seal.Seal(seal.Content{Details: raws(`{"text":"` + strings.Repeat("a", size-100) + `"}`)})
	for name, body := range map[string]string{
		"a response before": `{"input":"x","previous_response_id":"resp_1"}`,
		"a reference":       `{"input":[{"role":"user","content":"x"},{"type":"item_reference","id":"msg_1_1"}]}`,
		"sealed reasoning":  `{"input":[{"type":"reasoning","summary":[],"encrypted_content":"` + sealed + `"}]}`,
		"a sealed summary":  `{"input":[{"type":"compaction","encrypted_content":"` + sealSummary(bytes.Repeat([]byte{'a'}, size-100)) + `"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			read := func(limit int64) (allocated int64, err error) {
				grant := memory.New(memory.Options{Limit: limit}).Grant()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				_, err = Parse(o)(t.Context(), []byte(body), dialect.Caller{Memory: &grant})
				runtime.ReadMemStats(&after)
				return int64(after.TotalAlloc - before.TotalAlloc), err
			}
			if _, err := read(64 << 20); err != nil {
				t.Fatalf("with room enough: %v", err)
			}
			allocated, err := read(1 << 20)
			if _, ok := errors.AsType[*memory.Error](err); !ok || allocated > 1<<20 {
				t.Errorf("with room for 1 MiB, %d bytes were allocated before the error %v", allocated, err)
			}
		})
	}
}
