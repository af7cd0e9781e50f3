package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"
)

// Record is what is logged about one request. Its handler fills in what it learns;
// fields that stay zero are not logged. It contains no prompt and no secret.
type Record struct {
	Endpoint         string // the route, such as "/v1/models/{id}"
	Key              string // the name of the client's key; never the key itself
	Model            string // the alias the client asked for
	Provider         string
	UpstreamModel    string
	Plugin           string
	Status           int // default: the status of the answer, or 499 if the client hung up
	Attempt          int // the number of the last target that was asked, from 1
	Stream           bool
	PromptTokens     int
	CompletionTokens int
	FirstChunk       time.Duration // from Exchange.Start
	Trail            []Try         // of a model with several targets: what was tried, in order
	Err              error         // default: what the handler returned
}

// Try is one attempt to get an answer.
type Try struct {
	Target   string        // the provider and its model
	Class    string        // of the failure; "": it answered
	Duration time.Duration // of the attempt
}

// MarshalJSON is how the log shows it: {"target":"ollama/m","class":"rate","ms":12.5}.
func (t Try) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Target string  `json:"target"`
		Class  string  `json:"class,omitempty"`
		MS     float64 `json:"ms"`
	}{printable(t.Target, maxShown), t.Class, float64(t.Duration.Microseconds()) / 1000})
}

// statusHungUp is logged as the status of a request whose client did not wait for
// its answer. No client ever sees it.
const statusHungUp = 499

// note keeps an error for the log. The first one counts.
func (x *Exchange) note(err error) {
	if x.record.Err == nil {
		x.record.Err = err
	}
}

// hungUp reports whether the client left before it had its answer. Other reasons to
// end a request's context give it another cause.
func (x *Exchange) hungUp() bool {
	err := x.record.Err
	return x.writer.failed || errors.Is(err, errHungUp) ||
		errors.Is(err, context.Canceled) && context.Cause(x.Request.Context()) == context.Canceled
}

// level returns Warn if the gateway or an upstream failed, Debug for requests to quiet
// routes, which come every few seconds, and Info for everything else.
func (x *Exchange) level() slog.Level {
	r := &x.record
	switch {
	case x.quiet:
		return slog.LevelDebug // even for a 503, which is an answer here and no failure
	case r.Status >= 500, r.Status < 400 && r.Err != nil:
		return slog.LevelWarn
	}
	return slog.LevelInfo
}

// maxLogged is how many characters of an error are logged at most.
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
	if len(r.Trail) > 0 {
		attrs = append(attrs, slog.Any("trail", r.Trail))
	}
	attrs = append(attrs, milliseconds("duration_ms", x.server.Now().Sub(x.Start)))
	if r.Err != nil {
		text("err", printable(r.Err.Error(), maxLogged))
	}
	x.server.Logger.LogAttrs(ctx, level, "request finished", attrs...)
}

// milliseconds keeps three decimals, because the gateway's own part of a request
// takes far less than one millisecond.
func milliseconds(key string, d time.Duration) slog.Attr {
	return slog.Float64(key, float64(d.Microseconds())/1000)
}
