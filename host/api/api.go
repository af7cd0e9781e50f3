// Package api is the gateway's HTTP surface: which paths exist, who may call
// them, and what every answer has in common.
//
// Each request gets an ID, CORS headers as configured, a place in the log, and
// an error in its dialect's shape when it fails, whether by an error, an unknown
// path or a panic. The package does not know what a chat completion is: the
// Handler of a Route answers it with the tools of an Exchange.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/kai-gateway/kai/host/buffer"
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/record"
)

// Options configures New. Models is needed; the zero value of the rest serves
// everybody, without CORS, with the default limits.
type Options struct {
	// Routes are the endpoints of the APIs that clients speak. The gateway's own
	// are added to them.
	Routes []Route

	// Models lists the aliases that the principal in ctx may use, in the order
	// of the configuration.
	Models func(ctx context.Context) []dialect.Model

	// Model returns a model that the principal in ctx may use, which may be one of those that
	// an alias with * stands for. Default: one of Models.
	Model func(ctx context.Context, id string) (m dialect.Model, ok bool)

	// Suggest returns the rest of the error about an unknown model: which of the
	// models that the principal in ctx may use could have been meant. Default:
	// where the models are listed.
	Suggest func(ctx context.Context, model string) string

	// Authenticate checks the key of a request to a route that isn't public, or to
	// an unknown path in the same folder as one. OPTIONS needs no key. The dialect
	// knows which header has the key. The returned context is passed to the
	// Handler, and the returned name of the key is logged, with an error, too: a
	// key may be known and refused. nil lets everybody in.
	Authenticate func(*http.Request, *dialect.Dialect) (ctx context.Context, key string, err error)

	Health func() Health // what GET /health reports; default: healthy, without services
	Ready  func() bool   // what GET /readyz reports; default: ready
	CORS   CORS

	// Hosts are the names that the gateway is known by, besides its addresses and
	// localhost; their case doesn't matter. Private reports whether the gateway
	// serves only this machine, and without keys. If so, requests to other names
	// are refused. Default: it is not private.
	Hosts   []string
	Private func() bool

	MaxBody int64         // the largest body of one request, in bytes; default 32 MiB
	Bodies  *memory.Limit // for all bodies held at one time; default 1 GiB
	Memory  *memory.Total // counts everything held at one time; default: no limit
	// AdmitHead counts what the head of the request whose context ctx is holds, by hold, once the
	// request may be served and needs more than a public page. The error is that of hold.
	// Default: heads are not counted.
	AdmitHead func(ctx context.Context, hold func(bytes int64) error) error

	Buffers      *buffer.Pool  // lends what large bodies are read into; default: they are allocated
	ReadTimeout  time.Duration // how long a body may take to arrive; default 60 s
	WriteTimeout time.Duration // how long a client may take to accept an answer written by JSON; default 60 s

	Example string           // the model in the example request of GET /; default: none
	Offered func() []Offered // what GET / lists for browsers; default: nothing

	// Console returns the console's address for a browser that has opened a page of this
	// request's host; "": it has none, or not from there. Default: there is none.
	Console func(*http.Request) string

	// Observe gets the record of each request when it is over. The record must not be
	// changed, and not be kept: Clone copies it. Default: nobody gets it.
	Observe func(*record.Request)

	Version string                 // of the gateway, for GET / and GET /health
	OpenAPI func() ([]byte, error) // what GET /openapi.json serves, JSON; called once it is asked for. Default: nothing
	Logger  *slog.Logger           // default: discard
	Access  string                 // which requests are logged: "errors": those that failed, "off": none; default: all
	Now     func() time.Time       // default time.Now; only for what is logged
}

type server struct {
	Options
	table       *table
	openAI      *dialect.Dialect // of what belongs to no API
	cors        cors
	names       names
	indexPolicy string // of the page of GET /
}

