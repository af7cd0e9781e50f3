// Package api is the gateway's HTTP surface: which paths exist, who may call
// them, and what every answer has in common.
//
// Each request gets an ID, CORS headers as configured, a place in the log, and
// an answer in OpenAI's error shape when it fails, whether by an error, an
// unknown path or a panic. What a chat completion is, the package does not
// know: a Handler answers those with the tools of an Exchange.
package api

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/kai-gateway/kai/host/memory"
)

// Options configures New. Chat and Models are needed; the zero value of the
// rest serves everybody, without CORS, with the default limits.
type Options struct {
	// Chat answers POST /v1/chat/completions.
	Chat Handler

	// Models lists the aliases that the principal in ctx may use, in the order
	// of the configuration.
	Models func(ctx context.Context) []string

	// Suggest goes on behind the mention of an unknown model in an error: which may
	// have been meant, of those the principal in ctx may use. Default: where they
	// are listed.
	Suggest func(ctx context.Context, model string) string

	// Authenticate is asked before anything else under /v1/, except for
	// OPTIONS. The context it returns is the Handler's, and the log has the name of
	// the key. nil lets everybody in.
	Authenticate func(*http.Request) (ctx context.Context, key string, err error)

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

// A Handler answers one request. It may keep nothing of the exchange when it
// returns. An error it returns before it wrote anything becomes the answer; one
// it returns later is only logged, so it has to end a begun answer itself.
type Handler func(ctx context.Context, x *Exchange) error

type server struct {
	Options
	router      *httprouter.Router
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
		o.Suggest = func(context.Context, string) string { return "; GET /v1/models lists those there are." }
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
	s.router = s.routes()
	return s
}

// routes lists every path of the gateway. The names are those of openapi.yaml
// and of the log's endpoint.
func (s *server) routes() *httprouter.Router {
	r := httprouter.New()
	// A redirect would turn the caller's mistake into one that is harder to
	// see, and httprouter's fixed paths ignore case.
	r.RedirectTrailingSlash = false
	r.RedirectFixedPath = false

	get := func(path, endpoint string, h handle) {
		r.GET(path, serve(endpoint, h))
		r.HEAD(path, serve(endpoint, h))
	}
	r.POST("/v1/chat/completions", serve("/v1/chat/completions", func(x *Exchange, _ httprouter.Params) error {
		return s.Chat(x.Request.Context(), x)
	}))
	get("/v1/models", "/v1/models", s.listModels)
	get("/v1/models/*id", "/v1/models/{id}", s.getModel)
	get("/health", "/health", s.health)
	get("/livez", "/livez", s.livez)
	get("/readyz", "/readyz", s.readyz)
	get("/openapi.json", "/openapi.json", s.openAPI)
	get("/docs", "/docs", s.docs)
	get("/docs/*asset", "/docs/{asset}", s.docsAsset)
	get("/", "/", s.index)

	r.NotFound = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(*responseWriter).exchange.fail(unknownPath(r))
	})
	r.MethodNotAllowed = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(*responseWriter).exchange.fail(wrongMethod(r, w.Header().Get("Allow")))
	})
	r.GlobalOPTIONS = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})
	return r
}

// handle answers one request of a route.
type handle func(x *Exchange, params httprouter.Params) error

// serve fits h into the router. The writer it is given is always the
// exchange's own, see ServeHTTP.
func serve(endpoint string, h handle) httprouter.Handle {
	return func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
		x := w.(*responseWriter).exchange
		x.Request = r
		x.Record.Endpoint = endpoint
		x.finish(h(x, params))
	}
}

// ServeHTTP gives the request its exchange and leads it through everything that
// all paths have in common.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := s.newExchange(w, r)
	defer x.end()
	if r.ContentLength != 0 {
		// Also for those who never look at the body: before the answer leaves,
		// net/http reads what is left of it. It forgets the deadline when the
		// body has ended. Writers without deadlines, as in tests, have none.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.ReadTimeout))
	}
	if err := s.checkHost(r); err != nil {
		x.fail(err)
		return
	}
	if s.cors.answer(x.Writer.Header(), r) {
		x.Record.Endpoint = preflight
		x.Writer.WriteHeader(http.StatusNoContent)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/v1/") {
		if err := s.checkOrigin(r); err != nil {
			x.fail(err)
			return
		}
	}
	if s.Authenticate != nil && r.Method != http.MethodOptions && strings.HasPrefix(r.URL.Path, "/v1/") {
		ctx, key, err := s.Authenticate(r)
		if err != nil {
			x.fail(err)
			return
		}
		x.record.Key = key
		r = r.WithContext(ctx)
	}
	s.router.ServeHTTP(x.Writer, r)
}
