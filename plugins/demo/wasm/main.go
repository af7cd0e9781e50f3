// Command wasm is the adapter as a module:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o demo.wasm ./plugins/demo/wasm
package main

import (
	"github.com/kai-gateway/kai/plugins/demo"
	"github.com/kai-gateway/kai/sdk"
)

func init() { sdk.Register(demo.Plugin()) }

func main() {}
