package responses

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/memory"
)

// clock is a time that tests set.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }

// newMemory returns a memory of some bytes that remembers for an hour.
func newMemory(maxBytes int64) (*Memory, *clock) {
	c := &clock{time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	m := NewMemory(memory.Grant{}, c.now)
	m.Set(maxBytes, time.Hour)
	return m, c
}

func put(t testing.TB, m Store, owner string, keysAndValues ...string) {
	t.Helper()
	for i := 0; i < len(keysAndValues); i += 2 {
		if err := m.Put(context.Background(), owner, []Entry{{keysAndValues[i], []byte(keysAndValues[i+1])}}); err != nil {
			t.Fatal(err)
		}
	}
}

// has tells what an owner's keys are in memory, joined by spaces; "-" for what is not.
func has(t testing.TB, m Store, owner string, keys ...string) string {
	t.Helper()
	values, err := m.Get(context.Background(), owner, keys)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, v := range values {
		if v == nil {
			v = []byte("-")
		}
		all = append(all, string(v))
	}
	return strings.Join(all, " ")
}

func TestMemoryRemembers(t *testing.T) {
	m, _ := newMemory(1 << 20)
	value := []byte("1")
	if err := m.Put(context.Background(), "alice", []Entry{{"a", value}, {"b", []byte("2")}}); err != nil {
		t.Fatal(err)
	}
	value[0] = 'x'
	if got := has(t, m, "alice", "b", "c", "a"); got != "2 - 1" {
		t.Errorf("it remembers %q, want what was put", got)
	}
	put(t, m, "alice", "a", "other")
	if got := has(t, m, "alice", "a"); got != "1" {
		t.Errorf("after a second put it remembers %q, want the first", got)
	}
	if err := m.Delete(context.Background(), "alice", []string{"a", "nothing"}); err != nil {
		t.Fatal(err)
	}
	if got := has(t, m, "alice", "a", "b"); got != "- 2" {
		t.Errorf("without a it remembers %q", got)
	}
}

func TestMemoryIsOfOneOwner(t *testing.T) {
	m, _ := newMemory(1 << 20)
	put(t, m, "alice", "a", "hers")
	put(t, m, "bob", "a", "his", "b", "too")
	if err := m.Delete(context.Background(), "alice", []string{"b"}); err != nil {
		t.Fatal(err)
	}
	for owner, want := range map[string]string{"alice": "hers -", "bob": "his too", "": "- -", "carol": "- -"} {
		if got := has(t, m, owner, "a", "b"); got != want {
			t.Errorf("for %q it remembers %q, want %q", owner, got, want)
		}
	}
}

func TestMemoryForgetsWhatIsNotUsed(t *testing.T) {
	m, c := newMemory(1 << 20)
	put(t, m, "", "a", "1", "b", "2", "c", "3")
	c.pass(40 * time.Minute)
	has(t, m, "", "a")
	put(t, m, "", "b", "2")
	c.pass(40 * time.Minute)
	if got := has(t, m, "", "a", "b", "c"); got != "1 2 -" {
		t.Errorf("after a while it remembers %q, want what was used", got)
	}
	c.pass(time.Hour + 1)
	put(t, m, "", "d", "4")
	if len(m.entries) != 1 {
		t.Errorf("%d values are kept, want only the new one", len(m.entries))
	}
}

func TestMemoryIsBounded(t *testing.T) {
	const each = entryBytes + 1 + 1000
	m, _ := newMemory(4*each + 100)
	for _, key := range strings.Fields("a b c d") {
		put(t, m, "", key, strings.Repeat(key, 1000))
	}
	has(t, m, "", "a")
	put(t, m, "", "e", strings.Repeat("e", 1000))
	if got := has(t, m, "", strings.Fields("a b c d e")...); strings.Count(got, "-") != 1 || strings.Fields(got)[1] != "-" {
		t.Errorf("it forgot %q, want b, which was not used for the longest time", got)
	}
	if m.Used() != 4*each {
		t.Errorf("%d bytes are used, want %d", m.Used(), 4*each)
	}
	put(t, m, "", "f", strings.Repeat("f", 2000))
	if got := has(t, m, "", "f"); got != "-" {
		t.Error("a value of more than a quarter of the memory is remembered")
	}
	m.Set(2*each, time.Hour)
	if m.Used() != 2*each {
		t.Errorf("with less memory %d bytes are used, want %d", m.Used(), 2*each)
	}
	m.Set(0, time.Hour)
	put(t, m, "", "g", "")
	if m.Used() != 0 || len(m.entries) != 0 || m.recent.Len() != 0 {
		t.Errorf("without memory %d bytes are used", m.Used())
	}
}

// TestMemoryIsCounted: it takes its bytes of the gateway's, and makes do with those
// there are.
func TestMemoryIsCounted(t *testing.T) {
	total := memory.New(memory.Options{Limit: 4 * memory.Grain})
	m := NewMemory(total.Grant(), nil)
	m.Set(1<<30, time.Hour)
	for i := range 100 {
		put(t, m, "", fmt.Sprint(i), strings.Repeat("x", 10_000))
	}
	if used := total.Used(); used != 4*memory.Grain || m.Used() > used || m.Used() < used-20_000 {
		t.Errorf("%d bytes are remembered and %d counted of %d", m.Used(), used, 4*memory.Grain)
	}
	if got := has(t, m, "", "99", "0"); !strings.HasPrefix(got, "xxx") || !strings.HasSuffix(got, " -") {
		t.Errorf("it remembers %.20q, want the last one", got)
	}
	m.Set(0, time.Hour)
	if used := total.Used(); used > memory.Grain {
		t.Errorf("%d bytes are counted for nothing", used)
	}
	other := total.Grant()
	if err := other.Hold(3 * memory.Grain); err != nil {
		t.Fatal(err)
	}
	m.Set(1<<30, time.Hour)
	put(t, m, "", "a", strings.Repeat("x", 2*memory.Grain), "b", "small")
	if got := has(t, m, "", "a", "b"); got != "- small" {
		t.Errorf("with little memory it remembers %.20q", got)
	}
}

func TestDigests(t *testing.T) {
	m, _ := newMemory(0)
	seen := map[string]string{}
	for i := range 10_000 {
		value := strings.Repeat("x", i%100) + fmt.Sprint(i)
		digest := m.Digest([]byte(value))
		if other, ok := seen[digest]; ok || len(digest) != 32 {
			t.Fatalf("the digest of %q is %q, as that of %q", value, digest, other)
		}
		seen[digest] = value
		if again := m.Digest([]byte(value)); again != digest {
			t.Fatalf("the digest of %q is %q, then %q", value, digest, again)
		}
	}
}

func TestMemoryIsSafeForConcurrentUse(t *testing.T) {
	m, _ := newMemory(10_000)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 200 {
				key := fmt.Sprint((i + j) % 20)
				put(t, m, "", key, key)
				if got := has(t, m, "", key); got != key && got != "-" {
					t.Errorf("the value of %s is %s", key, got)
				}
				if j%10 == 0 {
					_ = m.Delete(context.Background(), "", []string{key})
					m.Set(int64(10_000-j), time.Hour)
				}
			}
		})
	}
	all.Wait()
}
