package messages

import (
	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/fault"
)

// What the tests of answers, in a package of their own, need of this one.

func NewWhole(names map[string]string, ids func(string) bool, i dialect.Info) dialect.Answer {
	return newWhole(requestInfo{names: names, ids: ids}, i)
}

func NewStream(names map[string]string, ids func(string) bool, i dialect.Info) dialect.Stream {
	return newStream(requestInfo{names: names, ids: ids}, i)
}

func Translate(e *fault.Error) *fault.Error { return translate(e) }

var NewCount = newCount
