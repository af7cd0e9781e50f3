package responses

import (
	"context"
	"slices"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
)

// TestWhatARequestNames: as it came, and in translation.
func TestWhatARequestNames(t *testing.T) {
	const file = "https://generativelanguage.googleapis.com/v1beta/files/f1"
	for b, want := range map[string]struct{ translated, ids, refs []string }{
		`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"ms://f1"}]}]}`:                                                       {translated: []string{"ms://f1"}},
		`{"input":[{"role":"user","content":[{"type":"input_file","file_url":"` + file + `"}]}]}`:                                                    {translated: []string{file}},
		`{"instructions":"fileid://f1","input":"hi"}`:                                                                                                {translated: []string{"fileid://f1"}},
		`{"input":[{"role":"user","content":[{"type":"input_image","image_url":"ms://f1"}]}],"tools":[{"type":"computer_use_preview"}]}`:             {ids: []string{"ms://f1"}},
		`{"input":[{"role":"user","content":[{"type":"input_file","File_ID":"f1"}]}]}`:                                                               {ids: []string{"f1"}},
		`{"input":"hi","tools":[{"type":"code_interpreter","parameters":{"container":"c1"}}]}`:                                                       {ids: []string{"c1"}},
		`{"input":"hi","tools":[{"type":"code_interpreter","container":["c1"]},{"type":"file_search","vector_store_ids":"v1"}]}`:                     {ids: []string{"c1", "v1"}},
		`{"input":[{"type":"additional_tools","tools":[{"type":"code_interpreter","parameters":{"container":"c1"}}]}]}`:                              {ids: []string{"c1"}},
		`{"input":{"type":"item_reference","id":"i1"}}`:                                                                                              {refs: []string{"i1"}},
		`{"input":[[{"type":"item_reference","id":"i1"}],{"type":"message","ID":"m1","role":"user","content":"a"},[[{"ID":"i2"}]]]}`:                 {refs: []string{"i1", "i2"}},
		`{"input":[{"type":"image_generation_call","id":"ig_1"},{"type":"image_generation_call","id":"ig_2","result":null}]}`:                        {ids: []string{"ig_1", "ig_2"}},
		`{"input":[{"type":"image_generation_call","id":"ig_1","result":"AAAA"}]}`:                                                                   {},
		`{"input":[{"type":"mcp_list_tools","id":"m1","server_label":"s","tools":[{"name":"f","input_schema":{"default":{"file_id":"x"}}}]}]}`:       {},
		`{"input":[{"type":"local_shell_call","id":"l1","call_id":"c1","action":{"type":"exec","command":["a"],"env":{"container":"podman"}}}]}`:     {},
		`{"input":"hi","tools":[{"type":"mcp","server_label":"s","server_url":"https://example.com","headers":{"container":"x"}}]}`:                  {},
		`{"input":"hi","tools":[{"type":"function","name":"f","parameters":{"default":{"file_id":"x"}}},{"type":"web_search"}]}`:                     {},
		`{"input":"hi","tools":[{"type":"namespace","name":"n","tools":[{"type":"function","name":"f","parameters":{"default":{"file_id":"x"}}}]}]}`: {},
	} {
		r, err := Parse(Options{})(context.Background(), []byte(b), dialect.Caller{})
		if err != nil {
			t.Errorf("%s: %v", b, err)
			continue
		}
		n, err := r.Native()
		if err != nil {
			t.Errorf("%s: %v", b, err)
			continue
		}
		if !slices.Equal(r.IDs, want.translated) || !slices.Equal(n.IDs, want.ids) || !slices.Equal(n.Refs, want.refs) {
			t.Errorf("%s names %q, as it came %q, and refers to %q, want %q (%v)", b, r.IDs, n.IDs, n.Refs, want, r.Untranslated)
		}
	}
}
