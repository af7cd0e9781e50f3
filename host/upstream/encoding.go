package upstream

import (
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// encodingError says that a body's compression is unknown or broken.
type encodingError struct {
	what string
	err  error
}

func (e *encodingError) Error() string { return fmt.Sprintf("%s: %v", e.what, e.err) }
func (e *encodingError) Unwrap() error { return e.err }

// decoded returns the body without its content encoding.
func decoded(body io.Reader, header http.Header) (io.Reader, error) {
	coding := strings.TrimSpace(strings.Join(header["Content-Encoding"], ","))
	switch strings.ToLower(coding) {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		return &gunzip{src: body}, nil
	default:
		return nil, fmt.Errorf("content encoding %q was not asked for", coding)
	}
}

// gunzip decompresses a body. It starts with the first read, because starting has to wait
// for bytes. A read returns what the server has flushed, and doesn't wait for more.
type gunzip struct {
	src io.Reader
	z   *gzip.Reader
}

func (g *gunzip) Read(p []byte) (int, error) {
	if g.z == nil {
		z, err := gzip.NewReader(g.src)
		if err != nil {
			return 0, g.explain(err)
		}
		g.z = z
	}
	n, err := g.z.Read(p)
	return n, g.explain(err)
}

// explain wraps errors of the format. Those of the connection stay as they are.
func (g *gunzip) explain(err error) error {
	if _, corrupt := errors.AsType[flate.CorruptInputError](err); corrupt || err == gzip.ErrHeader || err == gzip.ErrChecksum {
		return &encodingError{"gzip", err}
	}
	return err
}
