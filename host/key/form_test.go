package key

import (
	"regexp"
	"strings"
	"testing"
)

func TestGeneratedKeys(t *testing.T) {
	form := regexp.MustCompile(`^sk-kai-[a-z2-7]{38}$`)
	seen := map[string]bool{}
	for range 100 {
		key := Generate()
		if !form.MatchString(key) || seen[key] || flawOf(key) != "" {
			t.Fatalf("%q is not as it should be: %q", key, flawOf(key))
		}
		seen[key] = true
	}
}

// TestTypingMistakesAreRecognised makes every mistake of one character, and every swap of
// two that are neighbours.
func TestTypingMistakesAreRecognised(t *testing.T) {
	key := prefix + strings.Repeat("a", randomLen)
	for _, key := range []string{key + checksum(key), Generate(), Generate()} {
		for i := len(prefix); i < len(key); i++ {
			for _, c := range letters {
				wrong := key[:i] + string(c) + key[i+1:]
				if got := flawOf(wrong); (got == "") != (wrong == key) {
					t.Fatalf("%q instead of %q: %q", wrong, key, got)
				}
			}
			if i+1 < len(key) {
				swapped := key[:i] + key[i+1:i+2] + key[i:i+1] + key[i+2:]
				if got := flawOf(swapped); (got == "") != (swapped == key) {
					t.Fatalf("%q instead of %q: %q", swapped, key, got)
				}
			}
		}
		if got := flawOf(key[:len(key)-1]); !strings.Contains(got, "not complete") {
			t.Errorf("without its last character: %q", got)
		}
	}
}

func TestKeysOfOtherFormsHaveNoFlaw(t *testing.T) {
	for _, key := range []string{
		"", "sk-", "sk-kai-", "sk-kai-alice", "sk-proj-abcdefghijklmnopqrstuvwxyz234567abcdef", "sk-kai-" + strings.Repeat("0f", 24),
		"sk-kai-" + strings.Repeat("a", 39), "SK-KAI-" + strings.Repeat("A", 38),
	} {
		if got := flawOf(key); got != "" {
			t.Errorf("%q: %q", key, got)
		}
	}
}
