package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"cuelang.org/go/cue"
)

// redacted is what every way of printing a Secret gives.
const redacted = "REDACTED"

// Secret holds a text that must not be shown. Only Reveal gives it; printing,
// logging and marshalling give REDACTED. The zero value holds none.
type Secret struct{ text []byte }

// NewSecret keeps a text.
func NewSecret(text string) Secret { return Secret{[]byte(text)} }

// Reveal returns the text, for the one place that sends it.
func (s Secret) Reveal() string { return string(s.text) }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return len(s.text) == 0 }

func (s Secret) String() string               { return redacted }
func (s Secret) GoString() string             { return redacted }
func (s Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
func (s Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }

// Format covers the verbs that would print the bytes, such as %x.
func (s Secret) Format(f fmt.State, _ rune) { fmt.Fprint(f, redacted) }

// UnmarshalText takes what MarshalText gives, which is no secret.
func (s *Secret) UnmarshalText(b []byte) error {
	if string(b) != redacted {
		return errors.New("a secret cannot be read from " + redacted)
	}
	*s = Secret{}
	return nil
}

var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
)

// secret is what was found where a secret belongs.
type secret struct {
	Secret
	unset string // the variable that would give it
}

// cutSecrets takes every secret out of the tree, wherever the schema has
// @secret(), and leaves REDACTED in its place, so that nothing after it can show
// one. Whatever stands where a secret belongs counts as one, whatever its type.
func (l *loader) cutSecrets(f *form, v *value, path string) {
	if f == nil {
		return
	}
	kinds := f.schema.IncompleteKind()
	if f.secret && kinds&cue.StringKind != 0 {
		if kinds == cue.StringKind || v.kind == text || isFileReference(v) {
			l.cut(v, path, f.optional)
			return
		}
	}
	for i, item := range v.items {
		l.cutSecrets(f.element(), item, joinIndex(path, i))
	}
	if keys := f.keys(); keys != nil {
		for _, e := range v.entries {
			l.cutSecrets(keys.get(e.key), e.value, join(path, e.key))
		}
	}
}

// isFileReference reports whether v is {file: …}.
func isFileReference(v *value) bool {
	return v.kind == mapping && len(v.entries) == 1 && v.entries[0].key == "file"
}

// cut reads the secret at v and replaces it. mayBeUnset says that its variable may be missing.
func (l *loader) cut(v *value, path string, mayBeUnset bool) {
	if _, done := l.secrets[v]; done || v.bad || v.kind == null {
		return
	}
	s, err := l.readSecret(v, mayBeUnset)
	if err != nil {
		l.fault(v, path, err.Error())
	}
	*v = value{kind: text, place: v.place, scalar: redacted, filled: true, bad: v.bad}
	l.secrets[v] = s
}

func (l *loader) readSecret(v *value, mayBeUnset bool) (s secret, err error) {
	var content string
	switch {
	case v.kind == text:
		e, err := expand(v.scalar, l.options.LookupEnv)
		switch {
		case err != nil:
			return s, err
		case looksLikeKey(e.unset):
			return s, errors.New(keyInReference)
		case e.unset != "" && mayBeUnset:
			return secret{unset: e.unset}, nil
		case e.unset != "":
			return s, fmt.Errorf("the variable %s is not set, or empty: set it, for this secret must be there", e.unset)
		case e.foreign:
			content = strings.TrimSpace(e.text)
			if content == "" && mayBeUnset {
				return s, nil // "${NAME:-}": no key is wanted
			}
		default:
			content = e.text
		}
	case isFileReference(v):
		if content, err = l.readSecretFile(v.entries[0].value); err != nil {
			return s, err
		}
	case v.kind == mapping || v.kind == list:
		return s, errors.New(`must be text in quotes, "${NAME}", or {file: path}`)
	default:
		return s, errors.New("must be text: put it in quotes")
	}
	if err := usable(content); err != nil {
		return s, err
	}
	return secret{Secret: NewSecret(content)}, nil
}

const keyInReference = "has ${ } around what looks like a key itself: write the key alone, or the name of a variable"

// looksLikeKey reports whether NAME in ${NAME} looks like a key itself, put there by
// mistake. Names of variables that are not set are shown to clients, so it must not be.
func looksLikeKey(name string) bool {
	return len(name) >= 32 && strings.ContainsAny(name, "0123456789") && name != strings.ToUpper(name)
}

// usable says why a text cannot be a key. Keys travel in a header.
func usable(key string) error {
	switch {
	case key == "":
		return errors.New(`is empty: write the key, "${NAME}", or {file: path}`)
	case !utf8.ValidString(key):
		return errors.New("is not UTF-8 text")
	case strings.ContainsFunc(key, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }):
		return errors.New("holds a space, a line break or a control character, which no key can: check that it is one key and complete")
	case isQuoted(key):
		return errors.New("is in quotes that belong to it: leave them away where the key is written")
	}
	if i := strings.IndexFunc(key, func(c rune) bool { return c > unicode.MaxASCII }); i >= 0 {
		c, _ := utf8.DecodeRuneInString(key[i:])
		return fmt.Errorf("holds the character %U, but keys are of letters, digits and signs of ASCII: copy the key once more from where it was made", c)
	}
	return nil
}

// isQuoted reports whether a key begins and ends with the same quote, as it does
// when a file for docker run --env-file has quotes.
func isQuoted(key string) bool {
	last := len(key) - 1
	return last > 0 && key[0] == key[last] && strings.IndexByte("\"'`", key[0]) >= 0
}

// maxSecretFile bounds a file that holds a secret, in bytes.
const maxSecretFile = 64 << 10

// readSecretFile reads a secret out of a file, without the space around it. A
// relative path is relative to the configuration.
func (l *loader) readSecretFile(v *value) (string, error) {
	if v.kind != text || v.scalar == "" {
		return "", errors.New("file must be the path of the file that holds the key, in quotes")
	}
	e, err := expand(v.scalar, l.options.LookupEnv)
	switch {
	case err != nil:
		return "", err
	case looksLikeKey(e.unset):
		return "", errors.New(keyInReference)
	case e.unset != "":
		return "", fmt.Errorf("the variable %s in the file's path is not set, or empty", e.unset)
	}
	content, err := l.options.ReadFile(l.resolve(e.text))
	switch {
	case err != nil:
		// The reason without the path, which is in the configuration anyway.
		var pathError *fs.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		return "", fmt.Errorf("the file cannot be read: %w", err)
	case len(content) > maxSecretFile:
		return "", errors.New("the file is larger than 64 KiB: it cannot be a key")
	}
	key := strings.TrimSpace(strings.TrimPrefix(string(content), "\ufeff")) // editors on Windows write a byte order mark
	if key == "" {
		return "", errors.New("the file is empty")
	}
	return key, nil
}

// resolve makes a path in the configuration one that can be opened.
func (l *loader) resolve(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(l.dir, path)
}
