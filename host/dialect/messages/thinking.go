package messages

// wish is the field of the chat request that clients merely wish: they ask for thinking
// whatever the model is.
const wish = "reasoning_effort"

// noteEffort takes the effort that a message of the system asks for from then on.
func (t *translation) noteEffort(outputConfig value) {
	if e := get(outputConfig, "effort"); e.isString() {
		t.lastEffort = e
	}
}

// think writes how much the model should think.
func (t *translation) think() {
	if t.effort = t.reasoningEffort(); t.effort != "" {
		t.raw(`,"` + wish + `":"` + t.effort + `"`)
	}
}

// reasoningEffort returns how much a model is to think, "" if the request doesn't say.
func (t *translation) reasoningEffort() string {
	thinking := t.source.thinking
	if !thinking.isObject() {
		return "" // even beside an effort
	}
	switch get(thinking, "type").text() {
	case "disabled":
		return "none"
	case "enabled":
		return effortOf(get(thinking, "budget_tokens"))
	}
	e := t.lastEffort
	if e == nil {
		e = get(t.source.outputConfig, "effort")
	}
	switch word := e.text(); word {
	case "low", "medium", "high", "xhigh", "max":
		return word
	}
	return "high"
}

// effortOf returns the effort that a budget of tokens stands for.
func effortOf(budget value) string {
	switch n, ok := integer(budget); {
	case ok && n < 8192:
		return "low"
	case ok && n < 16384:
		return "medium"
	}
	return "high"
}
