package host

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/facts"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/record"
	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/sdk/abi"
)

func TestUsageIsWhatTheProviderCountedOrAnEstimate(t *testing.T) {
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		op     abi.Op
		stated facts.Usage
		err    error
		want   record.Usage
	}{
		"counted": {
			abi.Chat, facts.Usage{Prompt: 10, Completion: 5, Cached: 4, CacheWrite: 3, Reasoning: 2, Known: true, Stated: 400}, nil,
			record.Usage{Input: 10, CachedInput: 4, CacheWrite: 3, Output: 5, Reasoning: 2},
		},
		"with the provider's own cost": {
			abi.Chat, facts.Usage{Prompt: 1, Known: true, Cost: 42, Priced: true}, nil, record.Usage{Input: 1, Stated: record.Cost{Nano: 42, Known: true}},
		},
		"not counted": {abi.Chat, facts.Usage{Stated: 401}, nil, record.Usage{Input: 77, Output: 101, Estimated: true}},
		"cut, and counted to there": {
			abi.Chat, facts.Usage{Prompt: 10, Completion: 1, Known: true, Stated: 400}, broken, record.Usage{Input: 10, Output: 100, Estimated: true},
		},
		"cut, and not counted":             {abi.Chat, facts.Usage{Stated: 8}, broken, record.Usage{Input: 77, Output: 2, Estimated: true}},
		"failed at once":                   {abi.Chat, facts.Usage{}, broken, record.Usage{}},
		"failed, and counted all the same": {abi.Chat, facts.Usage{Prompt: 9, Known: true}, broken, record.Usage{Input: 9}},
		"vectors that nobody counted":      {abi.Embeddings, facts.Usage{}, nil, record.Usage{Input: 77, Estimated: true}},
		"a count of tokens":                {abi.Count, facts.Usage{}, nil, record.Usage{}},
	} {
		t.Run(name, func(t *testing.T) {
			c := &call{request: &dialect.Request{Op: tc.op}, size: 77}
			if got := c.usageOf(tc.stated, tc.err); got != tc.want {
				t.Errorf("usageOf(%+v, %v) = %+v, want %+v", tc.stated, tc.err, got, tc.want)
			}
		})
	}
}

// TestRecordHasEveryAttempt lets one target fail before the next one answers.
func TestRecordHasEveryAttempt(t *testing.T) {
	total := memory.New(memory.Options{Limit: 64 << 20})
	one := mock.Start(t, text(`ERROR {"status":503,"code":"overloaded","message":"No."}`))
	two := mock.Start(t, events("TEXT Hello", `USAGE {"prompt_tokens":7,"completion_tokens":2}`, "FINISH stop"))
	server, _, last := gatewayOf(t, total, one.URL, two.URL)
	began := time.Now()
	if _, content, failure := ask(t, server, true, "Anybody?"); content != "Hello" || failure != "" {
		t.Fatalf("got %q and the error %q", content, failure)
	}
	took := time.Since(began)
	server.Close() // when all requests are over
	r := last()
	for i, a := range r.Attempts {
		if a.Duration <= 0 || a.Duration > took || a.Began.Before(began) || a.FirstContent > a.Duration {
			t.Errorf("attempt %d began at %v, took %v and had content after %v, of %v", i, a.Began.Sub(began), a.Duration, a.FirstContent, took)
		}
	}
	if len(r.Attempts) != 2 || r.Attempts[0].FirstContent != 0 || r.Attempts[1].FirstContent <= 0 || r.FirstContent <= r.Attempts[1].FirstContent {
		t.Fatalf("first content after %v in all; the attempts are %+v", r.FirstContent, r.Attempts)
	}
	for i := range r.Attempts {
		r.Attempts[i].Began, r.Attempts[i].Duration, r.Attempts[i].FirstContent = time.Time{}, 0, 0
	}
	want := []record.Attempt{
		{Provider: "up0", Model: "model-of-up0", Class: "busy", Code: "overloaded", Status: 200},
		{Target: 1, Provider: "up1", Model: "model-of-up1", Usage: record.Usage{Input: 7, Output: 2}},
	}
	if !reflect.DeepEqual(r.Attempts, want) || r.Usage != want[1].Usage || r.Alias != "m" || r.Class != "" || r.Status != 200 || r.Duration <= 0 {
		t.Errorf("the record is %+v", *r)
	}
	if all := fmt.Sprintf("%+v", *r); strings.Contains(all, "Hello") || strings.Contains(all, "Anybody") {
		t.Errorf("the record has content: %s", all)
	}
	if c := r.Clone(); &c.Attempts[0] == &r.Attempts[0] || !reflect.DeepEqual(c.Attempts, r.Attempts) {
		t.Error("a clone shares attempts with its record, or has others")
	}
}
