package config

import (
	"testing"
	"time"
)

func TestResponses(t *testing.T) {
	const models = "model_mapping: {m: {provider: demo, model: m}}\n"
	for name, tc := range map[string]struct {
		src  string
		want Responses
	}{
		"nothing is said":   {"", Responses{64 << 20, Duration(24 * time.Hour)}},
		"an empty section":  {"responses:\n", Responses{64 << 20, Duration(24 * time.Hour)}},
		"both":              {"responses: {memory: 1GiB, ttl: 10m}\n", Responses{1 << 30, Duration(10 * time.Minute)}},
		"nothing is stored": {"responses: {memory: 0}\n", Responses{0, Duration(24 * time.Hour)}},
		"nor so":            {"responses: {memory: 0B}\n", Responses{0, Duration(24 * time.Hour)}},
		"a number of bytes": {"responses: {memory: 1048576}\n", Responses{1 << 20, Duration(24 * time.Hour)}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mustParse(t, tc.src+models).Responses; got != tc.want {
				t.Errorf("%q is %+v, want %+v", tc.src, got, tc.want)
			}
		})
	}
}
