package sdk

import (
	"errors"
	"reflect"
	"strconv"

	"github.com/kai-gateway/kai/sdk/abi"
)

// checkState reports why an S cannot be copied as bytes between two instances.
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
