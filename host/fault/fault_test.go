package fault

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEachKindHasItsRule(t *testing.T) {
	for k := Internal; k < kinds; k++ {
		if rules[k].name == "" || rules[k].status < 400 || rules[k].status > 599 {
			t.Errorf("kind %d: %+v", k, rules[k])
		}
		if who, sticky := k.Blame(); sticky && who == Nobody {
			t.Errorf("%v lasts, but counts against nobody", k)
		}
		if who, _ := k.Blame(); who != Nobody && !k.Next() {
			t.Errorf("%v counts against a target, but no other one may be asked", k)
		}
		if k.Repeat() && !k.Next() {
			t.Errorf("%v may be repeated at the same target, but at no other", k)
		}
	}
}

// What a client did wrong takes nothing away from others, and is the same
// everywhere.
func TestAClientsFaultBlamesNobody(t *testing.T) {
	for _, k := range []Kind{Invalid, UnknownModel, Unauthenticated, Forbidden, NotFound, MethodNotAllowed, NoWebSocket, Timeout, TooLarge, Unsupported, Unpriced, Full, NoFiles, Stopping, Gone, Limited, Refused, RefusedField, RefusedValue, Policy} {
		if who, _ := k.Blame(); who != Nobody || k.Next() || k.Repeat() {
			t.Errorf("%v: blames %v, next %v, repeat %v", k, who, k.Next(), k.Repeat())
		}
	}
}

// TestAnotherModelMayHaveTheOperation: nobody is to blame that one doesn't.
func TestAnotherModelMayHaveTheOperation(t *testing.T) {
	k := RefusedOperation
	if who, _ := k.Blame(); who != Nobody || !k.Next() || k.Repeat() || !k.Refusal() {
		t.Errorf("it blames %v, next %v, repeat %v, refusal %v", who, k.Next(), k.Repeat(), k.Refusal())
	}
}

func TestFromAdapter(t *testing.T) {
	for _, tc := range []struct {
		status int
		code   string
		want   Kind
	}{
		{429, "", Rate}, {429, "rate_limit_exceeded", Rate}, {429, "insufficient_quota", Quota}, {400, "insufficient_quota", Quota},
		{502, "upstream_auth", Auth}, {404, "model_not_found", Missing}, {404, "", Refused}, {400, "context_length_exceeded", Context},
		{413, "request_too_large", Context}, {400, "content_policy_violation", Policy}, {400, "content_filter", Policy}, {400, "moderation_blocked", Policy}, {400, "cyber_policy", Policy}, {400, "max_tokens_exceeded", Refused}, {503, "overloaded", Busy}, {529, "", Busy}, {503, "", Busy},
		{502, "upstream_error", Upstream}, {500, "", Upstream}, {502, "", Upstream}, {504, "", Slow}, {504, "upstream_timeout", Slow}, {408, "", Slow},
		{502, "adapter_error", Adapter}, {400, "", Refused}, {422, "anything", Refused}, {402, "", Refused},
		{400, "unsupported_parameter", RefusedField}, {502, "unsupported_parameter", RefusedField}, {400, "unsupported_value", RefusedValue}, {404, "unsupported_operation", RefusedOperation},
	} {
		if got := FromAdapter(tc.status, tc.code); got != tc.want {
			t.Errorf("FromAdapter(%d, %q) = %v, want %v", tc.status, tc.code, got, tc.want)
		}
	}
}

