package responses

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/memory"
)

// listOf asks for the input of alice's response resp_1, and returns the numbers that its items
// say, joined by spaces, and whether there are more.
func listOf(t *testing.T, s Store, query string, m *memory.Grant) (numbers string, more bool, err error) {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	body, err := Input(context.Background(), s, "alice", "resp_1", values, m)
	if err != nil {
		return "", false, err
	}
	var list struct {
		Data []struct {
			ID      string
			Content []struct{ Text string }
		}
		First string `json:"first_id"`
		Last  string `json:"last_id"`
		More  bool   `json:"has_more"`
	}
	if err := json.Unmarshal(body, &list); err != nil {
		t.Fatalf("%q: %v in %.300s", query, err, body)
	}
	if len(body) != cap(body) {
		t.Errorf("%q: the list has %d bytes and room for %d", query, len(body), cap(body))
	}
	if n := len(list.Data); n > 0 && (list.First != list.Data[0].ID || list.Last != list.Data[n-1].ID) {
		t.Errorf("%q: the list is from %q to %q, but says from %q to %q", query, list.Data[0].ID, list.Data[n-1].ID, list.First, list.Last)
	}
	var all []string
	for _, it := range list.Data {
		number, _, _ := strings.Cut(it.Content[0].Text, " ")
		all = append(all, number)
	}
	return strings.Join(all, " "), list.More, nil
}

// numbered returns a message that says a number, and then so many bytes.
func numbered(number, bytes int, id string) string {
	if id != "" {
		id = `"id":"` + id + `",`
	}
	return fmt.Sprintf(`{%s"role":"user","content":"%d %s"}`, id, number, strings.Repeat("x", bytes))
}

// keepAsked remembers a response to items as resp_1 of alice.
func keepAsked(t *testing.T, s Store, items ...string) {
	t.Helper()
	answered(t, Options{Store: s, MaxBody: 64 << 20}, "alice", "1", `{"input":[`+strings.Join(items, ",")+`]}`, "one")
}

