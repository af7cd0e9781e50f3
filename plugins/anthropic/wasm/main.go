// Command wasm is the adapter as a module:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o anthropic.wasm ./plugins/anthropic/wasm
package main

import (
	"github.com/kai-gateway/kai/plugins/anthropic"
	"github.com/kai-gateway/kai/sdk"
)

func init() { sdk.Register(anthropic.Plugin()) }

func main() {}
