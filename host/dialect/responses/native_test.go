package responses

import (
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/native"
	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/sdk/abi"
)

// mayPass is an answer that may pass as it is.
func mayPass() dialect.Info {
	i := testInfo
	i.NoteID = func(string) {}
	return i
}

const createdEvent = `{"type":"response.created","sequence_number":0,"response":{"id":"resp_theirs","model":"x"}}`

// TestEventsTellIDs, although no model is named in them.
func TestEventsTellIDs(t *testing.T) {
	for data, want := range map[string][]string{
		`{"type":"response.output_item.done","item":{"id":"ci_1","type":"code_interpreter_call","container_id":"cntr_1","outputs":[{"file_id":"file_1"}]}}`: {"ci_1", "cntr_1", "file_1"},
		`{"type":"response.output_item.done","item":{"id":"fs_1","type":"file_search_call","results":[{"file_id":"file_2","text":"x"}]}}`:                   {"fs_1", "file_2"},
		`{"type":"response.output_item.done","item":{"type":"shell_call_output","environment":{"type":"container","container_id":"cntr_2"}}}`:               {"cntr_2"},
		`{"type":"response.output_text.annotation.added","annotation":{"type":"container_file_citation","file_id":"file_3","container_id":"cntr_3"}}`:       {"file_3", "cntr_3"},
		`{"type":"response.content_part.done","part":{"type":"output_text","annotations":[{"type":"file_citation","file_id":"file_4"}]},"item_id":"msg_1"}`: {"file_4"},
		`{"type":"response.in_progress","response":{"id":"resp_1","conversation":{"id":"conv_1"}}}`:                                                         {"resp_1", "conv_1"},
		`{"type":"response.content_part.added","item_id":"msg_1","part":{"type":"output_text","annotations":[],"text":"id"}}`:                               nil,
	} {
		var told []string
		i := testInfo
		i.NoteID = func(id string) { told = append(told, id) }
		a := native.NewStream(i, newPassage(i, &eventForm))
		a.Receive(nil, []byte(data), false)
		if got, err := a.Apply(nil, []abi.Emission{{Kind: abi.Pass}}); err != nil || string(got) != "data: "+data+"\n\n" {
			t.Errorf("%s becomes %s, %v", data, got, err)
		}
		if !slices.Equal(told, want) {
			t.Errorf("%s tells %q, want %q", data, told, want)
		}
	}
}

// TestWhoBeginsAResponseEndsIt: what a client gets in silence, and after a failure, is about the
// response that it knows.
func TestWhoBeginsAResponseEndsIt(t *testing.T) {
	fails := &fault.Error{Kind: fault.Upstream, Text: "broke"}
	for name, tc := range map[string]struct {
		info dialect.Info
		do   func(*stream)
		kept string // what a keep-alive begins with
		id   string // the response that fails
		next bool   // a native attempt may follow
	}{
		"nothing has begun, and nothing can pass":  {testInfo, func(*stream) {}, "event: response.created\n", "resp_" + testInfo.ID, true},
		"nothing has begun, but it may pass":       {mayPass(), func(*stream) {}, ": ", "resp_" + testInfo.ID, true},
		"a translation is silent":                  {mayPass(), func(s *stream) { s.Begin() }, "event: response.created\n", "resp_" + testInfo.ID, true},
		"a translation has begun":                  {mayPass(), func(s *stream) { s.Begin(); s.KeepAlive(nil) }, "event: response.in_progress\n", "resp_" + testInfo.ID, false},
		"a provider is silent":                     {mayPass(), func(s *stream) { s.BeginNative() }, ": ", "resp_" + testInfo.ID, true},
		"a provider has begun":                     {mayPass(), pass(true), "event: keepalive\n", "resp_theirs", true},
		"a provider has begun, and nobody saw it":  {mayPass(), pass(false), ": ", "resp_" + testInfo.ID, true},
		"a translation follows a silent provider":  {mayPass(), func(s *stream) { pass(false)(s); s.Begin() }, "event: response.created\n", "resp_" + testInfo.ID, true},
		"a provider follows a silent translation":  {mayPass(), func(s *stream) { s.Begin(); pass(true)(s) }, "event: keepalive\n", "resp_theirs", true},
		"a provider follows a silent provider":     {mayPass(), func(s *stream) { pass(false)(s); pass(true)(s) }, "event: keepalive\n", "resp_theirs", true},
		"nothing can pass, and a translation ends": {testInfo, func(s *stream) { s.Begin(); s.KeepAlive(nil) }, "event: response.in_progress\n", "resp_" + testInfo.ID, false},
	} {
		t.Run(name, func(t *testing.T) {
			begun := func() *stream {
				s := newStream(requestInfo{}, tc.info).(*stream)
				tc.do(s)
				return s
			}
			if got := string(begun().KeepAlive(nil)); !strings.HasPrefix(got, tc.kept) {
				t.Errorf("in silence it gets %q", got)
			}
			got := string(begun().Fail(nil, fails))
			if !strings.Contains(got, `{"id":"`+tc.id+`","object":"response"`) || strings.Count(got, "event: response.failed\n") != 1 ||
				strings.Contains(got, "event: response.created\n") != (tc.id != "resp_theirs" && tc.next) {
				t.Errorf("a failure is %s", got)
			}
			if tc.id == "resp_theirs" && !strings.Contains(got, `"sequence_number":1,"code"`) {
				t.Errorf("a failure is not the next event: %s", got)
			}
			if s := begun(); (s.BeginNative() != nil) != tc.next {
				t.Errorf("that a native attempt may follow is not %v", tc.next)
			}
		})
	}
}

// pass passes the first event of a provider's, and with shown sends it.
func pass(shown bool) func(*stream) {
	return func(s *stream) {
		p := s.BeginNative()
		p.Receive([]byte("response.created"), []byte(createdEvent), false)
		if _, err := p.Apply(nil, []abi.Emission{{Kind: abi.Pass}}); err != nil {
			panic(err)
		}
		if shown {
			p.Sent(false)
		}
	}
}
