// Package api is the gateway's HTTP surface: which paths exist, who may call
// them, and what every answer has in common.
//
// Each request gets an ID, CORS headers as configured, a place in the log, and
// an error in its dialect's shape when it fails, whether by an error, an unknown
// path or a panic. What a chat completion is, the package does not know: a Handler
// of a Route answers those with the tools of an Exchange.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/memory"
)

// Options configures New. Models is needed; the zero value of the rest serves
// everybody, without CORS, with the default limits.
type Options struct {
	// Routes are those of the APIs that clients speak, besides the gateway's own.
	Routes []Route

	// Models lists the aliases that the principal in ctx may use, in the order
	// of the configuration.
	Models func(ctx context.Context) []string

	// Suggest goes on behind the mention of an unknown model in an error: which may
	// have been meant, of those the principal in ctx may use. Default: where they
	// are listed.
	Suggest func(ctx context.Context, model string) string

	// Authenticate is asked for what isn't public, and for all that is in the same
	// folder, except for OPTIONS. The dialect knows where the key stands. The context
	// it returns is the Handler's, and the log has the name of the key. nil lets
	// everybody in.
	Authenticate func(*http.Request, *dialect.Dialect) (ctx context.Context, key string, err error)

	Health func() Health // what GET /health tells; default: healthy, without services
	Ready  func() bool   // what GET /readyz tells; default: ready
	CORS   CORS

	// Hosts are the names that the gateway is known by, besides its addresses and
	// localhost; their case doesn't matter. Private says whether it serves this
	// machine alone and without keys: then requests to other names are refused.
	// Default: it doesn't.
	Hosts   []string
	Private func() bool

	MaxBody      int64         // bytes of one request's body; default 32 MiB
	Bodies       *memory.Limit // of all bodies held at one time; default 1 GiB
	Memory       *memory.Total // of all that is held at one time; default: no limit
	ReadTimeout  time.Duration // for a body to arrive; default 60 s
	WriteTimeout time.Duration // for an answer written by JSON to be taken; default 60 s

	Example string           // the model that the first request of GET / asks; default: none
	Offered func() []Offered // what GET / lists for browsers; default: nothing

	Version string           // of the gateway, for GET / and GET /health
	OpenAPI []byte           // what GET /openapi.json serves, JSON
	Logger  *slog.Logger     // default: discard
	Now     func() time.Time // default time.Now; only for what is logged
}

type server struct {
	Options
	table       *table
	openAI      *dialect.Dialect // of what has no route
	cors        cors
	names       names
	indexPolicy string // of the page of GET /
}

// New returns the handler of all the gateway's paths.
//
// The http.Server that runs it must have a ReadHeaderTimeout and an IdleTimeout,
// and no WriteTimeout, which would cut long streams. Bodies and answers get
// their deadlines here.
func New(o Options) http.Handler {
	if o.Suggest == nil {
		o.Suggest = func(context.Context, string) string { return "; GET " + ModelsPath + " lists those there are." }
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

// ServeHTTP gives the request its exchange, finds its route, and leads it through
// everything that all paths have in common. The route comes first, because an error
// of any kind has the shape of its dialect.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.newExchange(w, r)
	defer x.end()
	if r.ContentLength != 0 {
		// Also for those who never look at the body: before the answer leaves,
		// net/http reads what is left of it. It forgets the deadline when the
		// body has ended. Writers without deadlines, as in tests, have none.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.ReadTimeout))
	}
	route, parameter := s.table.find(r, r.Method)
	allow, known := "", route
	if route == nil {
		allow, known = s.table.others(r)
	}
	guarded := s.table.needsKey(r.URL.Path)
	if known != nil {
		x.dialect, guarded = known.Dialect, !known.Public
	}
	if err := s.checkHost(r); err != nil {
		x.fail(err)
		return
	}
	if s.cors.answer(x.Writer.Header(), r) {
		x.Record.Endpoint, x.quiet = preflight, true
		x.Writer.WriteHeader(http.StatusNoContent)
		return
	}
	if guarded {
		if err := s.admit(x, r); err != nil {
			x.fail(err)
			return
		}
	}
	switch {
	case route != nil:
		x.Record.Endpoint, x.quiet, x.parameter = route.Path, route.Quiet, parameter
		x.finish(route.Handle(x.Request.Context(), x))
	case allow == "":
		x.fail(s.unknownPath(r))
	case r.Method == http.MethodOptions:
		x.Writer.Header().Set("Allow", allow)
		x.Writer.WriteHeader(http.StatusNoContent)
	default:
		x.Writer.Header().Set("Allow", allow)
		x.fail(wrongMethod(r, allow))
	}
}

// admit lets a request to what isn't public in, whose context is the principal's
// then, or says why not.
func (s *server) admit(x *Exchange, r *http.Request) error {
	if err := s.checkOrigin(r); err != nil {
		return err
	}
	if s.Authenticate == nil || r.Method == http.MethodOptions {
		return nil
	}
	ctx, key, err := s.Authenticate(r, x.dialect)
	if err != nil {
		return err
	}
	x.record.Key = key
	x.Request = r.WithContext(ctx)
	return nil
}
