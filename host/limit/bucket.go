// Package limit bounds how much may happen within a time, and at one time. It knows neither
// what is counted nor for whom.
package limit

import "time"

// Unit is what a bucket counts.
type Unit uint8

const (
	Requests     Unit = iota // that began within the window
	Tokens                   // of input and output, within the window
	InputTokens              // within the window
	OutputTokens             // within the window
	Concurrent               // requests that run
	Money                    // spent in the calendar period, in billionths of the currency
)

// Bucket says how much of something may be used. It never changes, and may be shared.
type Bucket struct {
	// ID names what is counted, in the same way under every configuration: a change of
	// the limit keeps the count. "key app tokens 1m0s" is one.
	ID    string
	Owner Owner
	Name  string // of the owner; "" of the gateway
	Unit  Unit
	Limit int64 // 0 forbids whatever would be counted

	Window time.Duration // slides; 0 for Concurrent and Money

	Period Period         // of Money
	Zone   *time.Location // in which the period begins and ends
	Warn   int64          // of Money: from here on, the operator should be warned
	Then   string         // of Money: the alias to which requests go when all is spent; "": none
}

// Owner says whose limit a bucket is.
type Owner uint8

const (
	Key Owner = iota
	Group
	Alias
	Gateway
	Provider // what it can take
	Target   // what it can take
)

// Period is a period of the calendar.
type Period uint8

const (
	Total Period = iota // never ends
	Day
	Week // begins on Monday
	Month
)

// Around returns the period that t is in, in seconds since 1970: from start up to end,
// without that. The total begins at 0 and has no end, which is 0, too.
func (p Period) Around(t time.Time, zone *time.Location) (start, end int64) {
	if p == Total {
		return 0, 0
	}
	t = t.In(zone)
	year, month, day := t.Date()
	months, days := 0, 1
	switch p {
	case Week:
		day -= (int(t.Weekday()) + 6) % 7
		days = 7
	case Month:
		day, months, days = 1, 1, 0
	}
	return time.Date(year, month, day, 0, 0, 0, 0, zone).Unix(), time.Date(year, month+time.Month(months), day+days, 0, 0, 0, 0, zone).Unix()
}

// Reserve is what a request will probably need.
type Reserve struct {
	Input, Output         int64 // tokens
	InputCost, OutputCost int64 // in billionths
}

// Usage is what a request needed.
type Usage struct {
	Input, Output int64 // tokens
	Cost          int64 // in billionths
}

// Needs returns how much room a bucket must have to let a request in, and how much more is
// reserved if there is room for it.
func (b *Bucket) Needs(r Reserve) (must, may int64) {
	switch b.Unit {
	case Requests, Concurrent:
		return 1, 0
	case Tokens:
		return r.Input, r.Output
	case InputTokens:
		return r.Input, 0
	case OutputTokens:
		return 0, r.Output
	}
	return r.InputCost, r.OutputCost
}

// Spent returns what a request used of a bucket whose reservations are settled. These are
// all buckets but those of Requests and Concurrent.
func (b *Bucket) Spent(u Usage) int64 {
	switch b.Unit {
	case Tokens:
		return u.Input + u.Output
	case InputTokens:
		return u.Input
	case OutputTokens:
		return u.Output
	}
	return u.Cost
}
