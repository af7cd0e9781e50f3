package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/record"
)

var noon = time.Unix(1_700_000_000, 0)

// request is the record of one that took a second, of an alias.
func request(alias string, began time.Time) *record.Request {
	r := &record.Request{
		ID: "req_1", Began: began, Duration: time.Second, Endpoint: "/v1/chat/completions", Model: alias, Alias: alias, Provider: "up", UpstreamModel: "m",
		Stream: true, Status: 200, FirstContent: 200 * time.Millisecond, Usage: record.Usage{Input: 100, Output: 10},
	}
	r.Add(record.Attempt{Provider: "up", Model: "m", Began: began, Duration: time.Second, Cost: record.Cost{Nano: 7, Known: true}, Calls: record.Calls{OK: 3, Fuel: 900}})
	return r
}

func TestOnlyTheLastRequestsAreKept(t *testing.T) {
	q := NewRequests()
	for range maxRequests + 7 {
		q.Add(request("m", noon), nil)
	}
	all := q.last(filter{})
	if len(all) != maxRequests || all[0].Number != maxRequests+7 || all[maxRequests-1].Number != 8 {
		t.Errorf("of %d requests %d are kept, from %d to %d", maxRequests+7, len(all), all[len(all)-1].Number, all[0].Number)
	}
	if c := q.Calls("up"); c.OK != 3*(maxRequests+7) || c.Fuel != 900*(maxRequests+7) {
		t.Errorf("the adapter's calls are %+v", c)
	}
}

func TestARequestSaysWhatServedItInstead(t *testing.T) {
	q := NewRequests()
	r := request("m", noon)
	r.Instead = "spare"
	q.Add(r, nil)
	if b, err := json.Marshal(q.last(filter{})[0]); err != nil || !strings.Contains(string(b), `"model":"m","instead":"spare"`) {
		t.Errorf("%v: %s", err, b)
	}
}

func TestFilters(t *testing.T) {
	q := NewRequests()
	for i, status := range []int{200, 200, 404, 502, 499} {
		r := request(fmt.Sprintf("m%d", i%2), noon)
		r.Key, r.Status = fmt.Sprintf("k%d", i%3), status
		if status >= 400 {
			r.Class = "server"
		}
		q.Add(r, nil)
	}
	for name, tc := range map[string]struct {
		query string
		want  int
	}{
		"nothing chooses all":             {"", 5},
		"by model":                        {"model=m1", 2},
		"by key":                          {"key=k0", 2},
		"those that were answered":        {"status=ok", 2},
		"those that were not":             {"status=failed", 3},
		"by a status":                     {"status=502", 1},
		"by model and status":             {"model=m0&status=404", 1},
		"what nobody is":                  {"model=%3Cscript%3E", 0},
		"a status that is none":           {"status=many", 0},
		"what it doesn't know is ignored": {"sort=up", 5},
	} {
		t.Run(name, func(t *testing.T) {
			f := filterOf(httptest.NewRequest(http.MethodGet, "/admin/v1/requests?"+tc.query, nil))
			if got := q.last(f); len(got) != tc.want {
				t.Errorf("?%s chooses %d, want %d", tc.query, len(got), tc.want)
			}
		})
	}
}

func TestForeignTextIsBounded(t *testing.T) {
	r := request("m", noon)
	r.Model = "\x1b[31m" + strings.Repeat("ü", 3*fault.MaxShown)
	r.Code = "sk-secret-0123"
	r.Attempts[0].Code = "rate_limit_exceeded"
	r.Attempts[0].Model = "a\nb"
	s := show(r)
	if strings.ContainsRune(s.Model, '\x1b') || len([]rune(s.Model)) != fault.MaxShown+1 {
		t.Errorf("a client's model is shown as %q", s.Model)
	}
	if s.Code != "" || s.Trail[0].Code != "rate_limit_exceeded" || strings.Contains(s.Trail[0].Target, "\n") {
		t.Errorf("an upstream's code is shown as %q, the gateway's as %+v", s.Code, s.Trail)
	}
}

// TestASlowReaderHoldsNobodyUp never reads from a live answer.
func TestASlowReaderHoldsNobodyUp(t *testing.T) {
	q := NewRequests()
	_, slow := q.listen(filter{})
	for range 3 * backlog {
		q.Add(request("m", noon), nil)
	}
	if len(slow) != backlog {
		t.Errorf("%d requests wait for a reader, want %d", len(slow), backlog)
	}
	for range maxLive - 1 {
		if _, r := q.listen(filter{}); r == nil {
			t.Fatal("too few may listen")
		}
	}
	if _, r := q.listen(filter{}); r != nil {
		t.Errorf("more than %d listen", maxLive)
	}
	q.leave(slow)
	if _, r := q.listen(filter{}); r == nil {
		t.Error("nobody may listen in place of one who left")
	}
}

