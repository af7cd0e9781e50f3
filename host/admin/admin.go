// Package admin is what a gateway shows to whoever runs it, on a listener of its own: its
// state, the last requests, the last hour in numbers, metrics, and a console for browsers.
//
// It reads, and has two actions: a target can be asked again at once, and the configuration
// can be read again. No endpoint takes or returns a key of a client or a provider, the
// address of an upstream, or anything of a prompt or an answer. Only requests below /v1/ go
// on to the gateway's own API, with a client's key and that key's rights. Who may call is
// in guard.go.
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Settings are what a configuration says about the listener. They may change with every
// request.
type Settings struct {
	Enabled bool     // the listener is configured; a reload may have taken that out
	Names   []string // the host it was configured with
	Token   string   // what requests must show; "": nothing
	Metrics bool
	Console bool
}

// Gateway is what is shown, and what can be done with it. Its methods are safe for
// concurrent use.
type Gateway interface {
	Settings() Settings
	State() State
	ResetTarget(name string) bool // provider/model; false: there is none of this name

	// Spent sums up the audit since a day, by columns such as key and alias. It reads until
	// ctx ends. The error is ErrNoAudit, or says which column there isn't.
	Spent(ctx context.Context, by []string, since time.Time) (Spent, error)
}

// Options configures New. Gateway is required.
type Options struct {
	Gateway  Gateway
	Loopback bool                            // only this machine can reach the listener
	Requests *Requests                       // the last ones; default: none are kept
	Reload   func(ctx context.Context) error // reads the configuration again; default: it can't be
	Metrics  http.Handler                    // serves /metrics; default: there are none
	API      http.Handler                    // the gateway's own, for the console; default: there is none
	Now      func() time.Time                // default time.Now
}

// Server serves the listener. It is an http.Handler.
type Server struct {
	opts     Options
	mux      *http.ServeMux
	stopping chan struct{}
	stop     sync.Once
	summing  sync.Mutex // an audit is being summed up
}

// New returns a server. Stop must be called before its http.Server is shut down, or live
// answers keep it open.
func New(o Options) *Server {
	if o.Requests == nil {
		o.Requests = NewRequests()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{opts: o, mux: http.NewServeMux(), stopping: make(chan struct{})}
	for _, e := range endpoints {
		s.mux.HandleFunc(e.method+" "+e.path, func(w http.ResponseWriter, r *http.Request) { e.serve(s, w, r) })
		s.mux.HandleFunc(e.path, e.refuseMethod)
	}
	s.mux.HandleFunc("/v1/", s.passOn)
	s.mux.HandleFunc("GET /console/{file}", s.file)
	s.mux.HandleFunc("GET /{$}", s.page)
	s.mux.HandleFunc("/", s.unknown)
	return s
}

// endpoint is something that the listener serves besides the console and the API.
type endpoint struct {
	method, path string // the path as http.ServeMux has it
	serve        func(*Server, http.ResponseWriter, *http.Request)
}

var endpoints = []endpoint{
	{"GET", "/admin/v1/state", (*Server).state},
	{"GET", "/admin/v1/requests", (*Server).requests},
	{"GET", "/admin/v1/series", (*Server).series},
	{"GET", "/admin/v1/usage", (*Server).usage},
	{"POST", "/admin/v1/reload", (*Server).reload},
	{"POST", "/admin/v1/targets/{target...}", (*Server).reset},
	{"GET", "/metrics", (*Server).metrics},
}

// String returns what people write, such as "GET /metrics".
func (e endpoint) String() string {
	return e.method + " " + strings.Replace(e.path, "{target...}", "PROVIDER/MODEL/reset", 1)
}

// refuseMethod answers a request for an endpoint with a method that it doesn't take.
func (e endpoint) refuseMethod(w http.ResponseWriter, _ *http.Request) {
	allow := e.method
	if allow == http.MethodGet {
		allow = "GET, HEAD"
	}
	w.Header().Set("Allow", allow)
	refuse(w, http.StatusMethodNotAllowed, "This path takes "+allow+".")
}

// unknown answers a request for which there is nothing.
func (s *Server) unknown(w http.ResponseWriter, _ *http.Request) {
	var has []string
	settings := s.opts.Gateway.Settings()
	for _, e := range endpoints {
		if e.path != "/metrics" || settings.Metrics {
			has = append(has, e.String())
		}
	}
	if settings.Console {
		has = append(has, "the console at /")
	}
	refuse(w, http.StatusNotFound, "There is nothing at this path; the listener has "+strings.Join(has, ", ")+".")
}

// Stop ends live answers. It may be called more than once.
func (s *Server) Stop() { s.stop.Do(func() { close(s.stopping) }) }

// ServeHTTP lets in who may call, and answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	settings := s.opts.Gateway.Settings()
	if status, why := s.check(settings, r); status != 0 {
		if status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", "Bearer")
		}
		refuse(w, status, why)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// writeTime is how long a client may take to accept an answer, or a part of a live one.
const writeTime = 30 * time.Second

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "The answer could not be written.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	// Writers in tests may not support deadlines, so the error is ignored.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

// failure is the shape of errors.
type failure struct {
	Error    words     `json:"error"`
	Problems []Problem `json:"problems,omitempty"` // of a configuration
}

type words struct {
	Message string `json:"message"`
}

// refuse answers with an error in the shape of the gateway's API.
func refuse(w http.ResponseWriter, status int, why string) {
	answer(w, status, failure{Error: words{why}})
}

func (s *Server) state(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.opts.Gateway.State())
}

