package host

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/route"
	"github.com/kai-gateway/kai/sdk/abi"
)

// coolings is the board on which gateways tell each other about targets that cool.
const coolings = "cooling"

// longestCooling is how long a gateway leaves something alone because another one says so.
const longestCooling = 24 * time.Hour

// cooling is a note that something cools down. Its times are those of the store's clock, in
// Unix milliseconds.
type cooling struct {
	Upstream string `json:"upstream"`
	Model    string `json:"model,omitempty"`
	Whole    bool   `json:"whole,omitempty"`
	Only     string `json:"only,omitempty"` // the operation in which it cools
	Until    int64  `json:"until"`
	Told     int64  `json:"told,omitempty"`
	Class    string `json:"class"`
}

// tellCooling tells other gateways that something cools down.
func (h *Host) tellCooling(c route.CoolingDown) {
	offset := h.fleet.Offset()
	note := cooling{Upstream: c.Upstream, Model: c.Model, Whole: c.Whole, Only: c.Operation, Until: c.Until.Add(offset).UnixMilli(), Class: c.Kind.String()}
	if !c.AskedUntil.IsZero() {
		note.Told = c.AskedUntil.Add(offset).UnixMilli()
	}
	text, err := json.Marshal(note)
	if err != nil {
		return // which can't be
	}
	name := strconv.FormatBool(c.Whole) + c.Operation + " " + c.Upstream + "\n" + c.Model
	h.shared.Later(func(ctx context.Context) {
		_ = h.shared.Note(ctx, coolings, name, string(text)) // the others will find out by themselves
	})
}

// hearCooling takes over a cooldown that another gateway has told about.
func (h *Host) hearCooling(name, text string) {
	var note cooling
	if err := json.Unmarshal([]byte(text), &note); err != nil {
		return
	}
	kind, ok := fault.Named(note.Class)
	now, offset := h.opts.Now(), h.fleet.Offset()
	here := func(ms int64) time.Time { return time.UnixMilli(ms).Add(-offset) }
	c := route.CoolingDown{Upstream: note.Upstream, Model: note.Model, Whole: note.Whole, Operation: note.Only, Until: here(note.Until), Kind: kind}
	switch {
	case !ok, note.Only != "" && abi.OpNamed(note.Only) == 0:
		return
	case !c.Until.After(now):
		h.shared.Later(func(ctx context.Context) { _ = h.shared.Forget(ctx, coolings, name) })
		return
	}
	if latest := now.Add(longestCooling); c.Until.After(latest) {
		c.Until = latest
	}
	if told := here(note.Told); note.Told > 0 && told.After(now) {
		c.AskedUntil = told
	}
	h.cells.Adopt(c)
}
