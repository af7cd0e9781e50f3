package host

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/limit"
	"github.com/kai-gateway/kai/host/limit/ledger"
)

// The sets of the ledger.
const (
	countsSet    = "counts 1"
	storedIDsSet = "made 1"
)

// openLimits makes the store in which limits and budgets count: one shared with other
// gateways, or a local one that begins with what the ledger remembers. The ledger also
// remembers whose the things are that providers store.
func (h *Host) openLimits(c *config.Config) error {
	if c.Shared.Enabled {
		return h.openShared(c)
	}
	o := limit.Options{Now: h.opts.Now, Warn: h.warnOfBudget}
	if c.Ledger == "" {
		h.limits = limit.NewLocal(o)
		return nil
	}
	file, all, err := ledger.Open(c.Ledger, countsSet, storedIDsSet)
	if err != nil {
		return problems(ledgerProblem(c, explained(c.Ledger, readAndWrite, err)))
	}
	if o.Saved, err = countsIn(all[0]); err == nil {
		err = h.storedIDs.load(all[1])
	}
	if err != nil {
		file.Close()
		return problems(ledgerProblem(c, fmt.Errorf("%w: %w", err, ledger.ErrBroken)))
	}
	o.Track = true
	counts := limit.NewLocal(o)
	h.limits = counts
	h.ledger = &ledgerKeeper{path: c.Ledger, file: file, counts: counts, ids: &h.storedIDs, log: h.log, stop: make(chan struct{})}
	h.ledger.running.Go(h.ledger.run)
	return nil
}

// countsIn reads the counts of a ledger.
func countsIn(values map[string][]byte) (map[string]limit.Saved, error) {
	saved := make(map[string]limit.Saved, len(values))
	for name, value := range values {
		var s limit.Saved
		if err := s.UnmarshalBinary(value); err != nil {
			return nil, err
		}
		saved[name] = s
	}
	return saved, nil
}

// warnOfBudget logs and counts that most of a budget is spent.
func (h *Host) warnOfBudget(b *limit.Bucket, spent int64) {
	h.metrics.BudgetWarning(ownerWords[b.Owner])
	h.log.Warn("budget nearly spent", slog.String("budget", b.ID), slog.Float64("spent", float64(spent)/1e9), slog.Float64("of", float64(b.Limit)/1e9))
}

// ledgerKeeper writes counts, and ids of what providers store, into the ledger. A nil one
// does nothing.
type ledgerKeeper struct {
	path    string
	file    *ledger.File
	counts  *limit.Local
	ids     *storedIDs
	log     *slog.Logger
	failing bool // the last write failed

	stop    chan struct{}
	running sync.WaitGroup
}

// ledgerEvery is how much a kill of the process loses at most.
const ledgerEvery = time.Second

// run writes what has changed, until close.
func (k *ledgerKeeper) run() {
	tick := time.NewTicker(ledgerEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			k.write()
		case <-k.stop:
			return
		}
	}
}

func (k *ledgerKeeper) write() {
	counts, ids := k.counts.Changed(), k.ids.changes()
	if len(counts)+len(ids) == 0 {
		return
	}
	values := make(map[string][]byte, len(counts))
	for name, s := range counts {
		values[name], _ = s.MarshalBinary() // which never fails
	}
	err := k.file.Put(values, ids)
	if err != nil {
		k.counts.Unsaved(counts)
		k.ids.unsaved(ids)
	}
	if failing := err != nil; failing != k.failing {
		if k.failing = failing; failing {
			k.log.Error("the ledger can't be written, and a restart will forget what is used, spent and stored from now on", "ledger", k.path, "err", err)
		} else {
			k.log.Info("the ledger is written again", "ledger", k.path)
		}
	}
}

// close writes what is left, and closes the file.
func (k *ledgerKeeper) close() {
	if k == nil {
		return
	}
	close(k.stop)
	k.running.Wait()
	k.write()
	if err := k.file.Close(); err != nil {
		k.log.Error("close the ledger", "ledger", k.path, "err", err)
	}
}
