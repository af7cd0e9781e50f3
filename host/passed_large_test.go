package host_test

import (
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestLargeDataInObjects: what is long goes by reference however deep it stands, so that it isn't
// too large for an adapter, and reaches the upstream as it came.
func TestLargeDataInObjects(t *testing.T) {
	up := mock.Start(t, nil)
	g := passedGateway(t, up)
	data := "data:image/png;base64," + strings.Repeat("iVBORw0K", 9<<17) // 9 MiB
	for path, tc := range map[string]struct{ asked, answer string }{
		"/v1/moderations": {`{"model":"%s","input":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"@"}}]}`, `{"results":[{"flagged":false}]}`},
		"/v1/rerank":      {`{"model":"%s","query":"q","documents":[{"image":{"url":"@"}}]}`, `{"results":[{"index":0,"relevance_score":0.5}]}`},
		"/v1/embeddings":  {`{"model":"%s","input":[{"content":[{"type":"image_url","image_url":{"url":"@"}}]}]}`, `{"data":[{"index":0,"embedding":[1]}]}`},
	} {
		t.Run(path, func(t *testing.T) {
			up.Answer(mock.JSON(tc.answer))
			asked := strings.Replace(tc.asked, "@", data, 1)
			if res, answer := g.postTo(t, path, "key-a", as(asked, "mine")); res.StatusCode != 200 {
				t.Fatalf("the client got %d %s", res.StatusCode, answer)
			}
			if got := up.Last().Body; got != as(asked, "theirs") {
				t.Errorf("the upstream got %d bytes, %.200s", len(got), got)
			}
		})
	}
}

// TestLargeFieldsOfForms: the sound of known speakers stands in fields, not in files.
func TestLargeFieldsOfForms(t *testing.T) {
	up := mock.Start(t, mock.JSON(`{"text":"Hello"}`))
	g := passedGateway(t, up)
	sound := "data:audio/wav;base64," + strings.Repeat("UklGRiQA", 9<<17)
	fields := fieldOf("known_speaker_names[]", "agent") + fieldOf("known_speaker_references[]", sound)
	if res, answer := g.postForm(t, transcriptions, "key-a", formOf, transcribe("mine", fields, "ID3")); res.StatusCode != 200 {
		t.Fatalf("the client got %d %s", res.StatusCode, answer)
	}
	parts := partsOf(t, up.Last())
	if len(parts) != 4 || parts[1] != "known_speaker_names[]()=agent" || parts[2] != "known_speaker_references[]()="+sound || parts[3] != "file(a.mp3)=ID3" {
		t.Errorf("the upstream got %d parts", len(parts))
	}
}
