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
	OutOfFuel                      // it did too much
	OutOfTime                      // it needed too much of a processor
	OutOfMemory                    // it had no memory for its input
	BadOutput                      // it emitted what the ABI doesn't allow
	TooLarge                       // the input is over the limit; the guest was not called
)

var failureNames = [...]string{"trapped", "ran out of fuel", "ran out of time", "ran out of memory", "broke the ABI", "was given too much"}

func (k FailureKind) String() string { return failureNames[k] }

// CallError is a call that broke, as opposed to one that emitted ERROR. It is
// for the log: nothing of it may reach a client.
type CallError struct {
	Kind   FailureKind
	Large  bool // the input was so large that it may be to blame, and not the adapter
	Err    error
	Stderr string // the end of what the guest wrote to its standard error; may hold prompts
}

// Error leaves out the engine's stack trace, which has numbers where modules have
// no names: nobody can make anything of it.
func (e *CallError) Error() string {
	text, _, _ := strings.Cut(e.Err.Error(), "\nwasm stack trace:")
	return fmt.Sprintf("adapter %s: %s", e.Kind, text)
}
func (e *CallError) Unwrap() error { return e.Err }

// PausedError is a call that was not made, because the adapter broke on different
// inputs in a row.
type PausedError struct{ Left time.Duration }

func (e *PausedError) Error() string {
	return fmt.Sprintf("the adapter is paused for another %v", e.Left.Round(time.Millisecond))
}

var (
	errBusy   = errors.New("every processor is busy with other calls")
	errClosed = errors.New("the engine is closed")

	// ErrNotReady is returned by calls of an adapter that is still being compiled
	// after they have waited.
	ErrNotReady = errors.New("the adapter is still being compiled")
	// ErrBusy is returned by calls that waited in vain for a processor.
	ErrBusy = errBusy
	// ErrNoMemory is returned by calls that needed a new instance, with the
	// *memory.Error that says why there is no memory for one.
	ErrNoMemory = errors.New("no memory for another instance")
)
