package limit

import (
	"encoding/binary"
	"errors"
)

// Saved is a count in the form that outlives its process.
type Saved struct {
	Index, End, Now, Before, Debt int64
	Warned                        bool
}

// counter returns a counter that continues what was saved.
func (s Saved) counter() *counter {
	return &counter{index: s.Index, end: s.End, now: s.Now, before: s.Before, debt: s.Debt, warned: s.Warned}
}

// savedSize is the length of a Saved in binary: five numbers and a byte.
const savedSize = 5*8 + 1

// MarshalBinary never fails.
func (s Saved) MarshalBinary() ([]byte, error) {
	b := make([]byte, 0, savedSize)
	for _, n := range [...]int64{s.Index, s.End, s.Now, s.Before, s.Debt} {
		b = binary.LittleEndian.AppendUint64(b, uint64(n))
	}
	if s.Warned {
		return append(b, 1), nil
	}
	return append(b, 0), nil
}

// UnmarshalBinary reads what MarshalBinary has written, and refuses what can't be a count.
func (s *Saved) UnmarshalBinary(b []byte) error {
	if len(b) != savedSize {
		return errors.New("a count has another length than it should")
	}
	for i, n := range [...]*int64{&s.Index, &s.End, &s.Now, &s.Before, &s.Debt} {
		if *n = int64(binary.LittleEndian.Uint64(b[8*i:])); *n < 0 && i > 0 {
			return errors.New("a count is below zero")
		}
	}
	s.Warned = b[savedSize-1] != 0
	return nil
}
