// Package price turns what an answer used into what it cost: in whole billionths of the
// configured currency, so that sums are exact.
package price

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"time"

	"github.com/kai-gateway/kai/host/record"
)

// Rates are the prices of a million tokens, in millionths of the currency: 2.50 is
// 2,500,000.
type Rates struct {
	Input       int64
	CachedInput int64 // of tokens read from a cache
	CacheWrite  int64 // of tokens written to a cache
	Output      int64
	Reasoning   int64

	// In millionths of the currency; below 0: nobody knows. Those of pictures and speech are in the
	// place of the others where the provider counts no tokens, or where tokens cost nothing.
	Sound   int64 // of an hour of sound
	Picture int64
	Speech  int64 // of a million characters
}

// Price is what a target costs. It never changes, and is safe for concurrent use. A nil
// Price is one that nobody knows.
type Price struct {
	free     bool
	reported bool
	rates    *Rates // nil: unknown
	version  string
}

// Free is the price of what costs nothing.
func Free() *Price { return (&Price{free: true}).signed() }

// New returns a price by tokens. With reported, the provider's own figure counts where it
// states one; rates may then be nil, and what it states none for has no known cost.
func New(rates *Rates, reported bool) *Price {
	return (&Price{rates: rates, reported: reported}).signed()
}

func (p *Price) signed() *Price {
	text := fmt.Sprint("kai price 1 ", p.free, p.reported)
	if p.rates != nil {
		r := p.rates
		text += fmt.Sprintf("{%d %d %d %d %d}", r.Input, r.CachedInput, r.CacheWrite, r.Output, r.Reasoning)
		if r.Sound >= 0 {
			text += fmt.Sprint(" sound ", r.Sound)
		}
		if r.Picture >= 0 {
			text += fmt.Sprint(" picture ", r.Picture)
		}
		if r.Speech >= 0 {
			text += fmt.Sprint(" speech ", r.Speech)
		}
	}
	sum := sha256.Sum256([]byte(text))
	p.version = hex.EncodeToString(sum[:6])
	return p
}

// Version identifies the price by what it says: 12 hexadecimal digits; "" of an unknown
// one. Whoever recomputes a bill can tell by it which price was used.
func (p *Price) Version() string {
	if p == nil {
		return ""
	}
	return p.version
}

// IsFree reports whether nothing that a target does costs anything.
func (p *Price) IsFree() bool { return p != nil && p.free }

// KnowsSound reports whether what is transcribed has a price, however it is counted.
func (p *Price) KnowsSound() bool {
	return p.IsFree() || p != nil && p.rates != nil && p.rates.Sound >= 0
}

// KnowsPictures and KnowsSpeech report whether pictures, and what is spoken, have a price, however
// they are counted.
func (p *Price) KnowsPictures() bool {
	return p.IsFree() || p != nil && p.rates != nil && p.rates.Picture >= 0
}

// KnowsSpeech is described there.
func (p *Price) KnowsSpeech() bool {
	return p.IsFree() || p != nil && p.rates != nil && p.rates.Speech >= 0
}

// Of returns what an answer cost, rounded up. An estimated answer is charged at least what
// the provider stated before it was cut.
func (p *Price) Of(u record.Usage) record.Cost {
	switch {
	case p == nil:
		return record.Cost{}
	case p.free:
		return record.Cost{Known: true}
	}
	byTokens := record.Cost{}
	if p.rates != nil && p.rates.covers(u) {
		byTokens = record.Cost{Nano: p.rates.of(u), Known: true}
	}
	if !p.reported || !u.Stated.Known {
		return byTokens
	}
	if u.Estimated && byTokens.Nano > u.Stated.Nano {
		return byTokens
	}
	return u.Stated
}

// covers reports whether all that was used has a rate.
func (r *Rates) covers(u record.Usage) bool {
	return (u.Sound == 0 || r.Sound >= 0) && (!u.Estimated || (u.Pictures == 0 || r.Picture >= 0) && (u.Characters == 0 || r.Speech >= 0))
}

// ofUnits returns what pictures or speech cost, in millionths of a millionth; ok is false if the
// tokens count instead.
func (r *Rates) ofUnits(u record.Usage) (hi, lo uint64, ok bool) {
	if !u.Estimated && (r.Input > 0 || r.Output > 0) {
		return 0, 0, false
	}
	const pictures = 1_000_000 // a price is that of a million characters, but of one picture
	switch {
	case u.Pictures > 0 && r.Picture > 0:
		hi, lo = bits.Mul64(uint64(min(u.Pictures, math.MaxInt64/pictures))*pictures, uint64(r.Picture))
	case u.Characters > 0 && r.Speech > 0:
		hi, lo = bits.Mul64(uint64(u.Characters), uint64(r.Speech))
	default:
		return 0, 0, false
	}
	return hi, lo, true
}

// of sums up in 128 bits what no number of tokens can overflow.
func (r *Rates) of(u record.Usage) int64 {
	cached := min(max(0, u.CachedInput), max(0, u.Input))
	written := min(max(0, u.CacheWrite), max(0, u.Input)-cached)
	reasoning := min(max(0, u.Reasoning), max(0, u.Output))
	if hi, lo, ok := r.ofUnits(u); ok {
		return inNano(hi, lo)
	}
	var hi, lo uint64
	for _, part := range [...]struct{ tokens, rate int64 }{
		{max(0, u.Input) - cached - written, r.Input}, {cached, r.CachedInput}, {written, r.CacheWrite},
		{max(0, u.Output) - reasoning, r.Output}, {reasoning, r.Reasoning},
	} {
		h, l := bits.Mul64(uint64(part.tokens), uint64(max(0, part.rate)))
		var carry uint64
		lo, carry = bits.Add64(lo, l, 0)
		hi, _ = bits.Add64(hi, h, carry)
	}
	h, l := r.ofSound(u.Sound)
	lo, carry := bits.Add64(lo, l, 0)
	hi, _ = bits.Add64(hi, h, carry)
	return inNano(hi, lo)
}

// inNano returns a cost in billionths, rounded up.
func inNano(hi, lo uint64) int64 {
	// Tokens times millionths for a million tokens are in millionths of a millionth, of
	// which a billionth has a thousand.
	const perNano = 1000
	if hi >= perNano {
		return math.MaxInt64
	}
	nano, rest := bits.Div64(hi, lo, perNano)
	if rest > 0 {
		nano++
	}
	return int64(min(nano, math.MaxInt64))
}

// ofSound returns a cost in millionths of a millionth, rounded up. Milliseconds times
// millionths for an hour are 3.6 times as many.
func (r *Rates) ofSound(d time.Duration) (hi, lo uint64) {
	hi, lo = bits.Mul64(uint64(max(0, d.Milliseconds()))*5, uint64(max(0, r.Sound)))
	hi, rest := hi/18, hi%18
	if lo, rest = bits.Div64(rest, lo, 18); rest > 0 {
		lo, rest = bits.Add64(lo, 1, 0)
		hi += rest
	}
	return hi, lo
}
