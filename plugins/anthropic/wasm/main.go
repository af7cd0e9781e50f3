// Command wasm is the adapter as a module of its own. Build it with
// GOOS=wasip1 GOARCH=wasm and -buildmode=c-shared.
package main

import (
	"github.com/kai-gateway/kai/plugins/anthropic"
	"github.com/kai-gateway/kai/sdk"
)

func init() { sdk.Register(anthropic.Plugin()) }

func main() {}
