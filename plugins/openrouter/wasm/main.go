// Command wasm is the adapter as a module:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o openrouter.wasm ./plugins/openrouter/wasm
package main

import (
	"github.com/kai-gateway/kai/plugins/openrouter"
	"github.com/kai-gateway/kai/sdk"
)

func init() { sdk.Register(openrouter.Plugin()) }

func main() {}
