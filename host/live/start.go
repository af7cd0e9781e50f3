package live

import (
	"reflect"

	"github.com/kai-gateway/kai/config"
)

// startKeys are the keys that change with the next start only, as docs/configuration.md has
// them, and what a configuration has at each.
var startKeys = []struct {
	key string
	of  func(*config.Config) any
}{
	{"server.host", func(c *config.Config) any { return c.Server.Host }},
	{"server.port", func(c *config.Config) any { return c.Server.Port }},
	{"server.read_header_timeout", func(c *config.Config) any { return c.Server.ReadHeaderTimeout }},
	{"admin.host", func(c *config.Config) any { return c.Admin.Host }}, // "" without the section
	{"admin.port", func(c *config.Config) any { return c.Admin.Port }},
	{"ledger", func(c *config.Config) any { return c.Ledger }},
	{"shared", func(c *config.Config) any { return c.Shared }},
	{"log.format", func(c *config.Config) any { return c.Log.Format }},
}

// atStart returns what a configuration has at each of startKeys.
func atStart(c *config.Config) []any {
	values := make([]any, len(startKeys))
	for i, k := range startKeys {
		values[i] = k.of(c)
	}
	return values
}

// needStart returns the keys at which c differs from what there was at the start, except, with
// ownAddress, those of the address.
func needStart(started []any, c *config.Config, ownAddress bool) (keys []string) {
	for i, now := range atStart(c) {
		key := startKeys[i].key
		if ownAddress && (key == "server.host" || key == "server.port") {
			continue
		}
		if !reflect.DeepEqual(started[i], now) {
			keys = append(keys, key)
		}
	}
	return keys
}
