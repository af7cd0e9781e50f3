package host_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/dialect/chat"
	textapi "github.com/kai-gateway/kai/host/dialect/completions"
	anthropicapi "github.com/kai-gateway/kai/host/dialect/messages"
	"github.com/kai-gateway/kai/host/dialect/responses"
	"github.com/kai-gateway/kai/sdk/abi"
)

// utterance is what an answer says, whichever API it is of.
type utterance struct {
	Text, Reasoning string
	Calls           []string // each: name and arguments
	End             string   // done, length or filter
	Prompt, Answer  int      // tokens

	refusal string // in chat completions: the part of Text that is one
}

// asText is what an API says of it that knows nothing but text.
func (s utterance) asText() utterance {
	s.Text, s.Reasoning, s.Calls, s.refusal = strings.TrimSuffix(s.Text, s.refusal), "", nil, ""
	return s
}

// readers parse a request of each API and read its whole answer.
var readers = map[string]struct {
	parse dialect.Parse
	body  string
	read  func(answer []byte) (utterance, error)
}{
	"chat": {
		chat.Parse, `{"model":"m","messages":[{"role":"user","content":"hi"}]}`,
		func(answer []byte) (s utterance, err error) {
			var a struct {
				Choices []struct {
					FinishReason string `json:"finish_reason"`
					Message      struct {
						Content, Reasoning, Refusal string
						ToolCalls                   []struct {
							Function struct{ Name, Arguments string }
						} `json:"tool_calls"`
					}
				}
				Usage struct {
					Prompt int `json:"prompt_tokens"`
					Answer int `json:"completion_tokens"`
				}
			}
			if err := json.Unmarshal(answer, &a); err != nil {
				return s, err
			}
			m := a.Choices[0].Message
			s = utterance{Text: m.Content + m.Refusal, Reasoning: m.Reasoning, Prompt: a.Usage.Prompt, Answer: a.Usage.Answer, refusal: m.Refusal}
			s.End = map[string]string{"stop": "done", "tool_calls": "done", "length": "length", "content_filter": "filter"}[a.Choices[0].FinishReason]
			for _, c := range m.ToolCalls {
				s.Calls = append(s.Calls, c.Function.Name+" "+compacted(c.Function.Arguments))
			}
			return s, nil
		},
	},
	"completions": {
		textapi.Parse, `{"model":"m","prompt":"hi"}`,
		func(answer []byte) (s utterance, err error) {
			var a struct {
				Choices []struct {
					Text         string
					FinishReason string `json:"finish_reason"`
				}
				Usage struct {
					Prompt int `json:"prompt_tokens"`
					Answer int `json:"completion_tokens"`
				}
			}
			if err := json.Unmarshal(answer, &a); err != nil {
				return s, err
			}
			c := a.Choices[0]
			return utterance{Text: c.Text, End: map[string]string{"stop": "done", "length": "length", "content_filter": "filter"}[c.FinishReason], Prompt: a.Usage.Prompt, Answer: a.Usage.Answer}, nil
		},
	},
	"FIM": {
		textapi.ParseFIM, `{"model":"m","prompt":"hi"}`, nil, // like chat
	},
	"messages": {
		anthropicapi.Parse, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}`,
		func(answer []byte) (s utterance, err error) {
			var a struct {
				Content []struct {
					Type, Text, Thinking, Name string
					Input                      json.RawMessage
				}
				StopReason string `json:"stop_reason"`
				Usage      struct {
					Input  int `json:"input_tokens"`
					Cached int `json:"cache_read_input_tokens"`
					Output int `json:"output_tokens"`
				}
			}
			if err := json.Unmarshal(answer, &a); err != nil {
				return s, err
			}
			s.Prompt, s.Answer = a.Usage.Input+a.Usage.Cached, a.Usage.Output
			s.End = map[string]string{"end_turn": "done", "tool_use": "done", "max_tokens": "length", "refusal": "filter"}[a.StopReason]
			for _, b := range a.Content {
				s.Text += b.Text
				s.Reasoning += b.Thinking
				if b.Type == "tool_use" {
					s.Calls = append(s.Calls, b.Name+" "+compacted(string(b.Input)))
				}
			}
			return s, nil
		},
	},
	"responses": {
		responses.Parse(responses.Options{}), `{"model":"m","input":"hi","store":false,"tools":[{"type":"function","name":"f","parameters":{}},{"type":"function","name":"g","parameters":{}}]}`,
		func(answer []byte) (s utterance, err error) {
			type part struct{ Text, Refusal string }
			var a struct {
				Status     string
				Incomplete struct{ Reason string } `json:"incomplete_details"`
				Output     []struct {
					Type, Name, Arguments string
					Content, Summary      []part
				}
				Usage struct {
					Input  int `json:"input_tokens"`
					Output int `json:"output_tokens"`
				}
			}
			if err := json.Unmarshal(answer, &a); err != nil {
				return s, err
			}
			s.Prompt, s.Answer = a.Usage.Input, a.Usage.Output
			s.End = map[string]string{"completed": "done", "incomplete max_output_tokens": "length", "incomplete content_filter": "filter"}[strings.TrimSpace(a.Status+" "+a.Incomplete.Reason)]
			for _, item := range a.Output {
				for _, p := range append(item.Content, item.Summary...) {
					if item.Type == "reasoning" {
						s.Reasoning += p.Text
					} else {
						s.Text += p.Text + p.Refusal
					}
				}
				if item.Type == "function_call" {
					s.Calls = append(s.Calls, item.Name+" "+compacted(item.Arguments))
				}
			}
			return s, nil
		},
	},
}

// compacted returns JSON without white space, or what is none as it is.
func compacted(text string) string {
	var v any
	if json.Unmarshal([]byte(text), &v) != nil {
		return text
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// TestAPIsSayTheSame gives random facts to every API: the same text, reasoning, calls, end
// and usage come out.
func TestAPIsSayTheSame(t *testing.T) {
	for seed := range uint64(300) {
		script := randomFacts(rand.New(rand.NewPCG(seed, 3)))
		got := map[string]utterance{}
		for name, r := range readers {
			asked, err := r.parse(t.Context(), []byte(r.body), dialect.Caller{})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			read := r.read
			if read == nil {
				read = readers["chat"].read
			}
			if got[name], err = sayWhole(asked, script, read); err != nil {
				t.Fatalf("seed %d, %s: %v", seed, name, err)
			}
		}
		for name, s := range got {
			want := got["chat"]
			if name == "completions" {
				want = want.asText()
			}
			s.refusal, want.refusal = "", ""
			if fmt.Sprint(s) != fmt.Sprint(want) || s.End == "" {
				t.Fatalf("seed %d: in %s the answer is\n%+v\nand in chat\n%+v", seed, name, s, want)
			}
		}
	}
}

// sayWhole returns what the whole answer to a request says.
func sayWhole(asked *dialect.Request, script [][]abi.Emission, read func([]byte) (utterance, error)) (utterance, error) {
	a := asked.Whole(dialect.Info{ID: "X", Model: "m", Created: 1})
	for _, ems := range script {
		if _, err := a.Apply(nil, ems); err != nil {
			return utterance{}, err
		}
	}
	if !a.Complete() {
		return utterance{}, errors.New("it is not complete")
	}
	whole, err := a.End(nil)
	if err != nil {
		return utterance{}, err
	}
	return read(whole)
}

// randomFacts is what an adapter states that never errs: pieces of text, of thoughts and of
// two calls, in any order, and then the end.
func randomFacts(r *rand.Rand) (script [][]abi.Emission) {
	on := func(kind abi.Kind, item int, payload string) abi.Emission {
		return abi.Emission{Kind: kind, At: abi.At(0, item), Data: []byte(payload)}
	}
	arguments := [][]string{{`{"a":`, `"x}"`, `,"b":[1,`, `2]}`}, {`{`, `}`}}
	given := []int{0, 0}
	var now []abi.Emission
	state := func(e abi.Emission) {
		if now = append(now, e); r.IntN(3) == 0 {
			script, now = append(script, now), nil
		}
	}
	for range r.IntN(20) {
		switch n := r.IntN(6); n {
		case 0, 1:
			state(on(abi.Text, 0, []string{"some ", "wörds\n", `"quoted" `}[r.IntN(3)]))
		case 2, 3:
			state(on(abi.Reasoning, 0, []string{"thought ", "\\ "}[r.IntN(2)]))
		default:
			call := n - 4
			if given[call] == 0 {
				state(on(abi.ToolName, call, []string{"f", "g"}[call]))
			}
			if given[call] < len(arguments[call]) {
				state(on(abi.ToolArgs, call, arguments[call][given[call]]))
				given[call]++
			}
		}
	}
	for call, n := range given {
		if n > 0 {
			for _, rest := range arguments[call][n:] {
				state(on(abi.ToolArgs, call, rest))
			}
		}
	}
	if r.IntN(4) == 0 {
		state(on(abi.Refusal, 0, "no")) // last, for chat completions keep no order
	}
	end := []abi.Emission{on(abi.Finish, 0, []string{"stop", "length", "content_filter"}[r.IntN(3)])}
	return append(script, now, end, []abi.Emission{on(abi.Usage, 0, `{"prompt_tokens":9,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":5}}`)})
}
