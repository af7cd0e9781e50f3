package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// maxDuration bounds every duration of a configuration.
const maxDuration = 24 * time.Hour

// Bounds of sizes, in bytes.
const (
	maxBody   = 1 << 30
	maxBodies = 1 << 40
	maxMemory = 1 << 40
)

// duration reads Go's notation.
type duration time.Duration

func (d *duration) UnmarshalText(b []byte) error {
	x, err := time.ParseDuration(string(b))
	*d = duration(x)
	return err
}

// size reads a number of bytes or a text such as "32MiB".
type size int64

func (s *size) UnmarshalJSON(b []byte) error {
	var unquoted string
	if err := json.Unmarshal(b, &unquoted); err != nil {
		unquoted = string(b)
	}
	x, ok := parseSize(unquoted)
	if !ok {
		return fmt.Errorf("not a size")
	}
	*s = size(x)
	return nil
}

func parseSize(s string) (int64, bool) {
	factor := int64(1)
	for _, unit := range [...]struct {
		name   string
		factor int64
	}{
		{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
		{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1},
	} {
		if digits, found := strings.CutSuffix(s, unit.name); found {
			s, factor = strings.TrimSuffix(digits, " "), unit.factor
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > maxBodies/factor {
		return 0, false
	}
	return n * factor, true
}

// checkDuration checks what the schema cannot say of a duration.
func (l *loader) checkDuration(v *value, path string, least time.Duration) {
	if !v.isText() {
		return
	}
	d, err := time.ParseDuration(v.scalar)
	switch {
	case err != nil || d > maxDuration:
		l.fault(v, path, "must be at most 24h")
	case d < least:
		l.fault(v, path, fmt.Sprintf("must be at least %v", least))
	}
}

func (l *loader) checkSize(v *value, path string, most int64, words string) {
	if v == nil || v.bad || v.kind == null {
		return
	}
	n, ok := parseSize(v.scalar)
	switch {
	case !ok || n > most:
		l.fault(v, path, "must be at most "+words)
	case n < 1:
		l.fault(v, path, "must be at least 1 byte")
	}
}
