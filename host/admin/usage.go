package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
)

// Spent sums up the requests of an audit and what they used.
type Spent struct {
	Since    time.Time  `json:"since"`
	By       []string   `json:"by"`
	Currency string     `json:"currency"`
	Partial  bool       `json:"partial"` // older files, or the end of one, were left out: there was too much to read
	Unread   int        `json:"unread"`  // lines that no audit writes
	Rows     []SpentRow `json:"rows"`    // in the order of By
	Missing  string     `json:"missing"` // why there is nothing to sum up; "": there is
}

// SpentRow is a sum.
type SpentRow struct {
	By        []string `json:"by"` // "-": none
	Requests  int64    `json:"requests"`
	Failed    int64    `json:"failed"`
	Input     int64    `json:"input"`
	Cached    int64    `json:"cached"`
	Output    int64    `json:"output"`
	Reasoning int64    `json:"reasoning"`
	Estimated int64    `json:"estimated"` // requests whose provider did not count to the end
	Cost      string   `json:"cost"`      // exact, a decimal number; "": known of none
	Unpriced  int64    `json:"unpriced"`  // requests whose cost nobody knows
}

// ErrNoAudit is the error of a gateway without an audit that can be read.
var ErrNoAudit = errors.New("there is no audit")

const (
	usualDays = 31
	maxDays   = 3660
	usageTime = 20 * time.Second // that reading may take
)

// usage answers with the sums of the audit, if there is one. It serves one request at a
// time.
func (s *Server) usage(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	by := strings.Split(q.Get("by"), ",")
	if q.Get("by") == "" {
		by = []string{"key", "alias"}
	}
	since := s.opts.Now().UTC().AddDate(0, 0, -usualDays).Truncate(24 * time.Hour)
	if day := q.Get("since"); day != "" {
		var err error
		if since, err = time.Parse(time.DateOnly, day); err != nil || s.opts.Now().Sub(since) > maxDays*24*time.Hour {
			refuse(w, http.StatusBadRequest, "since must be a day such as 2026-11-01, of the last ten years.")
			return
		}
	}
	if !s.summing.TryLock() {
		refuse(w, http.StatusServiceUnavailable, "The audit is being summed up for somebody else: try again in a moment.")
		return
	}
	defer s.summing.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), usageTime)
	defer cancel()
	u, err := s.opts.Gateway.Spent(ctx, by, since)
	switch {
	case errors.Is(err, ErrNoAudit):
		u.Missing = "There is no audit to sum up: with audit.file in the configuration, this is what each key used."
		answer(w, http.StatusOK, u)
	case err != nil:
		refuse(w, http.StatusBadRequest, "by "+err.Error()+".")
	default:
		answer(w, http.StatusOK, u)
	}
}
