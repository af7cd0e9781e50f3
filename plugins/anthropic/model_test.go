package anthropic

import "testing"

func TestModelOf(t *testing.T) {
	var (
		old      = model{sampling: true}
		middle   = model{adaptive: true, sampling: true}
		obedient = model{adaptive: true}
	)
	for name, want := range map[string]model{
		"claude-3-7-sonnet-20250219":                   old,
		"claude-3-opus-20240229":                       old,
		"claude-opus-4-20250514":                       old,
		"claude-opus-4@20250514":                       old,
		"claude-opus-4-1-20250805":                     old,
		"claude-haiku-4-5":                             old,
		"claude-haiku-4-5-20251001":                    old,
		"us.anthropic.claude-sonnet-4-5-20250929-v1:0": old,
		"anthropic/claude-sonnet-4.5":                  old,
		"claude-opus-4-6":                              middle,
		"claude-sonnet-4-6":                            middle,
		"claude-opus-4-7":                              obedient,
		"claude-opus-4-8-20260528":                     obedient,
		"claude-sonnet-5":                              obedient,
		"claude-opus-5":                                obedient,
		"claude-opus-5-5":                              newest,
		"claude-fable-5":                               newest,
		"claude-mythos-5":                              newest,
		"claude-fable-5-1":                             newest,
		"claude-mythos-preview":                        newest,
		"claude-opus-10-2":                             newest,
		"Claude-Haiku-4-5":                             old,
		"kimi-k2":                                      old,
		"":                                             old,
	} {
		if got := modelOf(name); got != want {
			t.Errorf("modelOf(%q) = %+v, want %+v", name, got, want)
		}
	}
}
