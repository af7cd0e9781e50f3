// Package kai holds what the program gives away of its own source: the SDKs that
// adapters are written with, and the adapter that shows how, in each language.
// "kai plugin new" makes projects of them, so an author needs nothing but the
// program and a compiler.
//
// It is at the root because a file can embed only what lies below it, and an SDK
// that embedded itself would carry its source into every adapter.
package kai

import "embed"

// Source is the source that authors are given, at its paths in this repository.
//
//go:embed LICENSE go.mod sdk/*.go sdk/abi/*.go sdk/exchange/*.go sdk/frame/*.go sdk/sdktest/*.go sdk/transcript/*.go
//go:embed sdk/rust/Cargo.toml sdk/rust/src
//go:embed sdk/assemblyscript/package.json sdk/assemblyscript/assembly
//go:embed sdk/c/kai.h
//go:embed examples/adapters/go/parrot.go
//go:embed examples/adapters/rust/Cargo.toml examples/adapters/rust/src
//go:embed examples/adapters/assemblyscript/package.json examples/adapters/assemblyscript/asconfig.json examples/adapters/assemblyscript/assembly
//go:embed examples/adapters/c/parrot.c
//go:embed testdata/transcripts/example/*.txtar
var Source embed.FS
