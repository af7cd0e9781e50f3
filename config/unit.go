package config

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Duration is a duration in Go's notation, such as 1m30s.
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// UnmarshalText reads Go's notation.
func (d *Duration) UnmarshalText(b []byte) error {
	x, err := time.ParseDuration(string(b))
	*d = Duration(x)
	return err
}

func parseDuration(s string) (nanoseconds int64, ok bool) {
	d, err := time.ParseDuration(s)
	return int64(d), err == nil
}

// Size is a number of bytes. A file gives it as a number, or as text with a unit
// such as 32MiB.
type Size int64

// UnmarshalJSON reads a number or a text.
func (s *Size) UnmarshalJSON(b []byte) error {
	var unquoted string
	if err := json.Unmarshal(b, &unquoted); err != nil {
		unquoted = string(b)
	}
	x, ok := parseSize(unquoted)
	if !ok {
		return errors.New("not a size")
	}
	*s = Size(x)
	return nil
}

func parseSize(s string) (bytes int64, ok bool) {
	factor := int64(1)
	for _, unit := range [...]struct {
		name   string
		factor int64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
		{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
	} {
		if digits, found := strings.CutSuffix(s, unit.name); found {
			s, factor = strings.TrimSuffix(digits, " "), unit.factor
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return 0, false
	}
	return n * factor, true
}

// Quantity is a number of things. A file gives it as a number, or as text in thousands,
// millions or thousands of millions such as 128k.
type Quantity int64

// UnmarshalJSON reads a number or a text.
func (q *Quantity) UnmarshalJSON(b []byte) error {
	var unquoted string
	if err := json.Unmarshal(b, &unquoted); err != nil {
		unquoted = string(b)
	}
	x, ok := parseQuantity(unquoted)
	if !ok {
		return errors.New("not a quantity")
	}
	*q = Quantity(x)
	return nil
}

func parseQuantity(s string) (n int64, ok bool) {
	factor := int64(1)
	if len(s) > 0 {
		switch s[len(s)-1] {
		case 'k':
			factor = 1e3
		case 'M':
			factor = 1e6
		case 'G':
			factor = 1e9
		}
	}
	if factor > 1 {
		s = s[:len(s)-1]
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/factor {
		return 0, false
	}
	return n * factor, true
}

// Rate is a quantity in a period; zero: any.
type Rate struct {
	N   Quantity
	Per time.Duration // a second, a minute, an hour or a day
}

// UnmarshalText reads text such as 150k/m.
func (r *Rate) UnmarshalText(b []byte) error {
	quantity, per, _ := strings.Cut(string(b), "/")
	n, ok := parseQuantity(quantity)
	periods := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	if !ok || periods[per] == 0 {
		return errors.New("not a rate")
	}
	*r = Rate{Quantity(n), periods[per]}
	return nil
}

// Digest is a SHA-256.
type Digest [32]byte

// UnmarshalText reads 64 hexadecimal digits.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("not %d hexadecimal digits", hex.EncodedLen(len(d)))
	}
	_, err := hex.Decode(d[:], b)
	return err
}
