package api

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/julienschmidt/httprouter"

	"github.com/kai-gateway/kai/host/dialect"
)

// The paths that are named beyond their routes.
const (
	ChatPath    = "/v1/chat/completions"
	ModelsPath  = "/v1/models"
	docsPath    = "/docs"
	openAPIPath = "/openapi.json"
)

// Route is one endpoint. All that is the matter of one endpoint stands here: the
// router, the key, the log, the index and what an unknown path is told follow from
// it.
type Route struct {
	Method  string           // GET, with which HEAD comes, or POST
	Path    string           // as documents and the log show it; it may end in {a name}, which stands for the rest, slashes included
	Public  bool             // it needs no key, and pages of other origins may ask for it
	Quiet   bool             // it is asked for every few seconds: logged at debug, whatever the answer
	Page    bool             // for people: GET / doesn't list it
	Dialect *dialect.Dialect // where the key stands and how an error looks; default: as with OpenAI
	Handle  Handler
}

// A Handler answers one request. It may keep nothing of the exchange when it
// returns. An error it returns before it wrote anything becomes the answer; one
// it returns later is only logged, so it has to end a begun answer itself.
type Handler func(ctx context.Context, x *Exchange) error

// builtin are the routes that every gateway has.
func (s *server) builtin() []Route {
	return []Route{
		{Method: "GET", Path: ModelsPath, Handle: s.listModels},
		{Method: "GET", Path: ModelsPath + "/{id}", Handle: s.getModel},
		{Method: "GET", Path: "/health", Public: true, Quiet: true, Handle: s.health},
		{Method: "GET", Path: "/livez", Public: true, Quiet: true, Handle: s.livez},
		{Method: "GET", Path: "/readyz", Public: true, Quiet: true, Handle: s.readyz},
		{Method: "GET", Path: openAPIPath, Public: true, Page: true, Handle: s.openAPI},
		{Method: "GET", Path: docsPath, Public: true, Page: true, Handle: s.docs},
		{Method: "GET", Path: docsPath + "/{asset}", Public: true, Page: true, Handle: s.docsAsset},
		{Method: "GET", Path: "/", Public: true, Page: true, Handle: s.index},
	}
}

// table finds the route of a request.
type table struct {
	routes  []Route
	router  *httprouter.Router
	byName  map[string]*Route // by method and path
	methods []string          // that some route takes
	guarded []string          // the folders, as "/v1/", in which what is no route needs a key, too
	served  string            // says what there is, to those who asked for something else
}

// newTable panics if two routes are in each other's way.
func newTable(routes []Route) *table {
	t := &table{routes: routes, router: httprouter.New(), byName: map[string]*Route{}}
	var keyed []string
	for i := range t.routes {
		route := &t.routes[i]
		if route.Dialect == nil {
			route.Dialect = dialect.OpenAI()
		}
		name := route.Method + " " + route.Path
		t.byName[name] = route
		pattern := route.Path
		if at := strings.IndexByte(pattern, '{'); at >= 0 {
			pattern = pattern[:at] + "*" + strings.Trim(pattern[at:], "{}")
		}
		methods := []string{route.Method}
		if route.Method == http.MethodGet {
			methods = append(methods, http.MethodHead)
		}
		for _, method := range methods {
			t.router.Handle(method, pattern, func(_ http.ResponseWriter, r *http.Request, _ httprouter.Params) { r.Pattern = name })
			if !slices.Contains(t.methods, method) {
				t.methods = append(t.methods, method)
			}
		}
		if route.Public {
			continue
		}
		keyed = append(keyed, name)
		if folder, _, ok := strings.Cut(route.Path[1:], "/"); ok && !slices.Contains(t.guarded, "/"+folder+"/") {
			t.guarded = append(t.guarded, "/"+folder+"/")
		}
	}
	slices.Sort(t.methods)
	t.served = "Kai serves " + and(keyed) + "; GET " + docsPath + " describes them."
	return t
}

// and joins a list as people do.
func and(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// find gives the route of a method and a path, nil if there is none, and what its
// {parameter} stands for. It notes the route as the request's pattern.
func (t *table) find(r *http.Request, method string) (route *Route, parameter string) {
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

// others lists the methods that a request's path takes, as the header Allow does,
// and gives the route of one of them. Without any there is no such path.
func (t *table) others(r *http.Request) (allow string, one *Route) {
	allowed := []string{http.MethodOptions}
	for _, method := range t.methods {
		route, _ := t.find(r, method)
		if route != nil || r.URL.Path == "*" {
			allowed = append(allowed, method)
		}
		if route != nil {
			one = route
		}
	}
	if len(allowed) == 1 {
		return "", nil
	}
	slices.Sort(allowed)
	return strings.Join(allowed, ", "), one
}

// needsKey reports whether a path is not open to everybody, for one without a route.
func (t *table) needsKey(path string) bool {
	return slices.ContainsFunc(t.guarded, func(folder string) bool { return strings.HasPrefix(path, folder) })
}

// list gives what GET / lists.
func (t *table) list() []string {
	var all []string
	for _, r := range t.routes {
		if !r.Page {
			all = append(all, r.Method+" "+r.Path)
		}
	}
	return all
}
