package admin

import (
	"embed"
	"net/http"
	"path"
	"time"
)

// files are the console's, as they are: nothing builds them.
//
//go:embed console
var files embed.FS

// policy lets the page load its own files and nothing else, and run no other script.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var types = map[string]string{".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}

// page serves the console's page or, if there is no console, a note for whoever opens the
// address.
func (s *Server) page(w http.ResponseWriter, _ *http.Request) {
	if !s.opts.Gateway.Settings().Console {
		refuse(w, http.StatusNotFound, "The console is off: set admin.console to true. /admin/v1/state has the same for programs.")
		return
	}
	serveFile(w, "index.html")
}

func (s *Server) file(w http.ResponseWriter, r *http.Request) {
	if !s.opts.Gateway.Settings().Console {
		refuse(w, http.StatusNotFound, "The console is off: set admin.console to true.")
		return
	}
	serveFile(w, r.PathValue("file"))
}

func serveFile(w http.ResponseWriter, name string) {
	b, err := files.ReadFile("console/" + name)
	kind, ok := types[path.Ext(name)]
	if err != nil || !ok {
		refuse(w, http.StatusNotFound, "The console has no such file.")
		return
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Security-Policy", policy)
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(writeTime))
	w.Write(b)
}
