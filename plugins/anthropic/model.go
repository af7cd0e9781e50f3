package anthropic

import (
	"strconv"
	"strings"
)

// model is what must be known of a model to write a request for it: newer models refuse
// what older ones need.
type model struct {
	adaptive bool // decides itself how much to think; if not, thinking has a budget
	sampling bool // accepts temperature, top_p and top_k
	always   bool // always thinks; turning that off is an error
}

// newest describes models that are newer than this code.
var newest = model{adaptive: true, always: true}

// modelOf describes a model by its name.
//
//   - From 4.6 on, thinking is adaptive:
//     https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking
//   - From 4.7 on, sampling parameters are refused:
//     https://platform.claude.com/docs/en/about-claude/models/migration-guide
//   - Some models of generation 5 always think:
//     https://platform.claude.com/docs/en/models/fable-5/migration-guide
//     Only the first models of the other families are known not to.
//   - A name without a version is taken for one of the newest models.
//   - A name that is not Claude's belongs to another server with the same API. Most of
//     those are like older models.
func modelOf(name string) model {
	_, version, claude := strings.Cut(strings.ToLower(name), "claude")
	if !claude {
		return model{sampling: true}
	}
	major, minor, ok := versionIn(version)
	if !ok {
		return newest
	}
	return model{
		adaptive: major > 4 || major == 4 && minor >= 6,
		sampling: major < 4 || major == 4 && minor <= 6,
		always:   major > 5 || major == 5 && (minor > 0 || strings.Contains(version, "fable") || strings.Contains(version, "mythos")),
	}
}

// versionIn finds the version in the rest of a name: 4.5 in "-haiku-4-5-20251001",
// 3.7 in "-3-7-sonnet-20250219", 4.0 in "-opus-4@20250514".
func versionIn(name string) (major, minor int, ok bool) {
	words := strings.FieldsFunc(name, func(r rune) bool { return strings.ContainsRune("-._@:/", r) })
	for i, word := range words {
		if major, ok = number(word); !ok {
			continue
		}
		if i+1 < len(words) {
			minor, _ = number(words[i+1])
		}
		return major, minor, true
	}
	return 0, 0, false
}

// number reads a word of one or two digits. Longer numbers are dates.
func number(word string) (int, bool) {
	n, err := strconv.ParseUint(word, 10, 8)
	if err != nil || len(word) > 2 {
		return 0, false
	}
	return int(n), true
}
