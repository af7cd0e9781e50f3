// Package schema holds the documents that describe Kai's outer forms: the
// configuration and the HTTP API.
package schema

import _ "embed"

// Config is the CUE schema of a configuration; #Config is the whole of it.
//
//go:embed config.cue
var Config string
