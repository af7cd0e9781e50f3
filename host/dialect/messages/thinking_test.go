package messages

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect/seal"
)

func TestEffort(t *testing.T) {
	for name, tc := range map[string]struct{ fields, want string }{
		"nothing said":                    {``, ``},
		"an effort without thinking":      {`,"output_config":{"effort":"high"}`, ``},
		"adaptive":                        {`,"thinking":{"type":"adaptive"}`, `high`},
		"adaptive with an effort":         {`,"thinking":{"type":"adaptive","display":"omitted"},"output_config":{"effort":"max"}`, `max`},
		"between tools":                   {`,"thinking":{"type":"between_tools"},"output_config":{"effort":"xhigh"}`, `xhigh`},
		"a type of tomorrow":              {`,"thinking":{"type":"psychic"},"output_config":{"effort":"low"}`, `low`},
		"an effort of tomorrow":           {`,"thinking":{"type":"adaptive"},"output_config":{"effort":"heroic"}`, `high`},
		"a small budget":                  {`,"thinking":{"type":"enabled","budget_tokens":1024}`, `low`},
		"just below medium":               {`,"thinking":{"type":"enabled","budget_tokens":8191}`, `low`},
		"a medium budget":                 {`,"thinking":{"type":"enabled","budget_tokens":8192}`, `medium`},
		"just below high":                 {`,"thinking":{"type":"enabled","budget_tokens":16383}`, `medium`},
		"a large budget beside an effort": {`,"thinking":{"type":"enabled","budget_tokens":31999},"output_config":{"effort":"low"}`, `high`},
		"no budget":                       {`,"thinking":{"type":"enabled"}`, `high`},
		"disabled":                        {`,"thinking":{"type":"disabled"},"output_config":{"effort":"low"}`, `none`},
		"null":                            {`,"thinking":null,"output_config":{"effort":"low"}`, ``},
		"an effort that is null":          {`,"thinking":{"type":"adaptive"},"output_config":{"effort":null}`, `high`},
		"no object":                       {`,"thinking":true`, ``},
	} {
		t.Run(name, func(t *testing.T) {
			want, wished := became(hi), ""
			if tc.want != "" {
				want, wished = became(hi, `,"reasoning_effort":"`+tc.want+`"`), "reasoning_effort"
			}
			r, err := parse([]byte(said(hi, tc.fields)), false, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(r.Body.Body("up")); got != want {
				t.Errorf("%s became\n%s, want\n%s", tc.fields, got, want)
			}
			if r.Wish != wished {
				t.Errorf("the wish is %q, want %q", r.Wish, wished)
			}
		})
	}
	t.Run("the system's last word counts", func(t *testing.T) {
		messages := hi + `,{"role":"system","content":"","output_config":{"effort":"medium"}},` + hi + `,{"role":"system","content":"","output_config":{"effort":"low"}},{"role":"system","content":""}`
		want := became(user(`"hi\nhi"`), `,"reasoning_effort":"low"`)
		if got := chatOf(t, said(messages, `,"thinking":{"type":"adaptive"},"output_config":{"effort":"high"}`)); got != want {
			t.Errorf("became %s, want %s", got, want)
		}
	})
}

func thinking(text, signature string) string {
	return `{"type":"thinking","thinking":"` + text + `","signature":"` + signature + `"}`
}

// thought is a message of the assistant's that thought, with more fields behind.
func thought(content, reasoning string, more ...string) string {
	return `{"role":"assistant","content":` + content + `,"reasoning_content":"` + reasoning + `","reasoning":"` + reasoning + `"` + strings.Join(more, "") + `}`
}

func raws(objects ...string) (list []json.RawMessage) {
	for _, object := range objects {
		list = append(list, json.RawMessage(object))
	}
	return list
}

func TestThoughtsOfTheHistory(t *testing.T) {
	const (
		openai  = `{"type":"reasoning.encrypted","data":"abc","format":"openai-responses-v1","id":"rs_1","index":0}`
		gemini  = `{"extra_content":{"google":{"thought_signature":"sig=="}}}`
		foreign = `kai1.%%%`
	)
	details := seal.Seal(seal.Content{Details: raws(openai, `{"type":"reasoning.text","format":"unknown","index":1}`, `{"type":"reasoning.text","text":"own"}`)})
	ofCall := seal.Seal(seal.Content{Calls: map[string]json.RawMessage{"c2": json.RawMessage(gemini), "c9": json.RawMessage(gemini)}})
	ofText := seal.Seal(seal.Content{Message: json.RawMessage(gemini)})
	half := seal.Seal(seal.Content{Details: raws(`{"type":"reasoning.summary","summary":"a\ud83d"}`)})
	testRows(t, map[string]row{
		"half a character that was sealed, before another thought": {said(hi + `,` + assistant(`[`+thinking(`Hm.`, half)+`,`+text(`a`)+`]`) + `,` + assistant(`[`+thinking(`Well.`, ``)+`]`)),
			became(hi + `,` + thought(`"a"`, `Hm.`, `,"reasoning_details":[{"type":"reasoning.summary","summary":"a\ufffd"}]`) + `,` + thought(`""`, `Well.`))},
		"plain":               {said(hi + `,` + assistant(`[`+thinking(`Hm.\n`, `kai1.`)+`,`+text(`a`)+`]`)), became(hi + `,` + thought(`"a"`, `Hm.\n`))},
		"without a signature": {said(hi + `,` + assistant(`[`+thinking(`Hm.`, ``)+`,{"type":"thinking","thinking":"Well."},`+text(`a`)+`]`)), became(hi + `,` + thought(`"a"`, `Hm.\n\nWell.`))},
		"Claude's own": {said(hi + `,` + assistant(`[`+thinking(`Hm.`, `Eq\/u==`)+`,{"type":"redacted_thinking","data":"zzz"},`+thinking(``, `second`)+`,`+text(`a`)+`]`)),
			became(hi + `,` + thought(`"a"`, `Hm.`, `,"reasoning_details":[{"type":"reasoning.text","text":"Hm.","signature":"Eq\/u==","format":"anthropic-claude-v1","index":0},{"type":"reasoning.encrypted","data":"zzz","format":"anthropic-claude-v1","index":1},{"type":"reasoning.text","text":"","signature":"second","format":"anthropic-claude-v1","index":2}]`))},
		"details of another provider": {said(hi + `,` + assistant(`[`+thinking(`Hm.`, details)+`]`)),
			became(hi + `,` + thought(`""`, `Hm.`, `,"reasoning_details":[`+openai+`,{"text":"Hm.","type":"reasoning.text","format":"unknown","index":1},{"type":"reasoning.text","text":"own"}]`))},
		"the signature of a call": {said(hi + `,` + assistant(`[`+toolUse(`c1`, `a`, `{}`)+`,`+thinking(``, ofCall)+`,`+toolUse(`c2`, `b`, `{}`)+`]`)),
			became(hi + `,{"role":"assistant","content":null,"tool_calls":[` + toolCall(`c1`, `a`, `{}`) + `,` + strings.TrimSuffix(toolCall(`c2`, `b`, `{}`), `}`) + `,` + gemini[1:] + `]}`)},
		"the signature of a text":   {said(hi + `,` + assistant(`[`+thinking(``, ofText)+`,`+text(`a`)+`]`)), became(hi + `,{"role":"assistant","content":"a",` + gemini[1:])},
		"a carrier that was lost":   {said(hi + `,` + assistant(`[`+toolUse(`c2`, `b`, `{}`)+`]`)), became(hi + `,{"role":"assistant","content":null,"tool_calls":[` + toolCall(`c2`, `b`, `{}`) + `]}`)},
		"what is broken is ignored": {said(hi + `,` + assistant(`[`+thinking(`Hm.`, foreign)+`,`+text(`a`)+`]`)), became(hi + `,` + thought(`"a"`, `Hm.`))},
		"a user doesn't think":      {said(user(`[` + thinking(`Hm.`, `x`) + `,` + text(`a`) + `]`)), became(user(`"a"`))},
	})
}

func TestSealedContentIsBounded(t *testing.T) {
	e := refusalOf(t, said(hi+`,`+assistant(`[`+text(`a`)+`,`+thinking(``, seal.Prefix+strings.Repeat("A", 1<<20))+`]`)))
	if e.Param != "messages.1.content.1.signature" || !strings.HasPrefix(e.Text, e.Param+": sealed content that is more than 256 KiB") {
		t.Errorf("a signature of 1 MB is refused with %q: %s", e.Param, e.Text)
	}
	// A few bytes that open to many.
	bomb := thinking(``, seal.Seal(seal.Content{Details: raws(`{"data":"` + strings.Repeat("a", 60<<10) + `"}`)}))
	if _, err := parse([]byte(said(hi+`,`+assistant(`[`+bomb+`]`))), false, nil); err != nil {
		t.Errorf("60 KB that were sealed in %d bytes are refused: %v", len(bomb), err)
	}
	e = refusalOf(t, said(hi+`,`+assistant(`[`+bomb+`,`+bomb+`]`)))
	if e.Param != "messages.1.content.1.signature" {
		t.Errorf("120 KB that were sealed in %d bytes: %q: %s", 2*len(bomb), e.Param, e.Text)
	}
}
