package messages

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
)

// TestWhatARequestNames: as it came, and in translation.
func TestWhatARequestNames(t *testing.T) {
	const file = "https://generativelanguage.googleapis.com/v1beta/files/f1"
	said := func(block string) string { return `"messages":[{"role":"user","content":[` + block + `]}]` }
	hi := said(`{"type":"text","text":"hi"}`)
	for b, want := range map[string]struct{ translated, ids []string }{
		said(`{"type":"image","source":{"type":"url","url":"` + file + `"}}`):                                                   {translated: []string{file}},
		said(`{"type":"document","source":{"type":"url","url":"ms://f1"}}`):                                                     {translated: []string{"ms://f1"}},
		said(`{"type":"image","source":{"type":"url","url":"ms://f1"}}`) + `,"tools":[{"type":"computer_20250124","name":"c"}]`: {ids: []string{"ms://f1"}},
		said(`{"type":"container_upload","File_ID":"f1"}`):                                                                      {ids: []string{"f1"}},
		hi + `,"container":["c1"]`: {ids: []string{"c1"}},
		hi + `,"container":{"id":"c1","skills":[{"type":"custom","skill_id":"skill_1"},{"type":"anthropic","skill_id":"pptx"}]}`: {ids: []string{"c1", "skill_1"}},
		hi + `,"tools":[{"name":"f","input_schema":{"type":"object"},"input_examples":[{"file_id":"x"},{"container":"web"}]}]`:   {},
		hi + `,"output_config":{"format":{"type":"json_schema","schema":{"default":{"file_id":"x"},"examples":[{"id":"y"}]}}}`:   {},
		hi + `,"output_format":{"type":"json_schema","schema":{"default":{"container":"x"}}}`:                                    {},
		said(`{"type":"image","source":{"type":"url","url":"https://example.com/files/a.png"}}`):                                 {},
	} {
		r, err := Parse(context.Background(), fmt.Appendf(nil, `{"model":"m","max_tokens":10,%s}`, b), dialect.Caller{})
		if err != nil {
			t.Errorf("%s: %v", b, err)
			continue
		}
		n, err := r.Native()
		if err != nil {
			t.Errorf("%s: %v", b, err)
			continue
		}
		if !slices.Equal(r.IDs, want.translated) || !slices.Equal(n.IDs, want.ids) {
			t.Errorf("%s names %q, and as it came %q, want %q (%v)", b, r.IDs, n.IDs, want, r.Untranslated)
		}
	}
}
