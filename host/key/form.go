package key

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// The form of the keys that Kai makes: sk-kai- and 38 characters, of which the first 32
// are 160 random bits, and the last 6 a checksum of all before them. So a typing mistake
// and a leaked key are recognised without knowing any key.
const (
	prefix     = "sk-kai-"
	randomSize = 20 // bytes
	randomLen  = 32 // characters
	sumLen     = 6
)

// encoding has no characters that are easily taken for each other, such as 1 and l.
var encoding = base32.NewEncoding(letters).WithPadding(base32.NoPadding)

const letters = "abcdefghijklmnopqrstuvwxyz234567"

// Generate makes a new key.
func Generate() string {
	var random [randomSize]byte
	rand.Read(random[:]) // which never fails
	key := prefix + encoding.EncodeToString(random[:])
	return key + checksum(key)
}

func checksum(key string) string {
	sum := sha256.Sum256([]byte(key))
	return encoding.EncodeToString(sum[:])[:sumLen]
}

// flawOf says, after "The API key", what is wrong with a key that looks like one that Kai
// has made and can't be one. It returns "" for all others: keys may have any form.
func flawOf(key string) string {
	body, ours := strings.CutPrefix(key, prefix)
	if !ours || strings.Trim(body, letters) != "" {
		return ""
	}
	switch n := len(body); {
	case n == randomLen+sumLen && checksum(key[:len(key)-sumLen]) != key[len(key)-sumLen:]:
		return "has a typing mistake: its last characters don't fit those before. Copy it once more from where it was made."
	case n > randomLen/2 && n < randomLen+sumLen:
		return "is not complete: some of its characters are missing. Copy it once more from where it was made."
	}
	return ""
}
