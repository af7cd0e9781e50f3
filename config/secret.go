package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// redacted is what every way of printing a Secret gives.
const redacted = "REDACTED"

// Secret holds a text that must not be shown. Only Reveal gives it; printing,
// logging and marshalling give REDACTED. The zero value holds none.
type Secret struct{ text []byte }

// NewSecret keeps a text.
func NewSecret(text string) Secret { return Secret{[]byte(text)} }

// Reveal gives the text, for the one place that sends it.
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

var (
	_ fmt.Formatter  = Secret{}
	_ slog.LogValuer = Secret{}
)
