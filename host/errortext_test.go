package host_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/mock"
)

// TestErrorTextsTellNoAddress has upstreams that tell their own network's names
// and addresses in errors, as proxies and servers in front of engines do: what
// shipped adapters pass on to clients holds none of them.
func TestErrorTextsTellNoAddress(t *testing.T) {
	private := []string{"10.20.30.40", "8080", "fd00", "8443", "svc.cluster", "backend-3", "11434"}
	texts := []string{
		"dial tcp 10.20.30.40:8080: connect: connection refused",
		`Post "http://10.20.30.40:8080/completion": dial tcp 10.20.30.40:8080: connect: connection refused`,
		"dial tcp [fd00::12]:8443: i/o timeout",
		"lookup engine.svc.cluster.local on 10.20.30.40:53: no such host",
		"upstream backend-3:8443 closed the connection",
		"accept tcp 10.20.30.40:11434: accept4: too many open files",
	}
	bodies := map[string]string{ // how each upstream wraps a text; the same in a stream
		"anthropic":  `{"type":"error","error":{"type":"api_error","message":%s}}`,
		"gemini":     `{"error":{"code":500,"message":%s,"status":"INTERNAL"}}`,
		"ollama":     `{"error":%s}`,
		"openai":     `{"error":{"message":%s,"type":"server_error","code":null}}`,
		"openrouter": `{"error":{"code":502,"message":%s}}`,
	}
	for plugin, tc := range keyed {
		t.Run(plugin, func(t *testing.T) {
			up := mock.Start(t, nil)
			path, _ := withKey(t, plugin)
			g := keyedGateway(t, path, up.URL+tc.prefix, "{}", "m")
			for _, text := range texts {
				quoted, _ := json.Marshal(text)
				body := fmt.Sprintf(bodies[plugin], quoted)
				inStream := mock.SSE("event: error\ndata: " + body + "\n\n")
				if plugin == "ollama" {
					inStream = mock.NDJSON(line("so far") + body + "\n")
				}
				for how, answer := range map[string]mock.Answer{
					"text": mock.Whole(502, "text/plain", text), "whole": mock.Whole(502, "application/json", body), "streamed": inStream,
				} {
					up.Answer(answer)
					_, answer := g.post(t, streamed)
					if _, ok := errorMessage(answer); !ok {
						t.Errorf("%s, %s: no error: %s", text, how, answer)
					}
					for _, word := range append(private, strings.TrimPrefix(up.URL, "http://")) {
						if strings.Contains(answer, word) {
							t.Errorf("%s, %s: the client sees %q: %s", text, how, word, answer)
						}
					}
				}
			}
		})
	}
}
