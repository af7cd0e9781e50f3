package api

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/kai-gateway/kai/host/fault"
	"github.com/kai-gateway/kai/host/record"
)

// step is how the log shows an attempt:
// {"target":"ollama/m","class":"rate","upstream_status":429,"ms":12.5}.
type step struct {
	Target string  `json:"target"`
	Class  string  `json:"class,omitempty"`
	Status int     `json:"upstream_status,omitempty"` // of one that failed
	MS     float64 `json:"ms"`
}

// trail is how the log shows all attempts. A single one that answered says nothing that
// the rest of the line doesn't say.
func trail(all []record.Attempt) []step {
	if len(all) == 1 && all[0].Class == "" {
		return nil
	}
	steps := make([]step, len(all))
	for i, a := range all {
		steps[i] = step{fault.Shown(a.Provider+"/"+a.Model, fault.MaxShown), a.Class, 0, float64(a.Duration.Microseconds()) / 1000}
		if a.Class != "" {
			steps[i].Status = a.Status
		}
	}
	return steps
}

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
	return x.writer.failed || errors.Is(err, errHungUp) || err != nil && fault.KindOf(err) == fault.Gone ||
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

// close completes the record.
func (x *Exchange) close() {
	r := &x.record
	if r.Status == 0 {
		r.Status = x.writer.status
		if x.hungUp() {
			r.Status = fault.StatusGone
		}
	}
	if r.Err != nil {
		told := x.ClientError(r.Err)
		if r.Class, r.Code = told.Kind.String(), told.Code; r.Status == fault.StatusGone {
			r.Class, r.Code = fault.Gone.String(), ""
		}
	}
	r.Duration = x.server.Now().Sub(r.Began)
}

// log writes the request's line.
func (x *Exchange) log() {
	r := &x.record
	level := x.level()
	ctx := x.Request.Context()
	switch {
	case x.server.Access == "off", x.server.Access == "errors" && r.Err == nil && r.Status < 400:
		return
	case !x.server.Logger.Enabled(ctx, level):
		return
	}
	endpoint := r.Endpoint
	if endpoint == "" {
		endpoint = fault.Shown(x.Request.URL.Path, fault.MaxShown)
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
	text("request_id", r.ID)
	text("endpoint", endpoint)
	text("key", fault.Shown(r.Key, fault.MaxShown))
	text("group", r.Group)
	text("model", fault.Shown(r.Model, fault.MaxShown))
	text("instead", r.Instead)
	text("provider", r.Provider)
	text("upstream_model", r.UpstreamModel)
	text("plugin", r.Plugin)
	if r.Native != nil {
		attrs = append(attrs, slog.Bool("native", *r.Native))
	}
	text("cache", r.Cache)
	number("status", r.Status)
	number("attempt", len(r.Attempts))
	if r.Stream {
		attrs = append(attrs, slog.Bool("stream", true))
	}
	number("prompt_tokens", int(r.Usage.Input))
	number("completion_tokens", int(r.Usage.Output))
	if r.Usage.Sound > 0 {
		attrs = append(attrs, slog.Float64("audio_seconds", r.Usage.Sound.Seconds()))
	}
	number("pictures", int(r.Usage.Pictures))
	number("characters", int(r.Usage.Characters))
	if r.Usage.Estimated {
		attrs = append(attrs, slog.Bool("estimated", true))
	}
	if r.Cost.Known && r.Cost.Nano > 0 {
		attrs = append(attrs, slog.Float64("cost", float64(r.Cost.Nano)/1e9))
	}
	if r.FirstContent != 0 {
		attrs = append(attrs, milliseconds("first_chunk_ms", r.FirstContent))
	}
	if steps := trail(r.Attempts); len(steps) > 0 {
		attrs = append(attrs, slog.Any("trail", steps))
	}
	attrs = append(attrs, milliseconds("duration_ms", r.Duration))
	if r.Err != nil {
		text("code", record.KnownCode(r.Code))
		text("err", x.errorText(ctx))
	}
	x.server.Logger.LogAttrs(ctx, level, "request finished", attrs...)
}

// withheld stands in the log for what a provider said.
const withheld = "what the provider said is logged only if both log.level and the provider's log are debug"

// errorText is what the log says about the request's error. What a provider said may repeat
// a prompt, so that is shown only if it was asked for twice. What its adapter says of it in
// words of its own always is.
func (x *Exchange) errorText(ctx context.Context) string {
	err := x.record.Err
	if e, ok := errors.AsType[*fault.Error](err); ok && e.Foreign && !(x.record.Words && x.server.Logger.Enabled(ctx, slog.LevelDebug)) {
		switch e.Own {
		case "":
			return "the provider reported an error; " + withheld
		case e.Text:
			return fault.Shown(e.Own, maxLogged)
		}
		return fault.Shown(e.Own, maxLogged) + " (" + withheld + ")"
	}
	return fault.Shown(err.Error(), maxLogged)
}

// milliseconds keeps three decimals, because the gateway's own part of a request
// takes far less than one millisecond.
func milliseconds(key string, d time.Duration) slog.Attr {
	return slog.Float64(key, float64(d.Microseconds())/1000)
}
