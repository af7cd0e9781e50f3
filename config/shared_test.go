package config

import (
	"slices"
	"strings"
	"testing"
	"time"
)

const sharedModel = "model_mapping: {m: {provider: demo, model: m}}\n"

func TestASharedStore(t *testing.T) {
	for url, want := range map[string]Shared{
		"redis://redis":                       {Addresses: []string{"redis:6379"}},
		"rediss://kai@valkey.example:6380/2":  {Addresses: []string{"valkey.example:6380"}, User: "kai", Database: 2, TLS: true},
		"redis://a:1,b,[::1]:3":               {Addresses: []string{"a:1", "b:6379", "[::1]:3"}},
		"unix:///run/redis.sock":              {Addresses: []string{"/run/redis.sock"}, Socket: true},
		"redis://s1,s2:9\", sentinel: \"main": {Addresses: []string{"s1:26379", "s2:9"}, Sentinel: "main"},
	} {
		c, err := Parse("test.yaml", []byte(sharedModel+"shared: {url: \""+url+"\", secret: 0123456789abcdef, password: pw}\n"), Options{})
		if err != nil {
			t.Errorf("%s: %v", url, err)
			continue
		}
		s := c.Shared
		if !s.Enabled || s.Prefix != "kai" || time.Duration(s.Timeout) != 100*time.Millisecond || s.OnOutage != "local" || s.Password.Reveal() != "pw" || s.Secret.Reveal() != "0123456789abcdef" {
			t.Errorf("%s: %+v", url, s)
		}
		if !slices.Equal(s.Addresses, want.Addresses) || s.User != want.User || s.Database != want.Database || s.TLS != want.TLS || s.Socket != want.Socket || s.Sentinel != want.Sentinel {
			t.Errorf("%s: %+v", url, s)
		}
	}
	if c, err := Parse("test.yaml", []byte(sharedModel), Options{}); err != nil || c.Shared.Enabled {
		t.Errorf("without the section: %+v, %v", c, err)
	}
}

func TestASharedStoreThatIsNone(t *testing.T) {
	for section, want := range map[string]string{
		"url: \"redis://user:pw@h\", secret: 0123456789abcdef":           "shared.url: must not hold a password",
		"url: \"redis://h:99999\", secret: 0123456789abcdef":             "shared.url: has a port that is not",
		"url: \"redis://h/x\", secret: 0123456789abcdef":                 "shared.url: has something behind its /",
		"url: \"redis://a,,b\", secret: 0123456789abcdef":                "shared.url: has no host",
		"url: \"redis://a,b/1\", secret: 0123456789abcdef":               "shared.url: names a database",
		"url: \"unix://run\", secret: 0123456789abcdef":                  "shared.url: must be unix://",
		"url: \"http://h\", secret: 0123456789abcdef":                    "shared.url: must be a URL that starts with redis://",
		"url: \"redis://h\"":                                             "secret",
		"url: \"redis://h\", secret: fifteen-letters":                    "test.yaml:2:36: shared.secret: is too short",
		"url: \"redis://h\", secret: 0123456789abcdef, ca: ca.pem":       "shared.ca: is for a url that starts with rediss://",
		"url: \"redis://h\", secret: 0123456789abcdef, on_outage: open":  "shared.on_outage: must be local, deny or allow",
		"url: \"redis://h\", secret: 0123456789abcdef}\nledger: {a: b":   "ledger",
		"url: \"redis://h\", secret: 0123456789abcdef}\nledger: \"l\" #": "ledger: can't be beside shared",
	} {
		yaml := sharedModel + "shared: {" + section + "}\n"
		if before, ok := strings.CutSuffix(section, " #"); ok {
			yaml = sharedModel + "shared: {" + before + "\n"
		}
		_, err := Parse("test.yaml", []byte(yaml), Options{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", section, err, want)
		}
	}
}

func TestASharedStoreRemembersBudgets(t *testing.T) {
	c, err := Parse("test.yaml", []byte("model_mapping: {m: {provider: demo, model: m, price: free}}\nauth: {enabled: true, api_keys: [{name: n, key: k, budget: {day: 1}}]}\nshared: {url: \"redis://h\", secret: 0123456789abcdef}\n"), Options{})
	if err != nil || len(c.Warnings) > 0 {
		t.Errorf("%v, %v", c, err)
	}
}
