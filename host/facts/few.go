package facts

// Few is a list whose first element is a part of it. Most answers have one of what they may
// have many of, and so need no memory of its own for it. The zero value is empty.
type Few[T any] struct {
	n     int
	first T
	more  []T
}

// Len returns how many elements there are.
func (f *Few[T]) Len() int { return f.n }

// At returns the ith element, from 0, of those that there are. It is valid until the next
// call of Add.
func (f *Few[T]) At(i int) *T {
	if i == 0 {
		return &f.first
	}
	return &f.more[i-1]
}

// Add appends a zero element, and returns it for the rest to be filled in.
func (f *Few[T]) Add() *T {
	f.n++
	if f.n == 1 {
		return &f.first
	}
	var zero T
	f.more = append(f.more, zero)
	return &f.more[f.n-2]
}
