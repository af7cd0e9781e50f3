package upstream

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/sdk/abi"
)

// TestPieces: whatever the writes of a server, an answer that passes has all its bytes, in
// order, and not the provider's key.
func TestPieces(t *testing.T) {
	const key = "sk-0123456789abcdef"
	long := strings.Repeat("\x00\xff{<data: ", 10_000)
	for name, tc := range map[string]struct{ body, want string }{
		"a few bytes":                   {"ID3", "ID3"},
		"many":                          {long, long},
		"nothing":                       {"", ""},
		"the key":                       {"a " + key + " b", "a [redacted] b"},
		"the key at the end":            {long + key, long + "[redacted]"},
		"the key in the middle":         {long + key + long, long + "[redacted]" + long},
		"the key in percents":           {long + strings.ReplaceAll(key, "0", "%2530") + long, long + "[redacted]" + long},
		"the key in escapes":            {long + strings.ReplaceAll(key, "0", `\u0030`) + "x", long + "[redacted]x"},
		"the key where a piece may end": {long[:pieceSize-5] + key + long, long[:pieceSize-5] + "[redacted]" + long},
		"the beginning of the key":      {"a " + key[:10], "a " + key[:10]},
	} {
		for _, size := range []int{1, 7, 4096, 1 << 20} {
			t.Run(fmt.Sprintf("%s in writes of %d", name, size), func(t *testing.T) {
				if size == 1 && len(tc.body) > 1000 {
					t.Skip("takes long")
				}
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Content-Type", "audio/mpeg")
					for rest := tc.body; len(rest) > 0; {
						n := min(size, len(rest))
						io.WriteString(w, rest[:n])
						w.(http.Flusher).Flush()
						rest = rest[n:]
					}
				}))
				defer server.Close()
				c, err := New(Options{Provider: "p", BaseURL: server.URL, Secret: Secret{Header: "authorization", Value: "Bearer " + key}})
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				res, err := c.Do(t.Context(), Request{Head: []byte("POST /x\n"), Framing: abi.Bytes})
				if err != nil {
					t.Fatal(err)
				}
				defer res.Close()
				if !res.Bytes() || res.Whole() || res.MediaType() != "audio/mpeg" {
					t.Fatalf("bytes: %v, whole: %v, %q", res.Bytes(), res.Whole(), res.MediaType())
				}
				var got strings.Builder
				for err == nil {
					var piece []byte
					piece, _, err = res.Piece()
					got.Write(piece)
				}
				if err != io.EOF || got.String() != tc.want {
					t.Errorf("%v; got %d bytes ending in %q, want %d ending in %q", err, got.Len(), end(got.String()), len(tc.want), end(tc.want))
				}
			})
		}
	}
}

func end(s string) string { return s[max(0, len(s)-40):] }
