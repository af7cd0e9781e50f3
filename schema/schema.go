// Package schema holds the documents that describe Kai's outer forms: the
// configuration and the HTTP API.
package schema

import _ "embed"

// Config is the CUE schema of a configuration; #Config is the whole of it. It is written in
// config.cue, and what providers and models have in models.cue.
var Config = general + "\n" + models

var (
	//go:embed config.cue
	general string
	//go:embed models.cue
	models string
)
