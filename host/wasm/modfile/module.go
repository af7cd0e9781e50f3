package modfile

import "crypto/sha256"

// Module is the module of an adapter. What a configuration has to know of it is known
// before its bytes are read, which are some megabytes.
type Module struct {
	Digest   [sha256.Size]byte
	Manifest Manifest // if Found
	Found    bool     // the manifest can be read without running the module
	Read     func() ([]byte, error)
}

// ModuleOf returns the Module of bytes that are in memory. A manifest that is wrong counts
// as none: loading the module says what is wrong.
func ModuleOf(b []byte) Module {
	m, found, err := ReadManifest(b)
	return Module{Digest: sha256.Sum256(b), Manifest: m, Found: found && err == nil, Read: func() ([]byte, error) { return b, nil }}
}