func TestAnHour(t *testing.T) {
	q := NewRequests()
	for minute := range 90 { // of which the first half hour is too old
		q.Add(request("m", noon.Add(time.Duration(minute)*time.Minute)), nil)
	}
	failed := request("n", noon.Add(89*time.Minute))
	failed.Status, failed.Class = 502, "server"
	refused := request("n", noon.Add(89*time.Minute))
	refused.Status, refused.Class = 404, "client"
	gone := request("n", noon.Add(89*time.Minute))
	gone.Status, gone.Class = fault.StatusGone, "gone"
	for _, r := range []*record.Request{failed, refused, gone} {
		q.Add(r, nil)
	}
	s := q.Series("", noon.Add(89*time.Minute+2*time.Second))
	total := func(all []int64) (n int64) {
		for _, v := range all {
			n += v
		}
		return n
	}
	if len(s.At) != buckets || len(s.Cost) != buckets || len(s.TookP95) != buckets {
		t.Fatalf("there are %d buckets, want %d", len(s.At), buckets)
	}
	if total(s.Requests) != 63 || total(s.Failed) != 1 || total(s.Refused) != 1 || total(s.Input) != 6300 || total(s.Cost) != 7*63 {
		t.Errorf("the hour has %d requests, %d failed, %d refused, %d tokens in, costs %d", total(s.Requests), total(s.Failed), total(s.Refused), total(s.Input), total(s.Cost))
	}
	if p := s.Whole.FirstP50; p < 200 || p > 200*growth {
		t.Errorf("the first token's median is %v ms, want 200 or at most a fourth more", p)
	}
	if len(s.Models) != 2 || s.Models[0].Alias != "m" || s.Models[0].Requests != 60 || s.Models[1].Failed != 1 {
		t.Errorf("the models are %+v", s.Models)
	}
	if one := q.Series("n", noon.Add(89*time.Minute+2*time.Second)); total(one.Requests) != 3 {
		t.Errorf("an alias has %d requests, want 3", total(one.Requests))
	}
	if none := q.Series("nobody", noon); total(none.Requests) != 0 || len(none.At) != buckets {
		t.Errorf("an unknown alias has %d requests in %d buckets", total(none.Requests), len(none.At))
	}
}

func TestHoursAreBounded(t *testing.T) {
	q := NewRequests()
	for i := range 10 * maxHours {
		q.Add(request(fmt.Sprintf("m%d", i), noon), nil)
	}
	if len(q.hours) != maxHours {
		t.Errorf("%d hours are kept, want %d", len(q.hours), maxHours)
	}
	q.Forget(map[string]bool{"m329": true}, nil, nil)
	if len(q.hours) != 2 || len(q.calls) != 0 {
		t.Errorf("after all but one alias went, there are %d hours and the calls of %d providers", len(q.hours), len(q.calls))
	}
}

// TestHoursThatAreNotKeptAreSaid: of the aliases that were asked least lately no numbers are
// kept, and nobody is told that they were not asked.
func TestHoursThatAreNotKeptAreSaid(t *testing.T) {
	q := NewRequests()
	for i := range maxHours + 7 { // one of them is all together
		q.Add(request(fmt.Sprintf("m%d", i), noon.Add(time.Duration(i)*bucketLength)), nil)
	}
	now := noon.Add(time.Duration(maxHours+7) * bucketLength)
	if s := q.Series("m39", now); !s.Kept || s.Whole.TookP50 == 0 || s.More != 8 || len(s.Models) != maxHours-1 {
		t.Errorf("the last one: kept %v, %d more, %d models", s.Kept, s.More, len(s.Models))
	}
	if s := q.Series("m0", now); s.Kept {
		t.Error("the first one seems not to have been asked")
	}
	if s := q.Series("never", now); !s.Kept {
		t.Error("one that was never asked seems to have been")
	}
	q.Add(request("m0", now), nil)
	if s := q.Series("m0", now.Add(time.Second)); !s.Kept || s.More != 8 {
		t.Errorf("asked again: kept %v, %d more", s.Kept, s.More)
	}
	if s := q.Series("m1", now.Add(2*time.Hour)); !s.Kept || s.More != 0 {
		t.Errorf("two hours later: kept %v, %d more", s.Kept, s.More)
	}
}

// TestOddTimes holds the buckets against clocks that jump, and durations that can't be.
func TestOddTimes(t *testing.T) {
	for _, d := range []time.Duration{-time.Hour, 0, 1, time.Hour, 1<<63 - 1} {
		if b := boundOf(d); b < 0 || b >= bounds {
			t.Errorf("boundOf(%v) = %d", d, b)
		}
	}
	q := NewRequests()
	q.Add(request("m", noon.Add(48*time.Hour)), nil)
	q.Add(request("m", noon), nil)
	q.Add(request("m", time.Unix(0, 0)), nil)
	q.Add(request("m", time.Time{}), nil)
	q.Series("", time.Time{})
	if s := q.Series("", noon.Add(2*time.Second)); len(s.At) != buckets {
		t.Errorf("there are %d buckets", len(s.At))
	}
}

func BenchmarkAdd(b *testing.B) {
	q := NewRequests()
	r := request("m", noon)
	for b.Loop() {
		q.Add(r, nil)
	}
}

// BenchmarkSeries is what an open console asks for every two seconds.
func BenchmarkSeries(b *testing.B) {
	q := NewRequests()
	for i := range 100 * maxHours {
		q.Add(request(fmt.Sprintf("m%d", i%maxHours), noon.Add(time.Duration(i)*time.Second)), nil)
	}
	for b.Loop() {
		q.Series("", noon.Add(time.Hour))
	}
}
