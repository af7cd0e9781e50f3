// Package kai holds what the program gives away of its own source: the SDKs that
// adapters are written with. "kai plugin new" puts them into new projects, so an
// author needs nothing but the program and a compiler.
//
// It is at the root because a file can embed only what lies below it, and an SDK
// that embedded itself would carry its source into every adapter.
package kai

import "embed"

// SDK is the Go SDK with its tests, the license and go.mod, at their paths in
// this repository.
//
//go:embed LICENSE go.mod sdk/*.go sdk/abi/*.go sdk/frame/*.go sdk/sdktest/*.go
var SDK embed.FS
