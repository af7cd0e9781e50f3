package audit

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// column is something that requests can be summed up by.
type column struct {
	name string
	of   func(*Line) string
}

// columns are all there are. Days and months are those of UTC.
var columns = []column{
	{"key", func(l *Line) string { return l.Key }},
	{"group", func(l *Line) string { return l.Group }},
	{"alias", func(l *Line) string { return l.Alias }},
	{"target", func(l *Line) string { return l.Target }},
	{"day", func(l *Line) string { return l.Time.UTC().Format(time.DateOnly) }},
	{"month", func(l *Line) string { return l.Time.UTC().Format("2006-01") }},
}

// Sums are the sums of requests by columns. They belong to one goroutine.
type Sums struct {
	of  []func(*Line) string
	all map[string]*Sum
}

// maxSums is how many sums there are at most. Lines for which there is no more room are
// summed up under other, in all columns.
const maxSums = 100_000

// other stands in the columns of lines for which there was no more room.
const other = "_other"

// NewSums returns sums by columns, which are named as "key" and "alias" are. The error
// names those that there are.
func NewSums(by []string) (*Sums, error) {
	s := &Sums{all: map[string]*Sum{}}
	for _, name := range by {
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("%.40q is no column; there are key, group, alias, target, day and month", name)
		}
		s.of = append(s.of, columns[i].of)
	}
	return s, nil
}

// Add adds a line.
func (s *Sums) Add(l *Line) {
	by := make([]string, len(s.of))
	for i, of := range s.of {
		by[i] = cmp.Or(of(l), "-")
	}
	key := strings.Join(by, "\x00")
	if s.all[key] == nil && len(s.all) >= maxSums {
		for i := range by {
			by[i] = other
		}
		key = strings.Join(by, "\x00")
	}
	if s.all[key] == nil {
		s.all[key] = &Sum{By: by}
	}
	s.all[key].add(l)
}

// Sorted returns the sums in the order of their columns.
func (s *Sums) Sorted() []*Sum {
	all := make([]*Sum, 0, len(s.all))
	for _, one := range s.all {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *Sum) int { return slices.Compare(a.By, b.By) })
	return all
}

// Sum is what some requests add up to.
type Sum struct {
	By       []string // the values of the columns; "-" where a line had none
	Requests int64
	Failed   int64
	Tokens   Tokens // those of all; Estimated says nothing here

	Estimated int64   // requests whose provider did not count to the end
	Priced    int64   // requests with a known cost, those included that reached no provider
	nano      big.Int // what they cost
}

func (s *Sum) add(l *Line) {
	s.Requests++
	if l.Class != "" || l.Status >= 400 {
		s.Failed++
	}
	if l.Tokens.Estimated {
		s.Estimated++
	}
	s.Tokens.Input += l.Tokens.Input
	s.Tokens.CachedInput += l.Tokens.CachedInput
	s.Tokens.CacheWrite += l.Tokens.CacheWrite
	s.Tokens.Output += l.Tokens.Output
	s.Tokens.Reasoning += l.Tokens.Reasoning
	switch {
	case l.Cost != nil:
		s.Priced++
		s.nano.Add(&s.nano, big.NewInt(*l.Cost))
	case l.Target == "": // it reached no provider, so it cost nothing
		s.Priced++
	}
}

// Cost returns what the requests cost, exactly, in the currency of the prices and with two
// decimals or more; "" if that is known of none.
func (s *Sum) Cost() string {
	if s.Priced == 0 {
		return ""
	}
	text := fmt.Sprintf("%010s", s.nano.String()) // a digit before the nine behind the point
	whole, parts := text[:len(text)-9], strings.TrimRight(text[len(text)-9:], "0")
	return whole + "." + parts + strings.Repeat("0", max(0, 2-len(parts)))
}
