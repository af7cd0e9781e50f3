package gemini

import (
	"strings"

	"github.com/kai-gateway/kai/sdk"
)

// generation tells a model's generation by its name: 3 for "gemini-3-pro", 2 for
// "gemini-2.5-flash", 0 for a name that doesn't say, such as "gemini-flash-latest".
func generation(model string) int {
	_, rest, ok := strings.Cut(model, "gemini-")
	if !ok || rest == "" || rest[0] < '0' || rest[0] > '9' {
		return 0
	}
	n := 0
	for _, c := range []byte(rest) {
		if c < '0' || c > '9' || n > 99 {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

// isNew reports whether a model is of generation 3 or later, as those are whose
// name moves with the latest.
func isNew(model string) bool {
	n := generation(model)
	return n >= 3 || n == 0 && strings.HasSuffix(model, "-latest")
}

// writeThinking maps reasoning_effort, or reasoning.effort, or else the options.
// The values are those of Google's OpenAI layer:
// https://ai.google.dev/gemini-api/docs/openai#thinking
func writeThinking(key func(string) *sdk.Writer, w *sdk.Writer, q *query, options sdk.JSON) error {
	effort, param := q.effort, "reasoning_effort"
	if effort == nil {
		effort, param = q.reasoning.Get("effort"), "reasoning.effort"
	}
	include, chosen := options.Get("include_thoughts").Bool()
	var level string
	var budget sdk.JSON
	if k := effort.Kind(); k == sdk.KindAbsent || k == sdk.KindNull {
		level, _ = options.Get("thinking_level").Str()
		budget = options.Get("thinking_budget")
	} else {
		word, _ := effort.Str()
		var ok bool
		if level, budget, ok = thinkingOf(word, q.model); !ok {
			return refuse(param, "The effort must be none, minimal, low, medium, high or xhigh.")
		}
		if !chosen {
			include = word != "none"
		}
	}
	if level == "" && budget == nil && !include {
		return nil
	}
	key("thinkingConfig").Object()
	if level != "" {
		w.Key("thinkingLevel").String(level)
	} else if budget != nil {
		w.Key("thinkingBudget").Raw(budget)
	}
	if include {
		w.Key("includeThoughts").Bool(true)
	}
	w.End()
	return nil
}

// thinkingOf gives the level or the number of tokens that an effort stands for.
// Models of generation 3 cannot but think; the least they do is for none.
func thinkingOf(effort, model string) (level string, budget sdk.JSON, ok bool) {
	switch effort {
	case "none":
		level, budget = "minimal", sdk.JSON("0")
	case "minimal":
		level, budget = "minimal", sdk.JSON("1024")
	case "low":
		level, budget = "low", sdk.JSON("1024")
	case "medium":
		level, budget = "medium", sdk.JSON("8192")
	case "high", "xhigh", "max":
		level, budget = "high", sdk.JSON("24576")
	default:
		return "", nil, false
	}
	if !isNew(model) {
		return "", budget, true
	}
	if level == "minimal" && strings.Contains(model, "pro") {
		level = "low"
	}
	return level, nil, true
}
