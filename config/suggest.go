package config

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"cuelang.org/go/cue"
)

// home is where a key belongs, in words, and of which kinds its value is.
type home struct {
	folded, words string
	kinds         cue.Kind
}

// allHomes returns the homes of all keys but those of entries in lists, read out of
// the schema when first needed.
func (l *loader) allHomes() []home {
	if l.homes == nil {
		walk(l.whole, "", func(path string, f *form) {
			section := strings.TrimSuffix(strings.TrimSuffix(path, f.name), ".")
			if !strings.HasSuffix(section, "[]") {
				l.homes = append(l.homes, home{fold(f.name), sectionWords(section), f.schema.IncompleteKind()})
			}
		})
	}
	return l.homes
}

// sectionWords says where the keys of a section stand.
func sectionWords(path string) string {
	if path == "" {
		return "at the top level"
	}
	if i := strings.LastIndexByte(path, '.'); i >= 0 && path[i+1:] == strings.ToUpper(path[i+1:]) {
		return "in an entry of " + path[:i]
	}
	return "under " + path
}

// suggest says what an unknown key may have been meant to be: a similar one, one
// of another section, or what there is. meant is the similar key.
func (l *loader) suggest(known []string, e entry, path string) (meant, hint string) {
	if meant = Closest(e.key, known); meant != "" {
		return meant, fmt.Sprintf("; did you mean %q?", meant)
	}
	return "", l.suggestPlace(known, e, path)
}

func (l *loader) suggestPlace(known []string, e entry, path string) string {
	if !strings.Contains(path, "options") {
		if path == "" && e.value.get("model") != nil {
			return "; it looks like a model: indent it below model_mapping"
		}
		if path == "" && (e.value.get("base_url") != nil || e.value.get("plugin") != nil || e.value.get("api_key") != nil) {
			return "; it looks like a provider: indent it below providers"
		}
		folded := fold(e.key)
		var homes []string
		for _, h := range l.allHomes() {
			if h.folded == folded && h.kinds&e.value.cueKind() != 0 && !slices.Contains(homes, h.words) {
				homes = append(homes, h.words)
			}
		}
		if len(homes) > 0 {
			return "; it belongs " + strings.Join(homes, " or ")
		}
	}
	if len(known) == 0 {
		return "; none is known here"
	}
	return "; known here: " + strings.Join(known, ", ")
}

// Closest returns the name most like word, or "" when none is much like it. Of
// many names only the first are looked at, since a file may misspell as many.
func Closest(word string, names []string) string {
	const most = 200
	names = names[:min(most, len(names))]
	folded := fold(word)
	best, distance := "", 1+min(4, max(1, len(word)/3))
	holding, holders := "", 0
	for _, name := range names {
		f := fold(name)
		if d := editDistance(folded, f); d < distance {
			best, distance = name, d
		}
		if len(folded) >= 3 && strings.Contains(f, folded) {
			holding, holders = name, holders+1
		}
	}
	if best == "" && holders == 1 {
		return holding // base_url for url
	}
	return best
}

// fold makes apiKey, api-key and api_key one.
func fold(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '_' || c == '-' || c == ' ' {
			return -1
		}
		return unicode.ToLower(c)
	}, name)
}

// longest is the longest word that is compared, in bytes.
const longest = 64

// editDistance counts the insertions, deletions, replacements and swaps of
// neighbours that make a of b. Longer words than the longest are far from all.
func editDistance(a, b string) int {
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var rows [3][longest + 1]int
	before, previous, current := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		previous[j] = j
	}
	for i := range len(a) {
		current[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			current[j+1] = min(previous[j]+cost, previous[j+1]+1, current[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				current[j+1] = min(current[j+1], before[j-1]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(b)]
}
