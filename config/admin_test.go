package config

import "testing"

func TestAdmin(t *testing.T) {
	const models = "model_mapping: {m: {provider: demo, model: m}}\n"
	token := NewSecret("admin-token")
	for name, tc := range map[string]struct {
		src  string
		want Admin
	}{
		"without a section there is no listener": {"", Admin{}},
		"a section without anything is none":     {"admin:\n", Admin{}},
		"an empty one is a listener":             {"admin: {}\n", Admin{Enabled: true, Host: "127.0.0.1", Port: 9001, Metrics: true}},
		"a port is enough on this machine":       {"admin: {port: 9001}\n", Admin{Enabled: true, Host: "127.0.0.1", Port: 9001, Metrics: true}},
		"localhost is this machine":              {"admin: {host: localhost, port: 0}\n", Admin{Enabled: true, Host: "localhost", Metrics: true}},
		"so is the loopback of IPv6":             {"admin: {host: \"::1\", port: 1, metrics: false}\n", Admin{Enabled: true, Host: "::1", Port: 1}},
		"elsewhere it takes a token":             {"admin: {host: 0.0.0.0, port: 9001, token: admin-token, console: true}\n", Admin{Enabled: true, Host: "0.0.0.0", Port: 9001, Token: token, Metrics: true, Console: true}},
		"keys may have series":                   {"admin: {key_metrics: true}\n", Admin{Enabled: true, Host: "127.0.0.1", Port: 9001, Metrics: true, KeyMetrics: true}},
		"any free port is never the server's":    {"server: {port: 0}\nadmin: {port: 0}\n", Admin{Enabled: true, Host: "127.0.0.1", Metrics: true}},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustParse(t, tc.src+models).Admin
			if got.Token.Reveal() != tc.want.Token.Reveal() {
				t.Errorf("the token is not the one of %q", tc.src)
			}
			got.Token, tc.want.Token = Secret{}, Secret{}
			if got.Enabled != tc.want.Enabled || got.Host != tc.want.Host || got.Port != tc.want.Port || got.Metrics != tc.want.Metrics || got.KeyMetrics != tc.want.KeyMetrics || got.Console != tc.want.Console {
				t.Errorf("%q is %+v, want %+v", tc.src, got, tc.want)
			}
		})
	}
}
