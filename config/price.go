package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
)

// Money is an amount of money, in millionths.
type Money int64

// UnmarshalJSON reads a decimal number with at most six places.
func (m *Money) UnmarshalJSON(b []byte) error {
	x, ok := parseMoney(string(b))
	if !ok {
		return errors.New("not an amount of money")
	}
	*m = Money(x)
	return nil
}

// parseMoney reads a number that the schema has bounded.
func parseMoney(s string) (millionths int64, ok bool) {
	x, ok := new(big.Rat).SetString(s)
	if !ok {
		return 0, false
	}
	x.Mul(x, big.NewRat(1_000_000, 1))
	if !x.IsInt() || !x.Num().IsInt64() {
		return 0, false
	}
	return x.Num().Int64(), true
}

// Price is what a target costs.
type Price struct {
	Free     bool
	Reported bool // the provider's own figure comes first
	Known    bool // what follows is given

	// Of a million tokens.
	Input, CachedInput, CacheWrite, Output, Reasoning Money

	// Where something else than tokens is billed; nil: nobody says.
	AudioHour *Money // of an hour of sound
	Image     *Money // of a picture
	Speech    *Money // of a million characters
}

// UnmarshalJSON reads one of the words, or the prices by tokens.
func (p *Price) UnmarshalJSON(b []byte) error {
	if bytes.HasPrefix(b, []byte(`"`)) {
		*p = Price{Free: string(b) == `"free"`, Reported: string(b) == `"reported"`}
		return nil
	}
	var f struct {
		Input       *Money `json:"input"`
		Output      *Money `json:"output"`
		CachedInput *Money `json:"cached_input"`
		CacheWrite  *Money `json:"cache_write"`
		Reasoning   *Money `json:"reasoning"`
		AudioHour   *Money `json:"audio_hour"`
		Image       *Money `json:"image"`
		Speech      *Money `json:"speech"`
		Reported    bool   `json:"reported"`
	}
	if err := json.Unmarshal(b, &f); err != nil {
		return err
	}
	*p = Price{Reported: f.Reported, Known: f.Input != nil && f.Output != nil}
	if !p.Known {
		return nil
	}
	or := func(m, otherwise *Money) Money {
		if m == nil {
			return *otherwise
		}
		return *m
	}
	p.Input, p.Output = *f.Input, *f.Output
	p.AudioHour, p.Image, p.Speech = f.AudioHour, f.Image, f.Speech
	p.CachedInput, p.CacheWrite, p.Reasoning = or(f.CachedInput, f.Input), or(f.CacheWrite, f.Input), or(f.Reasoning, f.Output)
	return nil
}

// checkMoney checks the amounts of a mapping, which schema and decoding take as numbers.
// It must come before the section is decoded.
func (l *loader) checkMoney(v *value, path string) {
	if v == nil || v.kind != mapping {
		return
	}
	for _, e := range v.entries {
		if e.value.kind == number && !e.value.bad {
			if _, ok := parseMoney(e.value.scalar); !ok {
				l.fault(e.value, join(path, e.key), "must have at most 6 decimals")
			}
		}
	}
}

// checkAmounts checks the limits and prices of an alias and its targets, before it is
// decoded.
func (l *loader) checkAmounts(alias *value, path string) {
	l.checkRates(alias.get("limits"), join(path, "limits"))
	l.checkMoney(alias.get("price"), join(path, "price"))
	for i, target := range alias.get("targets").elements() {
		l.checkMoney(target.get("price"), join(joinIndex(join(path, "targets"), i), "price"))
	}
}

// checkPrice checks what the parts of a price must have together.
func (l *loader) checkPrice(v *value, path string, p *Price) {
	if p == nil || v == nil || v.kind != mapping || p.Known {
		return
	}
	if p.Reported && v.get("input") == nil && v.get("output") == nil {
		if len(v.entries) > 1 {
			l.fault(v, path, "has prices but lacks input and output")
		}
		return
	}
	l.fault(v, path, "must have input and output, or be reported or free")
}