// New returns the handler of all the gateway's paths.
//
// The http.Server that runs it must have a ReadHeaderTimeout and an IdleTimeout.
// It must have no WriteTimeout, which would cut long streams. The handler itself
// sets the deadlines of bodies and answers.
func New(o Options) http.Handler {
	if o.Suggest == nil {
		o.Suggest = func(context.Context, string) string { return "; GET " + ModelsPath + " lists those there are." }
	}
	if o.Model == nil {
		o.Model = func(ctx context.Context, id string) (dialect.Model, bool) {
			for _, m := range o.Models(ctx) {
				if m.ID == id {
					return m, true
				}
			}
			return dialect.Model{}, false
		}
	}
	if o.Health == nil {
		o.Health = func() Health { return Health{Status: Healthy} }
	}
	if o.Offered == nil {
		o.Offered = func() []Offered { return nil }
	}
	if o.Ready == nil {
		o.Ready = func() bool { return true }
	}
	if o.MaxBody <= 0 {
		o.MaxBody = 32 << 20
	}
	if o.Bodies == nil {
		o.Bodies = memory.NewLimit(1 << 30)
	}
	if o.ReadTimeout <= 0 {
		o.ReadTimeout = time.Minute
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = time.Minute
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &server{Options: o, indexPolicy: indexPolicy(), cors: newCORS(o.CORS), names: newNames(o.Hosts)}
	s.openAI = dialect.OpenAI()
	s.table = newTable(slices.Concat(o.Routes, s.builtin()))
	return s
}

// ServeHTTP makes the request's exchange, finds its route, and does everything that
// all paths have in common. The route comes first, because it decides the dialect,
// and every error has the dialect's shape.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.newExchange(w, r)
	defer x.end()
	if r.ContentLength != 0 {
		// Handlers that never look at the body need the deadline, too: net/http
		// reads the rest of the body before the answer leaves. It clears the
		// deadline at the end of the body. Writers in tests may not support
		// deadlines, so the error is ignored.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.ReadTimeout))
	}
	route, parameter := s.table.find(r, r.Method)
	allow, known := "", route
	if route == nil {
		allow, known = s.table.allowed(r)
	}
	var needsKey bool
	if known != nil {
		needsKey = !known.Public
		x.Record.Endpoint = known.Path
	} else {
		needsKey = s.table.guards(r.URL.Path)
	}
	x.dialect = s.dialectOf(known, r)
	if name := x.dialect.IDHeader; name != "" {
		x.Writer.Header().Set(name, x.ID)
	}
	if err := s.checkHost(r); err != nil {
		x.fail(err)
		return
	}
	if s.cors.setHeaders(x.Writer.Header(), r) {
		x.Record.Endpoint, x.quiet = preflight, true
		x.Writer.WriteHeader(http.StatusNoContent)
		return
	}
	if needsKey {
		err := s.admit(x, r)
		if err == nil {
			err = x.holdHead()
		}
		if err != nil {
			x.fail(err)
			return
		}
	}
	switch {
	case route != nil:
		x.quiet, x.parameter, x.form = route.Quiet, parameter, route.Form
		x.finish(route.Handle(x.Request.Context(), x))
	case allow == "":
		x.fail(s.unknownPath(r))
	case r.Method == http.MethodOptions:
		x.Writer.Header().Set("Allow", allow)
		x.Writer.WriteHeader(http.StatusNoContent)
	case wantsWebSocket(r):
		// Codex asks for one first, and goes on without only after this status.
		x.Writer.Header().Set("Connection", "Upgrade")
		x.Writer.Header().Set("Upgrade", "HTTP/1.1")
		x.fail(noWebSocket(r))
	default:
		x.Writer.Header().Set("Allow", allow)
		x.fail(wrongMethod(r, allow))
	}
}

// dialectOf returns the dialect of a request, of which route is that of its path, or nil.
// Paths below an API's are that API's, whether they exist or not. Of any other, such as the
// list of models, the client says by its headers what it understands.
func (s *server) dialectOf(route *Route, r *http.Request) *dialect.Dialect {
	if route == nil {
		route = s.table.above(r.URL.Path)
	}
	if route != nil && route.Dialect != nil {
		return route.Dialect
	}
	for i := range s.table.routes {
		if d := s.table.routes[i].Dialect; d != nil && d.Marker != "" && r.Header[d.Marker] != nil {
			return d
		}
	}
	return s.openAI
}

// admit checks the origin and the key of a request to a path that isn't public.
// From then on the principal is in the request's context.
func (s *server) admit(x *Exchange, r *http.Request) error {
	if err := s.checkOrigin(r); err != nil {
		return err
	}
	if s.Authenticate == nil || r.Method == http.MethodOptions {
		return nil
	}
	ctx, key, err := s.Authenticate(r, x.dialect)
	x.record.Key = key
	if err != nil {
		return err
	}
	x.Request = r.WithContext(ctx)
	return nil
}
