package host_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

// becomes asks until the cache says what it should, and returns the answer. Gateways wait only
// for a moment for what is shared.
func (g *gateway) becomes(t *testing.T, key, body, want string) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		result, answer, status := g.askedWith(t, "/v1/chat/completions", key, body)
		if result == want && status == 200 {
			return textOf(answer)
		}
		if time.Now().After(end) {
			t.Fatalf("the cache always says %q, want %q: %d %s", result, want, status, answer)
		}
	}
}

// TestAnswersAreKeptForTheFleet has a gateway keep what another one then answers, for the same
// caller and nobody else.
func TestAnswersAreKeptForTheFleet(t *testing.T) {
	r := redis.Start(t)
	up := mock.Start(t, saysCounted("canary-answer"))
	yaml := keepingYAML(up, "", "") + inFleet(r)
	one, other := newGateway(t, yaml), newGateway(t, yaml)
	body := strings.Replace(cold, `"x"`, `"canary-prompt"`, 1)
	one.chats(t, "alone", body, "miss")
	one.becomes(t, "alone", body, "hit")
	up.Forget()
	if got := other.becomes(t, "alone", body, "hit"); got != "canary-answer" {
		t.Errorf("another gateway answers %q", got)
	}
	other.chats(t, "mate", body, "miss")
	if entries := one.host.KeptAnswers(); entries != 0 {
		t.Errorf("%d answers are kept here, too", entries)
	}
	if dump := string(r.Dump()); strings.Contains(dump, "canary") || !strings.Contains(dump, "{kai}:v:") {
		t.Error("the store has it in the clear, or not at all")
	}
}

// TestTrapTheSharedStoreIsAnAttackSurface puts an answer where another one is, and changes one.
func TestTrapTheSharedStoreIsAnAttackSurface(t *testing.T) {
	r := redis.Start(t)
	up := mock.Start(t, saysCounted("for another question"))
	g := newGateway(t, keepingYAML(up, "", "")+inFleet(r))
	asks := func(word string) string { return strings.Replace(cold, `"x"`, `"`+word+`"`, 1) }
	names := func() []string {
		var all []string
		for line := range strings.Lines(r.Do("KEYS", "{kai}:v:*")) {
			if line = strings.TrimSpace(line); strings.HasPrefix(line, "{kai}:v:") {
				all = append(all, line)
			}
		}
		return all
	}
	g.becomes(t, "alone", asks("one"), "hit")
	first := names()
	if len(first) != 1 {
		t.Fatalf("there are %d values", len(first))
	}
	up.Answer(saysCounted("for this question"))
	g.becomes(t, "alone", asks("two"), "hit")
	for _, second := range names() {
		if second != first[0] {
			r.Do("COPY", first[0], second, "REPLACE")
		}
	}
	if got := g.chats(t, "alone", asks("two"), "miss"); got != "for this question" {
		t.Errorf("got %q", got)
	}
	r.Do("SETRANGE", first[0], "30", "x")
	if got := g.chats(t, "alone", asks("one"), "miss"); got != "for this question" {
		t.Errorf("got %q", got)
	}
}

// TestAnswersAreKeptWhileTheStoreIsAway: by the gateway alone.
func TestAnswersAreKeptWhileTheStoreIsAway(t *testing.T) {
	r := redis.Start(t)
	up := mock.Start(t, counting())
	g := newGateway(t, keepingYAML(up, "", "")+inFleet(r))
	r.Pause()
	defer r.Resume()
	g.becomes(t, "alone", cold, "hit")
	r.Resume()
	for _, section := range []string{"shared: false", "shared: true"} {
		g := newGateway(t, keepingYAML(up, section, "")+inFleet(r))
		g.becomes(t, "mate", cold, "hit")
		if entries := g.host.KeptAnswers(); (entries == 1) != (section == "shared: false") {
			t.Errorf("with %s, %d answers are kept here", section, entries)
		}
	}
}
