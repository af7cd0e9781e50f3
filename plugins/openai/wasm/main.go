// Command wasm is the adapter as a module:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o openai.wasm ./plugins/openai/wasm
package main

import (
	"github.com/kai-gateway/kai/plugins/openai"
	"github.com/kai-gateway/kai/sdk"
)

func init() { sdk.Register(openai.Plugin()) }

func main() {}
