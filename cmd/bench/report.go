package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// samples are the measured values of each server, in the order of the rounds.
type samples map[string][]float64

func (s samples) add(server string, v float64) { s[server] = append(s[server], v) }

// ratio returns the median of the rounds' ratios. A disturbance of a round affects both
// sides of its ratio.
func (s samples) ratio(server, against string) float64 {
	return s.each(server, against, func(a, b float64) float64 { return a / b })
}

// share returns the median share of a server's cost that another server doesn't have.
func (s samples) share(server, without string) float64 {
	return s.each(server, without, func(a, b float64) float64 { return (a - b) / a })
}

func (s samples) each(server, other string, f func(a, b float64) float64) float64 {
	var all []float64
	for i, v := range s[server] {
		all = append(all, f(v, s[other][i]))
	}
	return median(all)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[n/2]
}

func percentile(v []time.Duration, p int) time.Duration {
	v = slices.Sorted(slices.Values(v))
	return v[min(len(v)-1, len(v)*p/100)]
}

// report is the table of results.
type report struct{ rows [][]string }

var columns = []string{"scenario", "what", bare, translator, linked, chat, translated, kai, "result", "aim", ""}

// row adds a line. cells are by server.
func (r *report) row(scenario, what string, cells map[string]string, result, aim string, met bool) {
	verdict := ""
	if aim != "" {
		verdict = "met"
		if !met {
			verdict = "MISSED"
		}
	}
	r.rows = append(r.rows, []string{scenario, what, cells[bare], cells[translator], cells[linked], cells[chat], cells[translated], cells[kai], result, aim, verdict})
}

func (r *report) costs(s *scenario, c samples) {
	cells := map[string]string{}
	for server, v := range c {
		cells[server] = fmt.Sprintf("%.2f µs", median(v))
	}
	ratio := c.ratio(kai, s.against)
	r.row(s.name, "CPU per "+s.unit, cells, fmt.Sprintf("%.2f × %s", ratio, s.against), atMost(s.aim, "%.2f ×"), ratio <= s.aim)
	if c[linked] == nil || s.unit != "chunk" {
		return
	}
	share := c.share(kai, linked)
	r.row("", "the sandbox's share of it", nil, percent(share), atMost(s.sandbox*100, "%.0f %%"), share <= s.sandbox)
}

func (r *report) memory(s *scenario, m samples) {
	cells := map[string]string{}
	for server, v := range m {
		cells[server] = fmt.Sprintf("%.1f KiB", median(v))
	}
	ratio := m.ratio(kai, s.against)
	r.row("", "memory per stream", cells, fmt.Sprintf("%.2f × %s", ratio, s.against), atMost(s.memory, "%.2f ×"), ratio <= s.memory)
}

func (r *report) latency(took map[string][]time.Duration) {
	for _, p := range []int{50, 99} {
		direct := percentile(took["direct"], p)
		cells := map[string]string{}
		for server, v := range took {
			cells[server] = fmt.Sprintf("%+.0f µs", microseconds(percentile(v, p)-direct))
		}
		name := ""
		if p == 50 {
			name = "latency"
		}
		r.row(name, fmt.Sprintf("p%d, above the direct %.0f µs", p, microseconds(direct)), cells, "", "", true)
	}
}

// beside adds how long requests took beside calls that hold processors.
func (r *report) beside(first bool, env string, livez, other []time.Duration) {
	name := ""
	if first {
		name = "beside"
	}
	for _, row := range []struct {
		what string
		took []time.Duration
		aim  time.Duration
	}{{"/livez", livez, besideLivez}, {"another provider", other, besideOther}} {
		p99 := percentile(row.took, 99)
		cell := map[string]string{kai: fmt.Sprintf("%.1f ms", microseconds(percentile(row.took, 50))/1e3)}
		r.row(name, strings.TrimSpace(row.what+" "+env), cell, fmt.Sprintf("p99 %.1f ms", microseconds(p99)/1e3),
			atMost(float64(row.aim.Milliseconds()), "%.0f ms"), p99 <= row.aim)
		name = ""
	}
}

// The aims of a start, in the units of its rows.
const (
	coldAim, warmAim     = 700, 130 // ms
	unaskedAim, askedAim = 30, 44   // MiB
	binaryAim            = 38       // MiB
)

func (r *report) starts(m startSamples) {
	r.values("start", "cold, until the demo's reply", m.cold, "ms", coldAim)
	r.values("", "warm, until the demo's reply", m.warm, "ms", warmAim)
	r.values("", "memory when nothing was asked", m.idle, "MiB", unaskedAim)
	r.values("", "memory after one model was asked", m.asked, "MiB", askedAim)
	r.values("", "size of the binary", m.binary, "MiB", binaryAim)
}

// values adds a row with values of Kai only: the median, the highest, and the aim for the
// median. An aim of 0 means that there is none.
func (r *report) values(scenario, what string, v []float64, unit string, aim float64) {
	cell := map[string]string{kai: fmt.Sprintf("%.0f %s", median(v), unit)}
	r.row(scenario, what, cell, fmt.Sprintf("at most %.0f %s", slices.Max(v), unit), atMost(aim, "%.0f "+unit), median(v) <= aim)
}

// idleAim is what a provider that nobody uses may cost, in instances: one, and a tenth more,
// because two measurements of a process's memory differ by that.
const idleAim = 1.1

// idle adds what a provider that nobody uses costs, compared with an instance. An aim of 0
// means that there is none.
func (r *report) idle(scenario, what string, mib samples, provider string, aim float64) {
	ratio := mib.ratio(provider, "instance")
	cell := map[string]string{kai: fmt.Sprintf("%.1f MiB", median(mib[provider]))}
	r.row(scenario, what, cell, fmt.Sprintf("%.2f × an instance of %.1f MiB", ratio, median(mib["instance"])), atMost(aim, "%.1f ×"), ratio <= aim)
}

func atMost(aim float64, format string) string {
	if aim == 0 {
		return ""
	}
	return fmt.Sprintf(format, aim)
}

func percent(f float64) string { return fmt.Sprintf("%.0f %%", f*100) }

func (r *report) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{columns}, r.rows...) {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush()
}
