package modfile

import (
	"errors"
	"fmt"
	"strings"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/sdk/abi"
)

// functions are the exports of an adapter's module, with the number of their
// parameters. All parameters and results are i32, and each returns one.
var functions = []struct {
	name     string
	params   int
	optional bool
}{
	{abi.ExportHandshake, 0, false},
	{abi.ExportManifest, 0, false},
	{abi.ExportBuffer, 1, false},
	{abi.ExportConfigure, 1, false},
	{abi.ExportRequest, 4, false},
	{abi.ExportResponse, 5, false},
	{abi.ExportEvent, 5, false},
	{abi.ExportEvents, 3, true},
}

// imports are the functions that an adapter's module may import from the gateway.
var imports = map[string]struct{ params, results int }{
	abi.ImportEmit:    {4, 1},
	abi.ImportEmitAll: {2, 1},
	abi.ImportLog:     {3, 0},
}

// CheckABI returns every reason why m isn't an adapter: exports that it lacks, and imports
// that don't exist, each by its name. It returns nil for an adapter.
func CheckABI(m *fuel.Module) error {
	var problems []error
	fail := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }

	exported := map[string]fuel.Export{}
	for _, e := range m.Exports {
		exported[e.Name] = e
	}
	if _, ok := exported[abi.ExportHandshake]; !ok {
		for name := range exported {
			if version, ok := strings.CutPrefix(name, "kai_abi_"); ok {
				return fmt.Errorf("it speaks ABI %s, and this Kai speaks v1: build it with the SDK of this Kai, or take a Kai that speaks %s", version, version)
			}
		}
		return fmt.Errorf("it exports no %s: was it built with an SDK for Kai adapters?", abi.ExportHandshake)
	}
	for _, f := range functions {
		e, ok := exported[f.name]
		switch {
		case !ok && f.optional:
		case !ok:
			fail("it exports no %s", f.name)
		case e.Kind != fuel.Function || !allI32(e.Type, f.params, 1):
			fail("its export %s must be a function of %d i32 that returns one i32", f.name, f.params)
		}
	}
	if e, ok := exported[abi.Memory]; !ok || e.Kind != fuel.Memory {
		fail("it exports no memory called %q", abi.Memory)
	}
	if _, ok := exported["_start"]; ok {
		fail("it exports _start, so it is a program: build it as a library (a reactor)")
	}
	for _, i := range m.Imports {
		if err := checkImport(i); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(problems...)
}

func checkImport(i fuel.Import) error {
	name := i.Module + "." + i.Name
	if i.Kind != fuel.Function {
		return fmt.Errorf("it imports %s, which is no function", name)
	}
	switch i.Module {
	case abi.Module:
		f, ok := imports[i.Name]
		if !ok {
			return fmt.Errorf("it imports %s, which Kai does not have (it has emit, emit_all and log)", name)
		}
		if !allI32(i.Type, f.params, f.results) {
			return fmt.Errorf("it imports %s with other parameters than Kai's", name)
		}
		return nil
	case WASIModule:
		if _, ok := WASI[i.Name]; ok {
			return nil
		}
		if strings.HasPrefix(i.Name, "sock_") {
			return fmt.Errorf("it imports %s: an adapter has no sockets; it describes a request and Kai sends it", name)
		}
	}
	return fmt.Errorf("it imports %s, which Kai does not have", name)
}

// allI32 reports whether t has so many parameters and results, all of them i32.
func allI32(t fuel.FuncType, params, results int) bool {
	if len(t.Params) != params || len(t.Results) != results {
		return false
	}
	const i32 = 0x7f
	for _, values := range [][]byte{t.Params, t.Results} {
		for _, v := range values {
			if v != i32 {
				return false
			}
		}
	}
	return true
}