// TestPagesOfAnInput: items that stand in the record and others, with ids and without.
func TestPagesOfAnInput(t *testing.T) {
	m, _ := newMemory(1 << 20)
	const twice = 400
	keepAsked(t, m, numbered(0, 0, ""), numbered(1, 500, ""), numbered(2, 500, "own"), numbered(3, 0, `sm\u0061ll`),
		numbered(4, twice, "twice"), numbered(5, 500, ""), numbered(4, twice, "twice"), numbered(7, 500, "item_1_7"), numbered(8, 500, "item_1_5"), numbered(9, 0, "item_1_1000"))
	for _, tc := range []struct {
		query, want string
		more        bool
	}{
		{"", "9 8 7 4 5 4 3 2 1 0", false},
		{"order=desc&limit=3", "9 8 7", true},
		{"order=asc", "0 1 2 3 4 5 4 7 8 9", false},
		{"order=asc&limit=1", "0", true},
		{"order=asc&limit=10", "0 1 2 3 4 5 4 7 8 9", false},
		{"order=asc&limit=2&after=item_1_0", "1 2", true},
		{"order=asc&limit=2&after=own", "3 4", true},
		{"limit=2&after=own", "1 0", false},
		{"limit=1&after=own", "1", true},
		{"order=asc&limit=1&after=small", "4", true},
		{"order=asc&limit=1&after=twice", "5", true},
		{"limit=2&after=twice", "5 4", true},
		{"order=asc&after=item_1_5", "4 7 8 9", false},
		{"order=asc&after=item_1_7", "8 9", false},
		{"limit=1&after=item_1_1000", "8", true},
		{"order=asc&after=item_1_1000", "", false},
		{"after=item_1_0", "", false},
	} {
		got, more, err := listOf(t, m, tc.query, nil)
		if err != nil || got != tc.want || more != tc.more {
			t.Errorf("%q gives %q, more %v, %v; want %q, more %v", tc.query, got, more, err, tc.want, tc.more)
		}
	}
	for query, param := range map[string]string{
		"after=nothing": "after", "after=item_1_2": "after", "after=item_1_10": "after", "after=item_1_01": "after", "after=item_1_-1": "after", "after=1": "after",
		"after=item_2_0": "after", "limit=0": "limit", "limit=101": "limit", "limit=x": "limit", "order=up": "order",
	} {
		_, _, err := listOf(t, m, query, nil)
		if e, ok := errors.AsType[*fault.Error](err); !ok || e.Kind != fault.Invalid || e.Param != param {
			t.Errorf("%q gives the error %v", query, err)
		}
	}
	if err := m.Delete(context.Background(), "alice", []string{inputKey(m.Digest([]byte(numbered(5, 500, ""))))}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := listOf(t, m, "", nil); fault.KindOf(err) != fault.NotFound {
		t.Errorf("with an item forgotten, the error is %v", err)
	}
	if _, _, err := listOf(t, failing{}, "", nil); fault.KindOf(err) != fault.Full {
		t.Errorf("of a store that fails, the error is %v", err)
	}
}

// TestAnInputOfMoreThanAreReadAtOnce is looked through to its end.
func TestAnInputOfMoreThanAreReadAtOnce(t *testing.T) {
	m, _ := newMemory(1 << 20)
	var items []string
	for i := range 3*readAtOnce + 1 {
		items = append(items, numbered(i, 300*(i%2), fmt.Sprint("m", i)))
	}
	keepAsked(t, m, items...)
	for i := range items {
		want := fmt.Sprint(i + 1)
		if i == len(items)-1 {
			want = ""
		}
		if got, _, err := listOf(t, m, fmt.Sprint("order=asc&limit=1&after=m", i), nil); err != nil || got != want {
			t.Errorf("after %d comes %q, %v", i, got, err)
		}
	}
	if got, more, err := listOf(t, m, "order=asc&limit=100&after=m0", nil); err != nil || more || len(strings.Fields(got)) != len(items)-1 {
		t.Errorf("after the first come %s, more %v, %v", got, more, err)
	}
}

// noting notes which keys are read.
type noting struct {
	Store
	keys []string
}

func (r *noting) Get(ctx context.Context, owner string, keys []string) ([][]byte, error) {
	r.keys = append(r.keys, keys...)
	return r.Store.Get(ctx, owner, keys)
}

// TestOnlyThePageIsRead: what is not listed isn't read, and what is equal is read once.
func TestOnlyThePageIsRead(t *testing.T) {
	m, _ := newMemory(1 << 20)
	items := []string{numbered(0, 0, ""), numbered(1, 1000, "own")}
	for i := range 40 {
		items = append(items, numbered(i+2, 1000, ""))
	}
	for range 10 {
		items = append(items, numbered(50, 1000, ""))
	}
	keepAsked(t, m, items...)
	for query, want := range map[string]int{
		"limit=1":                          1,
		"limit=10":                         1,
		"order=asc&limit=1":                0,
		"order=asc&limit=5":                4,
		"order=asc&limit=2&after=item_1_9": 3, // that one, and two
		"order=asc&limit=1&after=own":      readAtOnce - 1 + 1,
	} {
		r := &noting{Store: m}
		if _, _, err := listOf(t, r, query, nil); err != nil || len(r.keys) != 1+want {
			t.Errorf("%q reads %d items, want %d: %v", query, len(r.keys)-1, want, err)
		}
	}
}

// TestTheListOfAnInputIsCounted: of a hundred large equal items, a page of one takes the memory
// of one, and a larger one is refused where there isn't enough.
func TestTheListOfAnInputIsCounted(t *testing.T) {
	const size = 200 << 10
	m, _ := newMemory(4 << 20)
	items := make([]string, 100)
	for i := range items {
		items[i] = numbered(7, size, "")
	}
	keepAsked(t, m, items...)
	for _, tc := range []struct {
		name, query string
		limit       int64
		listed      int // 0: refused
	}{
		{"a page of one item in little", "limit=1", 2*size + memory.Grain, 1},
		{"a page of one item after another in little", "limit=1&after=item_1_5", 3*size + memory.Grain, 1},
		{"a page of all", "limit=100", 101*size + 2*memory.Grain, 100},
		{"a page of all in too little", "limit=100", 100 * size, 0},
		{"a page of the usual length in too little", "", 20 * size, 0},
		{"one item where there is room for none", "limit=1", size, 0},
		{"one item where there is room for no list", "limit=1", 2*size - memory.Grain, 0},
		{"a search where there is room for none", "after=nothing", size, 0},
		{"where there is room for nothing", "limit=1", 0, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			total := memory.New(memory.Options{Limit: tc.limit})
			grant := total.Grant()
			got, _, err := listOf(t, m, tc.query, &grant)
			if tc.listed == 0 {
				if _, ok := errors.AsType[*memory.Error](err); !ok || grant.Used() != 0 {
					t.Errorf("it gives %.20q, %v and holds %d bytes", got, err, grant.Used())
				}
			} else if n, most := len(strings.Fields(got)), int64(tc.listed)*(size+200)+200; err != nil || n != tc.listed || grant.Used() < int64(n*size) || grant.Used() > most {
				t.Errorf("%d items are listed and %d bytes held, want %d in %d: %v", n, grant.Used(), tc.listed, most, err)
			}
			grant.Release()
			if total.Used() != 0 {
				t.Errorf("%d bytes are not given back", total.Used())
			}
		})
	}
	total := memory.New(memory.Options{Limit: 1 << 30})
	grant := total.Grant()
	if _, _, err := listOf(t, m, "after=nothing", &grant); fault.KindOf(err) != fault.Invalid || grant.Used() != 0 {
		t.Errorf("after what is no id, %d bytes are held: %v", grant.Used(), err)
	}
}

// TestKeysAndIdsOfAnyLetters: the list has the bytes that were counted, or fewer.
func TestKeysAndIdsOfAnyLetters(t *testing.T) {
	const long = `{"id":"a\"\\\u0001é\ud83d\ude00","type":null,"role":"assistant","k\u0001\"\\é\u2028":1,"content":"x","content":"y"}`
	for _, item := range []string{long, `{}`, `{"type":"","id":5,"content":"x"}`, `{ "id" : "" , "type" : "t", "role" : "user" , "content" : "x" }`} {
		in := input{id: "resp_\x01"}
		page := []listed{{[]byte(item), in.idOf([]byte(item), 0)}}
		var size listing
		size.list(page, true)
		l := listing{dst: make([]byte, 0, size.bytes)}
		l.list(page, true)
		if !json.Valid(l.dst) || len(l.dst) > size.bytes {
			t.Errorf("%d bytes were counted for the %d of %s", size.bytes, len(l.dst), l.dst)
		}
	}
}
