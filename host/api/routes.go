package api

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/julienschmidt/httprouter"

	"github.com/kai-gateway/kai/host/dialect"
)

// The paths that are named in more places than their routes.
const (
	ChatPath    = "/v1/chat/completions"
	ModelsPath  = "/v1/models"
	docsPath    = "/docs"
	openAPIPath = "/openapi.json"
)

// Route is one endpoint, and everything that is said about it. The router, the
// check of the key, the log, the index and the error for unknown paths follow
// from it.
type Route struct {
	Method  string           // GET, which includes HEAD, POST or DELETE, or HEAD alone
	Path    string           // as documents and the log show it; it may have {a name} once, for what has no slash in it
	Slashes bool             // {a name} at the end of the path may have slashes in it
	Public  bool             // needs no key, and pages of other origins may request it
	Quiet   bool             // requested every few seconds: logged at debug, whatever the answer
	Form    bool             // takes forms, of type multipart/form-data, and no JSON
	Page    bool             // for people: GET / doesn't list it
	Dialect *dialect.Dialect // which header has the key, and how an error looks; default: as the client's headers tell, or OpenAI's
	Handle  Handler

	name string // method and path, such as "GET /health"; the table sets it
}

// A Handler answers one request. It must not keep anything of the exchange after
// it returns. If it returns an error before it has written anything, the error
// becomes the answer. A later error is only logged: the handler has to end an
// answer that it began.
type Handler func(ctx context.Context, x *Exchange) error

// builtin returns the routes that every gateway has.
func (s *server) builtin() []Route {
	return []Route{
		{Method: "GET", Path: ModelsPath, Handle: s.listModels},
		{Method: "GET", Path: ModelsPath + "/{id}", Slashes: true, Handle: s.getModel},
		{Method: "GET", Path: "/health", Public: true, Quiet: true, Handle: s.health},
		{Method: "GET", Path: "/livez", Public: true, Quiet: true, Handle: s.livez},
		{Method: "GET", Path: "/readyz", Public: true, Quiet: true, Handle: s.readyz},
		{Method: "GET", Path: openAPIPath, Public: true, Page: true, Handle: s.openAPI},
		{Method: "GET", Path: docsPath, Public: true, Page: true, Handle: s.docs},
		{Method: "GET", Path: docsPath + "/{asset}", Slashes: true, Public: true, Page: true, Handle: s.docsAsset},
		{Method: "GET", Path: "/", Public: true, Page: true, Handle: s.index},
		// Claude Code looks whether there is anybody.
		{Method: "HEAD", Path: "/api/hello", Public: true, Quiet: true, Page: true, Handle: hello},
	}
}

// table finds the route of a request. Where paths with and without parameters fit, the request is
// for the one that says most: one without, then one that goes on behind its parameter. Its methods
// are those of the path, and what other paths take doesn't count.
type table struct {
	routes  []Route
	exact   map[string][]method // those without a parameter, by their path
	within  []within            // those that go on behind their parameter
	router  *httprouter.Router  // those that end with it
	byName  map[string]*Route   // the name is method and path, such as "GET /health"
	methods []string            // those that some route accepts, sorted
	guarded []string            // folders, such as "/v1/", in which unknown paths need a key, too
	served  string              // the part of an unknown path's error that says which paths there are
}

// method is one that a path takes.
type method struct {
	name  string
	route *Route
}

// takes returns the route of a method and a whole path, or nil if there is none.
func (t *table) takes(name, path string) *Route {
	for _, m := range t.exact[path] {
		if m.name == name {
			return m.route
		}
	}
	return nil
}

// within is a route whose path has a parameter in the middle.
type within struct {
	method, before, behind string
	route                  *Route
}

