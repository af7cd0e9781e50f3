package anthropic

import "github.com/kai-gateway/kai/sdk"

// thought says how thinking is written, as a request or the options decide.
type thought struct {
	form    form
	budget  int64    // of withBudget, in tokens
	display sdk.JSON // a string; absent: not set
	native  sdk.JSON // of asWritten
	effort  string   // for output_config; "": not set
}

// form is how thinking is written.
type form uint8

const (
	unset      form = iota // the model's own default
	off                    // {"type":"disabled"}
	adaptive               // {"type":"adaptive"}
	withBudget             // {"type":"enabled","budget_tokens":…}
	asWritten              // in the client's own words
)

const (
	leastBudget   = 1024 // the lowest that Anthropic accepts
	defaultBudget = 8192
)

// budgets are the budgets for efforts, for a model whose thinking has a budget. fit bounds
// them by the limit of the answer.
var budgets = [...]struct {
	effort string
	tokens int64
}{
	{"minimal", 1024},
	{"low", 2048},
	{"medium", defaultBudget},
	{"high", 16384},
	{"xhigh", 24576},
	{"max", 24576},
}

// thought reads what the client wants, in the first of these forms that the request has:
// Anthropic's thinking; OpenAI's reasoning_effort; OpenRouter's reasoning, which has effort,
// max_tokens or enabled. If it has none, the options decide.
func (q *query) thought(o settings, m model) (thought, error) {
	t := fromOptions(o)
	if t.form == adaptive || t.form == withBudget {
		m.adaptive = t.form == adaptive // the operator knows the model
	}
	switch {
	case q.thinking.Kind() == sdk.KindObject:
		t.form, t.native = asWritten, q.thinking
		return t, nil
	case q.ReasoningEffort != nil:
		return t, t.ask("reasoning_effort", q.ReasoningEffort, m)
	}
	var effort, budget, enabled sdk.JSON
	for f := sdk.Object(q.Reasoning); f.Next(); {
		switch string(f.Key()) {
		case "effort":
			effort = f.Value()
		case "max_tokens":
			budget = f.Value()
		case "enabled":
			enabled = f.Value()
		}
	}
	if effort != nil && effort.Kind() != sdk.KindNull {
		return t, t.ask("reasoning.effort", effort, m)
	}
	tokens, _ := budget.Int()
	switch on, said := enabled.Bool(); {
	case said && !on:
		t.stop(m)
	case said || tokens > 0:
		if tokens == 0 {
			tokens = defaultBudget
		}
		t.think(max(tokens, leastBudget), m)
	}
	return t, nil
}

// fromOptions returns what the options say.
func fromOptions(o settings) thought {
	var t thought
	t.effort, _ = o.effort.Str()
	kind := ""
	for f := sdk.Object(o.thinking); f.Next(); {
		switch string(f.Key()) {
		case "type":
			kind, _ = f.Value().Str()
		case "budget_tokens":
			t.budget, _ = f.Value().Int()
		case "display":
			t.display = f.Value()
		}
	}
	switch kind {
	case "adaptive":
		t.form = adaptive
	case "enabled":
		t.form = withBudget
		if t.budget == 0 {
			t.budget = defaultBudget
		}
	case "disabled":
		t.form = off
	}
	return t
}

// ask sets the effort that the client asks for in param.
func (t *thought) ask(param string, v sdk.JSON, m model) error {
	effort, _ := v.Str()
	if effort == "none" {
		t.stop(m)
		return nil
	}
	for _, b := range budgets {
		if b.effort != effort {
			continue
		}
		t.think(b.tokens, m)
		if m.adaptive {
			if t.effort = effort; effort == "minimal" {
				t.effort = "low"
			}
		}
		return nil
	}
	return refuse(param, "The effort must be none, minimal, low, medium, high, xhigh or max.")
}

// think turns thinking on. It asks for the text, because the client wants to see it and
// newer models leave it out by default.
func (t *thought) think(budget int64, m model) {
	t.form, t.budget = withBudget, budget
	if m.adaptive {
		t.form = adaptive
		if t.display == nil {
			t.display = sdk.JSON(`"summarized"`)
		}
	}
}

// stop turns thinking off. If the model always thinks, it turns thinking down as far as
// possible. Opus 5 accepts the highest efforts only with thinking:
// https://platform.claude.com/docs/en/models/opus-5/migration-guide.
func (t *thought) stop(m model) {
	if m.always {
		t.form, t.effort = unset, "low"
		return
	}
	t.form = off
	if t.effort == "xhigh" || t.effort == "max" {
		t.effort = "high"
	}
}

// rest turns thinking off where Anthropic refuses it: if a tool must be called, and with a
// budget after an assistant's message whose own thinking is missing. What the client wrote
// in Anthropic's own form stays.
func (t *thought) rest() {
	if t.form == adaptive || t.form == withBudget {
		t.form = unset
	}
}

// fit lowers a budget so that there is room for an answer within the limit, which counts
// thinking, too. If that is less than leastBudget, there is no thinking.
func (t *thought) fit(limit int64) {
	if t.form != withBudget {
		return
	}
	t.budget = min(t.budget, limit/4*3)
	if t.budget < leastBudget {
		t.form = unset
	}
}

// thinks reports whether thinking is on, as far as is known.
func (t *thought) thinks() bool {
	if t.form == asWritten {
		kind, _ := t.native.Get("type").Str()
		return kind != "disabled"
	}
	return t.form == adaptive || t.form == withBudget
}

func (t *thought) write(w *sdk.Writer) {
	switch t.form {
	case unset:
		return
	case asWritten:
		w.Key("thinking").Raw(t.native)
		return
	}
	w.Key("thinking").Object()
	switch t.form {
	case off:
		w.Key("type").String("disabled")
	case adaptive:
		w.Key("type").String("adaptive")
	case withBudget:
		w.Key("type").String("enabled")
		w.Key("budget_tokens").Int(t.budget)
	}
	if t.display != nil && t.form != off {
		w.Key("display").Raw(t.display)
	}
	w.End()
}
