package gemini

import (
	"strconv"
	"strings"

	"github.com/kai-gateway/kai/sdk"
)

// version reads a model's version from its name: 3.0 from "gemini-3-pro", 2.5 from
// "gemini-2.5-flash", and 0.0 from a name without one, such as "gemini-flash-latest".
func version(model string) (major, minor int) {
	_, rest, _ := strings.Cut(model, "gemini-")
	number, _, _ := strings.Cut(rest, "-")
	before, after, _ := strings.Cut(number, ".")
	major, err := strconv.Atoi(before)
	if err != nil || major < 0 {
		return 0, 0
	}
	if minor, err = strconv.Atoi(after); err != nil || minor < 0 {
		minor = 0
	}
	return major, minor
}

// isNew reports whether a model is of generation 3 or later. Names that always mean the
// latest model are.
func isNew(model string) bool {
	major, _ := version(model)
	return major >= 3 || major == 0 && strings.Contains(model, "gemini-") && strings.HasSuffix(model, "-latest")
}

// thinking is what a request says about a model's thinking.
type thinking struct {
	level   string   // for generation 3; "": not set
	budget  sdk.JSON // for generation 2.5, a number of tokens; absent: not set
	include bool     // whether summaries of the thoughts are wanted
}

// writeThinking maps reasoning_effort, or else OpenRouter's reasoning, which has effort,
// max_tokens or enabled, or else the options. The values are those of Google's OpenAI layer:
// https://ai.google.dev/gemini-api/docs/openai#thinking
func writeThinking(key func(string) *sdk.Writer, w *sdk.Writer, q *query, options sdk.JSON) error {
	t, err := q.thinking(options)
	if err != nil {
		return err
	}
	if include, chosen := options.Get("include_thoughts").Bool(); chosen {
		t.include = include
	}
	if t.level == "" && t.budget == nil && !t.include {
		return nil
	}
	key("thinkingConfig").Object()
	if t.level != "" {
		w.Key("thinkingLevel").String(t.level)
	} else if t.budget != nil {
		w.Key("thinkingBudget").Raw(t.budget)
	}
	if t.include {
		w.Key("includeThoughts").Bool(true)
	}
	w.End()
	return nil
}

func (q *query) thinking(options sdk.JSON) (thinking, error) {
	if q.ReasoningEffort != nil {
		return thinkingOf("reasoning_effort", q.ReasoningEffort, q.model)
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
	if effort.Kind() > sdk.KindNull {
		return thinkingOf("reasoning.effort", effort, q.model)
	}
	tokens, _ := budget.Int()
	on, said := enabled.Bool()
	switch {
	case said && !on:
		return thinkingOf("", sdk.JSON(`"none"`), q.model)
	case tokens > 0: // generation 3 makes a level of it
		return thinking{budget: budget, include: true}, nil
	}
	level, _ := options.Get("thinking_level").Str()
	return thinking{level: level, budget: options.Get("thinking_budget"), include: on}, nil
}

// thinkingOf returns what an effort means for a model. Many models always think, and for
// them "none" means the least that they can do. The levels of each model are in
// https://docs.cloud.google.com/vertex-ai/generative-ai/docs/thinking.
func thinkingOf(param string, effort sdk.JSON, model string) (thinking, error) {
	word, _ := effort.Str()
	t := thinking{include: word != "none"}
	tokens := ""
	switch word {
	case "none":
		t.level, tokens = "minimal", "0"
	case "minimal":
		t.level, tokens = "minimal", "1024"
	case "low":
		t.level, tokens = "low", "1024"
	case "medium":
		t.level, tokens = "medium", "8192"
	case "high", "xhigh", "max":
		t.level, tokens = "high", "24576"
	default:
		return thinking{}, refuse(param, "The effort must be none, minimal, low, medium, high or xhigh.")
	}
	pro := strings.Contains(model, "pro")
	if !isNew(model) {
		if pro && tokens == "0" {
			tokens = "128" // the lowest that 2.5 Pro accepts
		}
		return thinking{budget: sdk.JSON(tokens), include: t.include}, nil
	}
	switch major, minor := version(model); {
	case t.level == "minimal" && (pro || major != 3 || minor >= 7):
		t.level = "low"
	case t.level == "medium" && pro && major == 3 && minor == 0:
		t.level = "high"
	}
	return t, nil
}
