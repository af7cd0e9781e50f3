package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
)

// newProxy returns the simplest gateway there can be. It passes every byte on at once and
// looks at none.
func newProxy(base string) http.Handler {
	u, err := url.Parse(base)
	if err != nil {
		panic(err)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 512 // Go's 2 would let the proxy dial most of the time
	t.MaxIdleConns = 0
	t.Proxy = nil
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(u) },
		Transport:     t,
		FlushInterval: -1,
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The mock upstream answers so soon that the transport may not yet have
		// seen the end of the client's body. Without full duplex the server
		// closes that body at the first flush, and the transport its connection.
		_ = http.NewResponseController(w).EnableFullDuplex()
		proxy.ServeHTTP(w, r)
	})
}
