package sdk

import (
	"errors"
	"reflect"
	"strconv"

	"github.com/kai-gateway/kai/sdk/abi"
)

// checkState returns an error if an S cannot be copied as bytes between two instances.
func checkState[S any]() error {
	t := reflect.TypeFor[S]()
	if t.Size() > abi.MaxState {
		return errors.New("the state " + t.String() + " has " + strconv.Itoa(int(t.Size())) +
			" bytes; at most " + strconv.Itoa(abi.MaxState) + " are kept")
	}
	return checkFlat(t, t.String())
}

func checkFlat(t reflect.Type, path string) error {
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64,
		reflect.Float32, reflect.Float64:
		return nil
	case reflect.Array:
		return checkFlat(t.Elem(), path+"[]")
	case reflect.Struct:
		for i := range t.NumField() {
			f := t.Field(i)
			if err := checkFlat(f.Type, path+"."+f.Name); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("the state's " + path + " is a " + t.Kind().String() +
		"; only sized numbers, bools, arrays and structs of them can be kept (or use []byte)")
}

// same reports whether two states are equal. It compares 32 bytes at a time. In the sandbox,
// where it runs for every event, that takes a third of the time of Go's own comparison.
func same(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for ; len(a) >= 32 && len(b) >= 32; a, b = a[32:], b[32:] {
		if (word(a)^word(b))|(word(a[8:])^word(b[8:]))|(word(a[16:])^word(b[16:]))|(word(a[24:])^word(b[24:])) != 0 {
			return false
		}
	}
	for ; len(a) >= 8 && len(b) >= 8; a, b = a[8:], b[8:] {
		if word(a) != word(b) {
			return false
		}
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// isZero reports whether a state has nothing in it, 32 bytes at a time as same does.
func isZero(b []byte) bool {
	for ; len(b) >= 32; b = b[32:] {
		if word(b)|word(b[8:])|word(b[16:])|word(b[24:]) != 0 {
			return false
		}
	}
	for ; len(b) >= 8; b = b[8:] {
		if word(b) != 0 {
			return false
		}
	}
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// word reads eight bytes. The compiler makes one load of it.
func word(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}
