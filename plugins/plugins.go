// Package plugins has the adapters that come with the gateway.
//
// Each folder is an adapter, written as any author would write it. Its wasm folder makes a
// module of it. The compiled modules are in dist, and are embedded into the binary that
// imports this package.
package plugins

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Names lists the shipped adapters, sorted.
func Names() []string {
	return []string{"anthropic", "demo", "gemini", "ollama", "openai", "openrouter"}
}

// ErrUnknown is the error for a name that no shipped adapter has.
var ErrUnknown = errors.New("no adapter of that name is shipped")

// ErrNotBuilt is the error if the binary was built without the compiled adapters.
var ErrNotBuilt = errors.New("this binary was built without its adapters: run \"make build\"")

// Describe returns what the build knew of a shipped adapter, without decompressing its
// module: the SHA-256 digest of the module, and its manifest, JSON. ok is false if there is
// none, or if it doesn't say.
func Describe(name string) (digest [sha256.Size]byte, manifest []byte, ok bool) {
	packed, err := dist.ReadFile("dist/" + name + ".wasm.gz")
	if err != nil {
		return digest, nil, false
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil || len(r.Extra) <= len(digest) {
		return digest, nil, false
	}
	copy(digest[:], r.Extra)
	return digest, r.Extra[len(digest):], true
}

// Module returns the compiled module of a shipped adapter. It decompresses the module each
// time, so keep the result as long as you need it.
func Module(name string) ([]byte, error) {
	known := false
	for _, n := range Names() {
		known = known || n == name
	}
	if !known {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	packed, err := dist.ReadFile("dist/" + name + ".wasm.gz")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("adapter %s: %w", name, ErrNotBuilt)
	}
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("adapter %s: %w", name, err)
	}
	module, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("adapter %s: %w", name, err)
	}
	return module, nil
}
