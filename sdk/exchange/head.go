package exchange

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kai-gateway/kai/sdk/abi"
)

const maxValue = 1 << 10 // how many bytes of a header's value an adapter sees

// Head returns the headers that an adapter may see, each as "lower-case-name: value\n", sorted.
// An adapter has no clock, so a Retry-After that is a date becomes the seconds from now until
// then. clean is applied to every value, unless it is nil.
func Head(header http.Header, now time.Time, clean func(string) string) []byte {
	var lines []string
	for name, values := range header {
		name = strings.ToLower(name)
		if !abi.HeaderForAdapters(name) {
			continue
		}
		for _, v := range values {
			if name == "retry-after" {
				v = seconds(v, now)
			}
			if clean != nil {
				v = clean(v) // before it is cut; otherwise a part of a secret could stay
			}
			lines = append(lines, name+": "+plain(v)+"\n")
		}
	}
	slices.Sort(lines)
	return []byte(strings.Join(lines, ""))
}

// dates are forms of dates besides the three of RFC 9110, which net/http knows.
var dates = [...]string{time.RFC1123, time.RFC1123Z, time.RFC3339}

// seconds returns the value of a Retry-After. A date becomes the number of seconds from now
// until then, rounded up. Any other value is returned as it is.
func seconds(v string, now time.Time) string {
	v = strings.TrimSpace(v)
	at, err := http.ParseTime(v)
	for i := 0; err != nil && i < len(dates); i++ {
		at, err = time.Parse(dates[i], v)
	}
	if err != nil {
		return v
	}
	wait := max(at.Sub(now), 0)
	return strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
}

// RetryAfter returns how long a Retry-After asks to wait. It returns 0 if there is none, or if
// it is more than a day.
func RetryAfter(header http.Header, now time.Time) time.Duration {
	s, err := strconv.ParseFloat(seconds(header.Get("Retry-After"), now), 64)
	if wait := time.Duration(s * float64(time.Second)); err == nil && s > 0 && s <= (24*time.Hour).Seconds() {
		return wait
	}
	return 0
}

// plain makes the value of a header one line of UTF-8.
func plain(v string) string {
	if len(v) > maxValue {
		v = v[:maxValue]
	}
	v = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(v, "?"))
	return strings.TrimSpace(v)
}
