package messages

import (
	"crypto/sha256"
	"encoding/hex"
	"unicode/utf8"

	"github.com/kai-gateway/kai/sdk"
)

const (
	longestName = 64 // bytes of a tool's name, which most providers take; Anthropic takes 128
	keptOfName  = 55 // bytes of a longer one that stay, before "_" and 8 digits of its hash
)

// appendName appends a tool's name, and returns the short name that takes its place; "" if
// the name stays as it is.
func (t *translation) appendName(dst []byte, name value) (out []byte, short string) {
	if len(name) <= longestName+len(`""`) {
		return append(dst, name...), ""
	}
	word := name.text()
	if len(word) <= longestName {
		return append(dst, name...), ""
	}
	t.found.native = true
	if t.form.Native {
		return append(dst, name...), ""
	}
	short = shortName(word)
	return sdk.AppendQuote(dst, short), short
}

// shortName returns a name that is short enough for every provider, and always the same
// for the same name. So nothing has to be remembered between two requests.
func shortName(name string) string {
	kept := keptOfName
	for !utf8.RuneStart(name[kept]) {
		kept--
	}
	sum := sha256.Sum256([]byte(name))
	return name[:kept] + "_" + hex.EncodeToString(sum[:4])
}
