package api

import (
	"bytes"
	"compress/gzip"
	"context"
	"embed"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/swaggest/swgui/v5/static"
)

// page is the page of GET /docs, which loads Swagger UI. swgui has the files of
// Swagger UI, and a page, too, but that names its assets by absolute paths. This
// page uses relative ones, so it also works behind a path prefix.
//
//go:embed docs/index.html docs/page.css docs/start.js
var page embed.FS

// docsPolicy keeps the page from loading anything from elsewhere. It allows inline
// styles and data URLs, because Swagger UI sets styles at run time and draws some
// of its icons from data URLs.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

func (s *server) docs(_ context.Context, x *Exchange) error {
	x.Writer.Header().Set("Content-Security-Policy", docsPolicy)
	return x.file(page, "docs/index.html", "text/html; charset=utf-8")
}

// docsAsset serves one of the files that the page asks for.
func (s *server) docsAsset(_ context.Context, x *Exchange) error {
	switch x.parameter {
	case "":
		// The location is relative, like everything on the page. http.Redirect
		// would make it absolute.
		x.Writer.Header().Set("Location", ".."+docsPath)
		x.Writer.WriteHeader(http.StatusPermanentRedirect)
		return nil
	case "start.js":
		return x.file(page, "docs/start.js", "text/javascript; charset=utf-8")
	case "page.css":
		return x.file(page, "docs/page.css", "text/css; charset=utf-8")
	case "swagger-ui-bundle.js":
		return x.gzipped(static.FS, "swagger-ui-bundle.js.gz", "text/javascript; charset=utf-8")
	case "swagger-ui.css":
		return x.gzipped(static.FS, "swagger-ui.css.gz", "text/css; charset=utf-8")
	case "favicon-32x32.png":
		return x.file(static.FS, "favicon-32x32.png", "image/png")
	}
	return s.unknownPath(x.Request)
}

// file answers with an embedded file.
func (x *Exchange) file(fsys embed.FS, name, contentType string) error {
	b, err := fsys.ReadFile(name)
	if err != nil {
		return err
	}
	return x.write(http.StatusOK, contentType, b)
}

// gzipped answers with an embedded file that is compressed with gzip. It unpacks
// the file for clients that do not accept gzip.
func (x *Exchange) gzipped(fsys embed.FS, name, contentType string) error {
	b, err := fsys.ReadFile(name)
	if err != nil {
		return err
	}
	h := x.Writer.Header()
	h.Add("Vary", "Accept-Encoding")
	if acceptsGzip(x.Request.Header["Accept-Encoding"]) {
		h.Set("Content-Encoding", "gzip")
		return x.write(http.StatusOK, contentType, b)
	}
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", name, err)
	}
	return x.write(http.StatusOK, contentType, plain)
}

// acceptsGzip reports whether the values of Accept-Encoding name gzip with a
// weight other than zero.
func acceptsGzip(headers []string) bool {
	for coding := range strings.SplitSeq(strings.Join(headers, ","), ",") {
		name, weight, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			weight = strings.TrimPrefix(strings.TrimSpace(weight), "q=")
			q, err := strconv.ParseFloat(weight, 64)
			return err != nil || q > 0
		}
	}
	return false
}

// openAPI serves the OpenAPI document.
func (s *server) openAPI(_ context.Context, x *Exchange) error {
	if s.OpenAPI == nil {
		return s.unknownPath(x.Request)
	}
	document, err := s.OpenAPI()
	if err != nil {
		return err
	}
	return x.JSON(http.StatusOK, document)
}
