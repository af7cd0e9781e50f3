package upstream

import (
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/wire"
	"github.com/kai-gateway/kai/sdk/abi"
)

// TestSentIsToldOnce: whatever becomes of a request, the owner of its body learns once, before
// Do returns, that nothing reads it any more. With net/http nobody knows that, so nobody is told.
func TestSentIsToldOnce(t *testing.T) {
	answers := map[string]func(net.Conn, *http.Request) bool{
		"an answer": wire.Answers(jsonHead + wire.Sized("{}")),
		"an early refusal": func(c net.Conn, _ *http.Request) bool {
			c.Write([]byte("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"))
			return false
		},
		"no answer":             func(c net.Conn, _ *http.Request) bool { return false },
		"something that's none": func(c net.Conn, _ *http.Request) bool { c.Write([]byte("SSH-2.0\r\n")); return false },
	}
	eachClient(t, func(t *testing.T, with func(*Options)) {
		for name, answer := range answers {
			t.Run(name, func(t *testing.T) {
				s := wire.Start(t, answer)
				c := newTestClient(t, s.URL, with)
				for range 3 { // the later ones on a connection that was kept, if one was
					told := 0
					r := post(abi.Whole)
					r.Body, r.Sent = []byte(strings.Repeat("x", 1<<20)), func() { told++ }
					res, err := c.Do(t.Context(), r)
					if want := map[bool]int{true: 1}[c.own != nil]; told != want {
						t.Errorf("it was told %d times, want %d; err = %v", told, want, err)
					}
					if err == nil {
						res.Close()
					}
				}
			})
		}
	})
}
