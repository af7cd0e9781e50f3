package facts

// Few is a list that holds its first element itself. Most answers have only one of what
// they may have many of, and need no further memory for it. The zero value is empty.
type Few[T any] struct {
	n     int
	first T
	more  []T
}

// Len returns how many elements there are.
func (f *Few[T]) Len() int { return f.n }

// At returns element i, counted from 0, which must exist. It is valid until the next call
// of Add.
func (f *Few[T]) At(i int) *T {
	if i == 0 {
		return &f.first
	}
	return &f.more[i-1]
}

// Add appends a zero element, and returns it for the caller to fill in.
func (f *Few[T]) Add() *T {
	f.n++
	if f.n == 1 {
		return &f.first
	}
	var zero T
	f.more = append(f.more, zero)
	return &f.more[f.n-2]
}
