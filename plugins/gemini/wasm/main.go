// Command wasm is the adapter as a module:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o gemini.wasm ./plugins/gemini/wasm
package main

import (
	"github.com/kai-gateway/kai/plugins/gemini"
	"github.com/kai-gateway/kai/sdk"
)

func init() { sdk.Register(gemini.Plugin()) }

func main() {}
