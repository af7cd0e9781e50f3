package chat

import (
	"slices"
	"strings"
	"testing"
)

// TestWhatARequestNames: what some server reads as an id, in whatever shape, is one, and what is the
// client's own is none.
func TestWhatARequestNames(t *testing.T) {
	const hi = `"messages":[{"role":"user","content":"hi"}]`
	for b, want := range map[string][]string{
		messageWith(`{"type":"file","file":{"File_ID":"f1"}}`):                                                             {"f1"},
		messageWith(`{"type":"file","File":{"file_id":"f1"}}`):                                                             {"f1"},
		messageWith(`{"type":"text","text":{"file_id":"f1"}}`):                                                             {"f1"},
		messageWith(`{"type":"image_url","image_url":{"url":{"file_id":"f1"}}}`):                                           {"f1"},
		messageWith(`{"type":"video_url","video_url":{"url":"ms://f1"}},{"type":"audio_url","audio_url":"ms://f2"}`):       {"ms://f1", "ms://f2"},
		messageWith(`{"type":"text","text":"fileid://f1"}`):                                                                {"fileid://f1"},
		`{"messages":[{"role":"system","content":"fileid://f1,fileid://f2"},{"role":"user","content":"a"}]}`:               {"fileid://f1,fileid://f2"},
		`{"messages":[{"role":"assistant","content":"a","extra_content":{"file_id":"f1"}},{"role":"user","content":"a"}]}`: {"f1"},
		`{` + hi + `,"Container":"c1"}`:                                                                                    {"c1"},
		`{` + hi + `,"container":["c1"],"file_ids":"f1","vector_store_id":"v1"}`:                                           {"c1", "f1", "v1"},
		`{` + hi + `,"extra_body":{"google":{"cached_content":"cachedContents/c1"}}}`:                                      {"cachedContents/c1"},
		`{` + hi + `,"tools":[{"type":"retrieval","retrieval":{"knowledge_id":"k1"}}]}`:                                    {"k1"},
		`{` + hi + `,"tools":[{"type":"code_interpreter","function":{"name":"f","container":{"id":"c1"}}}]}`:               {"c1"},
		`{` + hi + `,"tools":[{"type":"function","Type":"code_interpreter","function":{"name":"f","container":["c1"]}}]}`:  {"c1"},

		`{` + hi + `,"tools":[{"type":"function","function":{"name":"f","parameters":{"examples":[{"file_id":"x"}]}}}]}`:     nil,
		`{` + hi + `,"tools":[{"type":"custom","custom":{"name":"f","container":"x"}}]}`:                                     nil,
		`{` + hi + `,"tools":[{"type":"function","function":{"name":"f"},"input_examples":[{"file_id":"x"}]}]}`:              nil,
		`{` + hi + `,"tools":[{"type":"mcp","server_url":"https://example.com","headers":{"container":"x"}}]}`:               nil,
		`{` + hi + `,"guided_json":{"default":{"container":"x"}},"structured_outputs":{"json":{"default":{"file_id":"x"}}}}`: nil,
		`{` + hi + `,"documents":[{"text":"a","file_id":"x"}]}`:                                                              nil,
		messageWith(`{"type":"image_url","image_url":{"url":"https://storage.googleapis.com/b/files/a.png"}}`):               nil,
		messageWith(`{"type":"text","text":"what is fileid://f1?"}`):                                                         nil,
	} {
		r, err := ParseRequest([]byte(b))
		if err != nil {
			t.Errorf("%s: %v", b, err)
		} else if !slices.Equal(r.IDs(), want) {
			t.Errorf("%s names %q, want %q", b, r.IDs(), want)
		}
	}
}

// TestIDsCountForTheSize of a request: a client decides how long they are.
func TestIDsCountForTheSize(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	r, err := ParseRequest([]byte(messageWith(`{"type":"file","file":{"file_id":"` + long + `"}}`)))
	if err != nil || r.Size() < 1<<20 {
		t.Errorf("the size is %d, %v", r.Size(), err)
	}
}
