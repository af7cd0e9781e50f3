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
