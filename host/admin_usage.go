package host

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/admin"
	"github.com/kai-gateway/kai/host/audit"
)

// maxAudit is how many bytes of audits are read for one answer.
const maxAudit = 1 << 30

// Spent sums up the audit: the file that is written, and what lies beside it under the same
// name with more behind it, as logrotate leaves it.
func (a adminGateway) Spent(ctx context.Context, by []string, since time.Time) (admin.Spent, error) {
	c := a.h.current.Load().config
	s := admin.Spent{Since: since, By: by, Currency: c.Pricing.Currency, Rows: []admin.SpentRow{}}
	sums, err := audit.NewSums(by)
	if err != nil {
		return s, err
	}
	if c.Audit.File == "" || c.Audit.File == "stdout" {
		return s, admin.ErrNoAudit
	}
	left := int64(maxAudit)
	for _, path := range auditFiles(c.Audit.File, since) {
		unread, whole := readAudit(ctx, path, &left, func(l *audit.Line) {
			if !l.Time.Before(since) {
				sums.Add(l)
			}
		})
		s.Unread += unread
		s.Partial = s.Partial || !whole
	}
	for _, sum := range sums.Sorted() {
		s.Rows = append(s.Rows, admin.SpentRow{
			By: sum.By, Requests: sum.Requests, Failed: sum.Failed, Input: sum.Tokens.Input, Cached: sum.Tokens.CachedInput, Output: sum.Tokens.Output,
			Reasoning: sum.Tokens.Reasoning, Estimated: sum.Estimated, Cost: sum.Cost(), Unpriced: sum.Requests - sum.Priced,
		})
	}
	return s, nil
}

// auditFiles returns the files of an audit that were written to since a time, the newest
// first.
func auditFiles(path string, since time.Time) []string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return nil
	}
	written := map[string]time.Time{}
	var all []string
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.ModTime().Before(since) || !strings.HasPrefix(e.Name(), filepath.Base(path)) {
			continue
		}
		file := filepath.Join(filepath.Dir(path), e.Name())
		written[file] = info.ModTime()
		all = append(all, file)
	}
	slices.SortFunc(all, func(a, b string) int { return written[b].Compare(written[a]) })
	return all
}

// readAudit reads a file as far as ctx and left allow, and subtracts what it has read from
// left.
func readAudit(ctx context.Context, path string, left *int64, take func(*audit.Line)) (unread int, whole bool) {
	f, err := config.OpenFile(path)
	if err != nil {
		return 0, false
	}
	defer f.Close()
	r := &boundedReader{ctx: ctx, from: f, left: left}
	unread, err = audit.Read(r, take)
	return unread, err == nil && !r.ended
}

// boundedReader reads until a context ends or so many bytes were read.
type boundedReader struct {
	ctx   context.Context
	from  io.Reader
	left  *int64
	ended bool // it ended before the reader did
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil || *b.left <= 0 {
		b.ended = true
		return 0, io.EOF
	}
	n, err := b.from.Read(p)
	*b.left -= int64(n)
	return n, err
}
