package api

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Record is what the log says of one request. Whoever serves the request fills
// in what it learns; what stays zero is left out of the log. It holds no prompt
// and no secret.
type Record struct {
	Endpoint         string // the route, such as "/v1/models/{id}"
	Key              string // the name of the client's key; never the key itself
	Model            string // the alias the client asked for
	Provider         string
	UpstreamModel    string
	Plugin           string
	Status           int // default: the status answered, or 499 when the client hung up
	Attempt          int // of the targets that may answer, from 1: the last one asked
	Stream           bool
	PromptTokens     int
	CompletionTokens int
	FirstChunk       time.Duration // from Exchange.Start
	Err              error         // default: what the handler returned
}

// statusHungUp is what the log calls the status of a request whose client did
// not wait for its answer. No client ever sees it.
const statusHungUp = 499

// note keeps what went wrong first.
func (x *Exchange) note(err error) {
	if x.record.Err == nil {
		x.record.Err = err
	}
}

// hungUp reports whether the client left before it had its answer. Whoever else
// ends a request's context gives it another cause.
func (x *Exchange) hungUp() bool {
	err := x.record.Err
	return x.writer.broken || errors.Is(err, errHungUp) ||
		errors.Is(err, context.Canceled) && context.Cause(x.Request.Context()) == context.Canceled
}

// level is Warn for what the gateway or an upstream failed to do, and Debug for
// what comes every few seconds and is of no interest.
func (x *Exchange) level() slog.Level {
	r := &x.record
	switch {
	case x.quiet:
		return slog.LevelDebug // a 503 among them, too: it is the answer and no failure
	case r.Status >= 500, r.Status < 400 && r.Err != nil:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// maxLogged is how many characters of an error the log repeats.
const maxLogged = 2000

// log writes the request's line.
func (x *Exchange) log() {
	r := &x.record
	if r.Status == 0 {
		r.Status = x.writer.status
		if x.hungUp() {
			r.Status = statusHungUp
		}
	}
	level := x.level()
	ctx := x.Request.Context()
	if !x.server.Logger.Enabled(ctx, level) {
		return
	}
	if r.Endpoint == "" {
		r.Endpoint = printable(x.Request.URL.Path, maxShown)
	}
	attrs := make([]slog.Attr, 0, 16)
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, slog.String(key, value))
		}
	}
	number := func(key string, value int) {
		if value != 0 {
			attrs = append(attrs, slog.Int(key, value))
		}
	}
	text("request_id", x.ID)
	text("endpoint", r.Endpoint)
	text("key", printable(r.Key, maxShown))
	text("model", printable(r.Model, maxShown))
	text("provider", r.Provider)
	text("upstream_model", r.UpstreamModel)
	text("plugin", r.Plugin)
	number("status", r.Status)
	number("attempt", r.Attempt)
	if r.Stream {
		attrs = append(attrs, slog.Bool("stream", true))
	}
	number("prompt_tokens", r.PromptTokens)
	number("completion_tokens", r.CompletionTokens)
	if r.FirstChunk != 0 {
		attrs = append(attrs, milliseconds("first_chunk_ms", r.FirstChunk))
	}
	attrs = append(attrs, milliseconds("duration_ms", x.server.Now().Sub(x.Start)))
	if r.Err != nil {
		text("err", printable(r.Err.Error(), maxLogged))
	}
	x.server.Logger.LogAttrs(ctx, level, "request finished", attrs...)
}

// milliseconds keeps three decimals, because the gateway's own part of a
// request is far below one.
func milliseconds(key string, d time.Duration) slog.Attr {
	return slog.Float64(key, float64(d.Microseconds())/1000)
}
