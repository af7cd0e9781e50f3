package facts

import (
	"math"
	"strconv"
	"time"

	"github.com/kai-gateway/kai/host/fault"

	"github.com/kai-gateway/kai/sdk"
	"github.com/kai-gateway/kai/sdk/abi"
)

// Usage is what an answer cost, by the provider's count.
type Usage struct {
	Prompt     int64 // tokens
	Completion int64 // tokens
	Total      int64 // tokens; Prompt + Completion if the provider gave no total
	Known      bool  // the provider stated a count; if not, the others are zero

	// Details of the counts above, where the provider gave them; else 0.
	Cached     int64 // of Prompt: tokens read from a cache
	CacheWrite int64 // of Prompt: tokens written to a cache
	Reasoning  int64 // of Completion: tokens of the reasoning

	// Sound is how long the sound is that the answer is about, if the provider counts that;
	// else 0.
	Sound time.Duration

	// Cost is what the provider says that the answer costs, in billionths of its currency,
	// rounded up. Priced: it says so; else Cost is 0.
	Cost   int64
	Priced bool

	Stated int64 // bytes of texts and arguments of calls that the answer has, whoever counted
}

// Plus returns the usage of two parts of an answer together. What they cost together is
// known if both costs are.
func (u Usage) Plus(other Usage) Usage {
	return Usage{
		Prompt: u.Prompt + other.Prompt, Completion: u.Completion + other.Completion, Total: u.Total + other.Total, Known: u.Known || other.Known,
		Cached: u.Cached + other.Cached, CacheWrite: u.CacheWrite + other.CacheWrite, Reasoning: u.Reasoning + other.Reasoning,
		Sound: u.Sound + other.Sound, Cost: u.Cost + other.Cost, Priced: u.Priced && other.Priced, Stated: u.Stated + other.Stated,
	}
}

// usage is the usage object, merged from every USAGE.
type usage struct {
	prompt, completion, total count
	rest                      Object
}

// count is a number of tokens, if there is one.
type count struct {
	n     int32
	known bool
}

// Limits of one USAGE. OpenAI's has objects with counts in them, and nothing deeper.
const (
	maxUsage   = 16 << 10 // bytes
	usageDepth = 2
)

// merge adds a USAGE.
func (u *usage) merge(e *abi.Emission) *fault.Error {
	if len(e.Data) > maxUsage {
		return protocolError("a USAGE of more than %d KiB", maxUsage>>10)
	}
	fits := true
	var room room
	for m := newMembers(e.Data); m.next(); {
		switch string(m.key) {
		case "prompt_tokens":
			u.prompt.set(m.value)
		case "completion_tokens":
			u.completion.set(m.value)
		case "total_tokens":
			u.total.set(m.value)
		default:
			fits = fits && u.rest.mergeLeaf(&m, e.Data, usageDepth, &room)
		}
	}
	if !fits {
		return tooManyError("USAGE")
	}
	return nil
}

// set takes a JSON number that can be a count, rounded down. Anything else is ignored,
// because clients decode these fields into integers.
func (c *count) set(value []byte) {
	value = unquoted(value)
	if n, ok := digits(value); ok {
		c.n, c.known = n, true
		return
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err == nil && f >= 0 && f <= math.MaxInt32 {
		c.n, c.known = int32(f), true
	}
}

// digits reads a number of up to nine digits and nothing else, as nearly every count is.
func digits(value []byte) (n int32, ok bool) {
	if len(value) == 0 || len(value) > 9 {
		return 0, false
	}
	for _, c := range value {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int32(c-'0')
	}
	return n, true
}

// unquoted returns the number in a string, since some servers send their counts so. Any
// other value is returned as it is.
func unquoted(value []byte) []byte {
	if len(value) < 3 || value[0] != '"' {
		return value
	}
	n := value[1 : len(value)-1]
	if v := sdk.JSON(n); v.Kind() != sdk.KindNumber || v.Valid() != nil {
		return value
	}
	return n
}

func (u *usage) summary() Usage {
	s := Usage{
		Prompt:     int64(u.prompt.n),
		Completion: int64(u.completion.n),
		Total:      u.sum(),
		Known:      u.prompt.known || u.completion.known || u.total.known,
		Cached:     u.detail("prompt_tokens_details", "cached_tokens"),
		CacheWrite: u.detail("prompt_tokens_details", "cache_write_tokens"),
		Reasoning:  u.detail("completion_tokens_details", "reasoning_tokens"),
	}
	s.Sound = time.Duration(math.Ceil(max(0, u.amount("seconds", maxSound))*1e3)) * time.Millisecond
	s.Cost, s.Priced = u.cost()
	return s
}

// sum returns the total of tokens.
func (u *usage) sum() int64 {
	if u.total.known {
		return int64(u.total.n)
	}
	return int64(u.prompt.n) + int64(u.completion.n)
}

// detail returns a count in one of the objects with details; 0 if there is none.
func (u *usage) detail(object, key string) int64 {
	var n count
	if f := u.rest.find(object); f != nil && f.nest != nil {
		if f = f.nest.find(key); f != nil {
			n.set(f.value)
		}
	}
	return int64(n.n)
}

// maxCost is the largest cost of an answer that is believed.
const maxCost = 1e6

// cost reads the field with which OpenRouter and others say what an answer costs:
// https://openrouter.ai/docs/use-cases/usage-accounting
func (u *usage) cost() (nano int64, ok bool) {
	x := u.amount("cost", maxCost)
	if x < 0 {
		return 0, false
	}
	return int64(math.Ceil(x*1e9 - 1e-3)), true // not one more for what is lost in binary
}

// maxSound is how many seconds of sound an answer is believed to be about, a fortnight.
const maxSound = 14 * 24 * 60 * 60

// amount returns a number of the usage's own, from 0 to most; below 0 if there is none.
func (u *usage) amount(key string, most float64) float64 {
	f := u.rest.find(key)
	if f == nil || f.nest != nil {
		return -1
	}
	x, err := strconv.ParseFloat(string(unquoted(f.value)), 64)
	if err != nil || x < 0 || x > most {
		return -1
	}
	return x
}

// countsBytes is how many bytes the usage object has at most without its details.
const countsBytes = 128

// appendTo appends OpenAI's usage object. Its three counts are always there, because
// clients rely on them: they are zero if the provider counted nothing.
func (u *usage) appendTo(dst []byte) []byte {
	dst = append(dst, `{"prompt_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.prompt.n), 10)
	dst = append(dst, `,"completion_tokens":`...)
	dst = strconv.AppendInt(dst, int64(u.completion.n), 10)
	dst = append(dst, `,"total_tokens":`...)
	dst = strconv.AppendInt(dst, u.sum(), 10)
	dst = u.rest.AppendTo(dst)
	return append(dst, '}')
}