// newTable panics if two routes conflict.
func newTable(routes []Route) *table {
	t := &table{routes: routes, exact: map[string][]method{}, router: httprouter.New(), byName: map[string]*Route{}}
	var keyed []string
	for i := range t.routes {
		route := &t.routes[i]
		route.name = route.Method + " " + route.Path
		t.byName[route.name] = route
		before, parameter, ends := strings.Cut(route.Path, "{")
		parameter, behind, _ := strings.Cut(parameter, "}")
		methods := []string{route.Method}
		if route.Method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		for _, name := range methods {
			switch {
			case behind != "":
				t.within = append(t.within, within{name, before, behind, route})
			case ends:
				kind := ":"
				if route.Slashes {
					kind = "*"
				}
				t.router.Handle(name, before+kind+parameter, func(_ http.ResponseWriter, r *http.Request, _ httprouter.Params) { r.Pattern = route.name })
			case t.takes(name, before) != nil:
				panic("two routes " + name + " " + before)
			default:
				t.exact[before] = append(t.exact[before], method{name, route})
			}
			if !slices.Contains(t.methods, name) {
				t.methods = append(t.methods, name)
			}
		}
		if route.Public {
			continue
		}
		keyed = append(keyed, route.name)
		if folder, _, ok := strings.Cut(route.Path[1:], "/"); ok && !slices.Contains(t.guarded, "/"+folder+"/") {
			t.guarded = append(t.guarded, "/"+folder+"/")
		}
	}
	slices.Sort(t.methods)
	t.served = "Kai serves " + enumerate(keyed) + "; GET " + docsPath + " describes them."
	return t
}

// enumerate writes a list as people do: "a, b and c".
func enumerate(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// find returns the route of a method and the request's path, or nil if there is
// none, and the value of its {parameter}. It sets the request's Pattern to the
// name of the route.
func (t *table) find(r *http.Request, method string) (route *Route, parameter string) {
	if _, known := t.exact[r.URL.Path]; known {
		if route = t.takes(method, r.URL.Path); route != nil {
			r.Pattern = route.name
		}
		return route, ""
	}
	known := false
	for _, w := range t.within {
		rest, ok := strings.CutPrefix(r.URL.Path, w.before)
		parameter, ends := strings.CutSuffix(rest, w.behind)
		if !ok || !ends || parameter == "" || strings.Contains(parameter, "/") {
			continue
		}
		if known = true; w.method == method {
			r.Pattern = w.route.name
			return w.route, parameter
		}
	}
	if known {
		return nil, ""
	}
	match, params, _ := t.router.Lookup(method, r.URL.Path)
	if match == nil {
		return nil, ""
	}
	match(nil, r, nil)
	if len(params) > 0 {
		parameter = strings.TrimPrefix(params[0].Value, "/")
	}
	return t.byName[r.Pattern], parameter
}

// allowed lists the methods that a request's path accepts, in the form of the
// header Allow, and returns the route of one of them. The list is empty if there
// is no such path.
func (t *table) allowed(r *http.Request) (allow string, one *Route) {
	methods := []string{http.MethodOptions}
	for _, method := range t.methods {
		route, _ := t.find(r, method)
		if route != nil || r.URL.Path == "*" {
			methods = append(methods, method)
		}
		if route != nil {
			one = route
		}
	}
	if len(methods) == 1 {
		return "", nil
	}
	slices.Sort(methods)
	return strings.Join(methods, ", "), one
}

// serves reports whether there is something with a key at a path.
func (t *table) serves(path string) bool {
	_, route := t.allowed(&http.Request{URL: &url.URL{Path: path}})
	return route != nil && !route.Public
}

// above returns the route of an API whose path a path is below, the nearest one; nil if
// there is none.
func (t *table) above(path string) (nearest *Route) {
	for i := range t.routes {
		route := &t.routes[i]
		if route.Dialect != nil && strings.HasPrefix(path, route.Path+"/") && (nearest == nil || len(route.Path) > len(nearest.Path)) {
			nearest = route
		}
	}
	return nearest
}

// guards reports whether a path without a route needs a key all the same.
func (t *table) guards(path string) bool {
	return slices.ContainsFunc(t.guarded, func(folder string) bool { return strings.HasPrefix(path, folder) })
}

// endpoints returns what GET / lists: methods and paths.
func (t *table) endpoints() []string {
	var all []string
	for _, r := range t.routes {
		if !r.Page {
			all = append(all, r.Method+" "+r.Path)
		}
	}
	return all
}
