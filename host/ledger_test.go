package host

import (
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/limit"
)

func TestTheLedgerRemembers(t *testing.T) {
	c := &config.Config{Ledger: filepath.Join(t.TempDir(), "ledger.db")}
	open := func() (*Host, error) {
		h := &Host{log: slog.New(slog.DiscardHandler)}
		h.opts.Now = time.Now
		return h, h.openLimits(c)
	}
	buckets := []*limit.Bucket{
		{ID: "key app money total", Unit: limit.Money, Limit: 1000, Warn: 1000, Zone: time.UTC},
		{ID: "key app requests 24h0m0s", Unit: limit.Requests, Limit: 1, Window: 24 * time.Hour},
		{ID: "key app concurrent", Unit: limit.Concurrent, Limit: 1},
	}
	h, err := open()
	if err != nil {
		t.Fatal(err)
	}
	lease, refused := h.limits.Admit(t.Context(), buckets, limit.Reserve{InputCost: 600, OutputCost: 300})
	if refused != nil {
		t.Fatal(refused)
	}
	if _, err := open(); err == nil || !strings.Contains(err.Error(), "another process has it open") {
		t.Errorf("it is opened twice: %v", err)
	}
	if got := h.limits.Used(buckets[:1])[0]; got != 900 {
		t.Errorf("%d is reserved, want 900", got)
	}
	h.ledger.close() // with a request that never ended: the estimate of its input is left
	if h, err = open(); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{600, 1, 0} {
		if got := h.limits.Used(buckets[i : i+1])[0]; got != want {
			t.Errorf("%s: %d after the restart, want %d", buckets[i].ID, got, want)
		}
	}
	lease.Settle(limit.Usage{}) // of the earlier process: nothing of it reaches this one
	h.ledger.close()
}

func TestALedgerThatIsNone(t *testing.T) {
	h := &Host{log: slog.New(slog.DiscardHandler)}
	h.opts.Now = time.Now
	if err := h.openLimits(&config.Config{Ledger: t.TempDir()}); err == nil || !strings.Contains(err.Error(), " is a folder: name a file in it") {
		t.Errorf("a folder is opened: %v", err)
	}
}