func TestStatusAndRepeating(t *testing.T) {
	for name, tc := range map[string]struct {
		err    Error
		status int
		repeat bool
	}{
		"the kind's status":                   {Error{Kind: Rate}, 429, true},
		"a model that can't do it":            {Error{Kind: Unable}, 400, false},
		"a model that counts no tokens":       {Error{Kind: NoCount}, 404, false},
		"a price that nobody knows":           {Error{Kind: Unpriced}, 400, false},
		"a WebSocket":                         {Error{Kind: NoWebSocket}, 426, false},
		"no files left":                       {Error{Kind: NoFiles}, 502, true},
		"an upstream's own status":            {Error{Kind: Refused, OwnStatus: 422}, 422, false},
		"a conflict may be gone":              {Error{Kind: Refused, OwnStatus: 409}, 409, true},
		"a status that is none":               {Error{Kind: Upstream, OwnStatus: 200}, 502, true},
		"credentials stay wrong":              {Error{Kind: Auth}, 502, false},
		"a quota stays used up":               {Error{Kind: Quota}, 429, false},
		"an adapter fails again":              {Error{Kind: Adapter}, 502, false},
		"an adapter that loads":               {Error{Kind: Unready}, 503, true},
		"a key that is not set":               {Error{Kind: Unusable}, 503, false},
		"said to be in vain":                  {Error{Kind: Upstream, NoRetry: true}, 502, false},
		"the gateway's own mistake":           {Error{}, 500, true},
		"a body that did not come in time":    {Error{Kind: Timeout}, 408, true},
		"a request that breaks the API's law": {Error{Kind: Invalid}, 400, false},
	} {
		if got := tc.err.HTTPStatus(); got != tc.status {
			t.Errorf("%s: status %d, want %d", name, got, tc.status)
		}
		if got := tc.err.Repeatable(); got != tc.repeat {
			t.Errorf("%s: repeatable %v, want %v", name, got, tc.repeat)
		}
	}
}

func TestKindOf(t *testing.T) {
	wrapped := fmt.Errorf("ask: %w", &Error{Kind: Slow, Text: "late", RetryAfter: time.Second, Cause: errors.New("detail")})
	if got := KindOf(wrapped); got != Slow {
		t.Errorf("KindOf(%v) = %v", wrapped, got)
	}
	if got := KindOf(errors.New("x")); got != Internal {
		t.Errorf("KindOf a plain error = %v", got)
	}
	if got, want := wrapped.Error(), "ask: late: detail"; got != want {
		t.Errorf("Error() = %q, want %q", got, want)
	}
}

// TestTheCodesAreDocumented holds the list in docs/abi.md against what counts.
func TestTheCodesAreDocumented(t *testing.T) {
	document, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(document), "These codes count whatever the status is: ")
	list, _, _ = strings.Cut(list, ". Without")
	if !found {
		t.Fatal("docs/abi.md has no list of the codes that count")
	}
	documented := map[string]bool{}
	for _, code := range strings.Split(list, ",") {
		documented[strings.Trim(code, " \n`")] = true
	}
	for code := range codes {
		if !documented[code] {
			t.Errorf("docs/abi.md does not have %s among the codes that count", code)
		}
		delete(documented, code)
	}
	for code := range documented {
		t.Errorf("docs/abi.md has %s among the codes that count, which it does not", code)
	}
}

// TestTheClassesAreDocumented holds the table of classes in docs/routing.md against the
// rules.
func TestTheClassesAreDocumented(t *testing.T) {
	document, err := os.ReadFile("../../docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	type row struct{ again, next, against string }
	documented := map[string]row{}
	for line := range strings.Lines(string(document)) {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || !strings.HasPrefix(cells[1], " `") {
			continue
		}
		documented[strings.Trim(cells[1], " `")] = row{strings.TrimSpace(cells[3]), strings.TrimSpace(cells[4]), strings.TrimSpace(cells[5])}
	}
	word := map[bool]string{true: "yes", false: "no"}
	described := map[string]bool{}
	for k := TooLarge; k < kinds; k++ {
		if k != TooLarge && k < Refused { // no attempt fails so
			continue
		}
		d, ok := documented[k.String()]
		if !ok {
			t.Errorf("docs/routing.md has no row for the class %v", k)
			continue
		}
		described[k.String()] = true
		who, lasting := k.Blame()
		against := map[Blame]string{Nobody: "nobody", Target: "the model", Provider: "the provider"}[who]
		if lasting {
			against += ", at once"
		}
		if want := (row{word[k.Repeat()], word[k.Next()], against}); d.again != want.again || !says(d.next, want.next) || !says(d.against, want.against) {
			t.Errorf("docs/routing.md says of %v: %+v, want %+v", k, d, want)
		}
	}
	for name := range documented {
		if !described[name] {
			t.Errorf("docs/routing.md has a row for %s, which is no class", name)
		}
	}
}

// says reports whether one of the rules in a cell, which semicolons part, is a word, and maybe when
// it holds.
func says(cell, word string) bool {
	return slices.ContainsFunc(strings.Split(cell, "; "), func(rule string) bool { return rule == word || strings.HasPrefix(rule, word+", ") })
}