func (s *Server) reset(w http.ResponseWriter, r *http.Request) {
	target, ok := strings.CutSuffix(r.PathValue("target"), "/reset")
	if !ok || !s.opts.Gateway.ResetTarget(target) {
		refuse(w, http.StatusNotFound, "There is no such target: POST /admin/v1/targets/PROVIDER/MODEL/reset, with the names that /admin/v1/state has.")
		return
	}
	answer(w, http.StatusOK, struct{}{})
}

// Refused is the error of a Reload that the configuration is to blame for.
type Refused struct{ Problems []Problem }

func (*Refused) Error() string { return "the configuration was refused" }

func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	if s.opts.Reload == nil {
		refuse(w, http.StatusNotFound, "This gateway has no configuration to read again.")
		return
	}
	err := s.opts.Reload(r.Context())
	refused, ok := errors.AsType[*Refused](err)
	switch {
	case err == nil:
		answer(w, http.StatusOK, struct {
			Generation int64 `json:"generation"`
		}{s.opts.Gateway.State().Configuration.Generation})
	case ok:
		answer(w, http.StatusConflict, failure{words{"The configuration was refused; the one before keeps serving."}, refused.Problems})
	default:
		refuse(w, http.StatusServiceUnavailable, "The configuration could not be read again; the log says why.")
	}
}

func (s *Server) metrics(w http.ResponseWriter, r *http.Request) {
	if s.opts.Metrics == nil || !s.opts.Gateway.Settings().Metrics {
		refuse(w, http.StatusNotFound, "There are no metrics here: set admin.metrics to true.")
		return
	}
	s.opts.Metrics.ServeHTTP(w, r)
}

// passOn gives a request of the playground to the gateway's API. To that it looks as if it
// came from a program on this machine: what a page may do was checked here.
func (s *Server) passOn(w http.ResponseWriter, r *http.Request) {
	if s.opts.API == nil || !s.opts.Gateway.Settings().Console {
		refuse(w, http.StatusNotFound, "The API is served elsewhere; here it is for the console alone, so set admin.console to true.")
		return
	}
	r = r.Clone(r.Context())
	r.Header.Del(tokenHeader)
	r.Header.Del("Origin")
	r.Host = "localhost"
	// The API has headers of its own.
	for _, name := range []string{"Cache-Control", "Referrer-Policy"} {
		w.Header().Del(name)
	}
	s.opts.API.ServeHTTP(w, r)
}

// IsLoopback reports whether only this machine can reach an address.
func IsLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
