package author

import "fmt"

// UsageError is an error of whoever typed the command line: what it names isn't there, or is
// not of the kind that is meant.
type UsageError struct{ text string }

func (e *UsageError) Error() string { return e.text }

// wrongUsage returns a *UsageError.
func wrongUsage(format string, args ...any) error {
	return &UsageError{fmt.Sprintf(format, args...)}
}
