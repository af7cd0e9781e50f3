package wasm

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// FailureKind says in which way a call of a guest failed.
type FailureKind uint8

const (
	Trap        FailureKind = iota // the guest trapped, called exit or asked to be discarded
	OutOfFuel                      // it executed more than a call may
	OutOfTime                      // it used a processor for too long
	OutOfMemory                    // it had no memory for its input, or trapped after limits.memory had stopped its memory from growing
	BadOutput                      // it emitted something that the ABI doesn't allow
	TooLarge                       // the input is over the limit, and the guest was not called
)

var failureNames = [...]string{"trapped", "ran out of fuel", "ran out of time", "ran out of memory", "broke the ABI", "was given too much"}

func (k FailureKind) String() string { return failureNames[k] }

// CallError says how a call broke. A call that emitted ERROR did not break. The error
// is for the log: nothing of it may reach a client.
type CallError struct {
	Kind   FailureKind
	Large  bool // the input was so large that it may be to blame, and not the adapter
	Err    error
	Stderr string // the end of what the guest wrote to its standard error; may contain prompts
}

// Error leaves out the engine's stack trace, which helps nobody: it has numbers
// instead of the names of functions where a module has no names.
func (e *CallError) Error() string {
	text, _, _ := strings.Cut(e.Err.Error(), "\nwasm stack trace:")
	return fmt.Sprintf("adapter %s: %s", e.Kind, text)
}
func (e *CallError) Unwrap() error { return e.Err }

// PausedError says that a call was not made, because the adapter is paused: it broke
// on several different inputs in a row. Left is the rest of the pause.
type PausedError struct{ Left time.Duration }

func (e *PausedError) Error() string {
	return fmt.Sprintf("the adapter is paused for another %v", e.Left.Round(time.Millisecond))
}

var (
	errBusy   = errors.New("every processor is busy with other calls")
	errClosed = errors.New("the engine is closed")

	// ErrNotReady is returned by Wait if the adapter is still being compiled when the
	// time to wait is over.
	ErrNotReady = errors.New("the adapter is still being compiled")
	// ErrBusy is returned by calls that waited too long for a slot.
	ErrBusy = errBusy
	// ErrNoMemory is returned by calls that needed a new instance. It is wrapped
	// together with the *memory.Error that says why there is no memory for one.
	ErrNoMemory = errors.New("no memory for another instance")
)
