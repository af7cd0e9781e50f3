//go:build wasip1

package sdk

import (
	"runtime"
	"unsafe"

	"github.com/kai-gateway/kai/sdk/abi"
)

//go:wasmimport kai_v1 emit
//go:noescape
func kaiEmit(kind, at int32, p unsafe.Pointer, n int32) int32

//go:wasmimport kai_v1 emit_all
//go:noescape
func kaiEmitAll(records unsafe.Pointer, n int32) int32

//go:wasmimport kai_v1 log
//go:noescape
func kaiLog(level int32, p unsafe.Pointer, n int32)

var (
	plugin *Plugin
	input  []byte // where the gateway writes a call's input; its address is a multiple of 8

	// An instance runs one call at a time, so one of each of these is enough.
	one         call
	theRequest  Request
	theResponse Response
	theEvent    Event

	trace [3 << 10]byte // where a panic came from
)

// Register makes p the adapter of this module. Call it once, in an init
// function: main never runs.
func Register(p *Plugin) { plugin = p }

func logLine(level Level, text string) {
	if len(text) > 0 {
		kaiLog(int32(level), unsafe.Pointer(unsafe.StringData(text)), int32(len(text)))
	}
}

//go:wasmexport kai_abi_v1
func exportHandshake() int32 { return abi.Minor }

//go:wasmexport kai_manifest
func exportManifest() int32 {
	if plugin == nil {
		logLine(LevelError, "no adapter was registered: call sdk.Register in an init function")
		return 2
	}
	one.out.emit(abi.Manifest, 0, plugin.Manifest.AppendJSON(nil))
	table.flush()
	return abi.StatusOK
}

//go:wasmexport kai_buffer
func exportBuffer(min int32) unsafe.Pointer {
	if int(min) > len(input) || input == nil {
		// So the old input can be collected first.
		input, theRequest, theResponse, theEvent, one.state = nil, Request{}, Response{}, Event{}, nil
		n := max(int(min), 16<<10)
		b := make([]byte, n+8)
		input = b[-uintptr(unsafe.Pointer(unsafe.SliceData(b)))&7:][:n]
	}
	return unsafe.Pointer(unsafe.SliceData(input))
}

//go:wasmexport kai_configure
func exportConfigure(n int32) int32 {
	return abi.StatusOK // a call gets its options with its request
}

// section returns n bytes of the input, from offset at.
func section(at, n int32) []byte { return input[at : at+n : at+n] }

//go:wasmexport kai_request
func exportRequest(op, flags, optionsLen, bodyLen int32) int32 {
	theRequest = Request{
		Op: abi.Op(op), Stream: flags&abi.FlagStream != 0,
		Options: section(0, optionsLen), Body: section(int32(abi.Align(int(optionsLen))), bodyLen),
	}
	one.request, one.response, one.event, one.state = &theRequest, nil, nil, nil
	return run()
}

//go:wasmexport kai_response
func exportResponse(op, status, stateLen, headLen, bodyLen int32) int32 {
	head := int32(abi.Align(int(stateLen)))
	body := head + int32(abi.Align(int(headLen)))
	theResponse = Response{
		Op: abi.Op(op), Status: int(status),
		Head: section(head, headLen), Body: section(body, bodyLen),
	}
	one.request, one.response, one.event, one.state = nil, &theResponse, nil, section(0, stateLen)
	return run()
}

//go:wasmexport kai_event
func exportEvent(op, flags, stateLen, nameLen, dataLen int32) int32 {
	name := int32(abi.Align(int(stateLen)))
	data := name + int32(abi.Align(int(nameLen)))
	// Field by field, because a literal would be copied, by a call of the engine.
	e := &theEvent
	e.Op, e.Name, e.Data = abi.Op(op), section(name, nameLen), section(data, dataLen)
	e.End, e.Done, e.more = flags&abi.FlagEnd != 0, flags&abi.FlagDone != 0, nil
	one.request, one.response, one.event, one.state = nil, nil, &theEvent, section(0, stateLen)
	return run()
}

//go:wasmexport kai_events
func exportEvents(op, stateLen, framesLen int32) int32 {
	e := &theEvent
	e.Op, e.Name, e.End, e.Done = abi.Op(op), nil, false, false
	e.more = section(int32(abi.Align(int(stateLen))), framesLen)
	e.takeNext()
	one.request, one.response, one.event, one.state = nil, nil, &theEvent, section(0, stateLen)
	return run()
}

// run runs the call described in one. After a panic, the status makes the gateway discard
// the instance, whose state is unknown.
func run() (status int32) {
	status = 2
	defer func() {
		if status != 2 {
			return // which spares nearly every call the work of recover
		}
		if v := recover(); v != nil {
			// runtime/debug would do the same, but link in fmt, which is a tenth of a module.
			n := runtime.Stack(trace[:], false)
			logLine(LevelError, "panic: "+panicText(v)+"\n"+string(trace[:n]))
		}
	}()
	err := plugin.run(&one)
	if err != nil {
		one.fail(err)
	}
	table.flush()
	if err != nil {
		return abi.StatusFailed
	}
	return abi.StatusOK
}

func panicText(v any) string {
	switch v := v.(type) {
	case error:
		return v.Error()
	case string:
		return v
	}
	return "a value that is neither an error nor a string"
}
