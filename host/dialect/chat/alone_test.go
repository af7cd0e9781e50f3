package chat

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/kai-gateway/kai/host/dialect"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/sdk/abi"
)

// checkWays makes each form of an answer twice: of the calls as they are, in which a text is
// mostly alone, and of the same with an emission that says nothing beside it. Whatever is
// done for a text that is alone, both must be the same, and so must what is counted of a
// whole answer. Of a stream nothing more is counted.
func checkWays(in calls) error {
	for name, begin := range map[string]func(Info) dialect.Answer{
		"chunks": func(i Info) dialect.Answer { return NewChunks(i) },
		"whole":  func(i Info) dialect.Answer { return NewWhole(i) },
	} {
		for _, limit := range []int{0, 12} {
			if name == "chunks" && limit > 0 {
				continue // a text that is shown at once is not held
			}
			grants := [2]memory.Grant{memory.New(memory.Options{Limit: 64 << 20}).Grant(), memory.New(memory.Options{Limit: 64 << 20}).Grant()}
			var answers [2]dialect.Answer
			for i := range answers {
				info := testInfo
				info.IncludeUsage, info.Memory, info.MaxHeld = len(in)%3 > 0, &grants[i], limit
				answers[i] = begin(info)
			}
			if err := compareWays(in, answers, &grants, name == "whole"); err != nil {
				return fmt.Errorf("%s with a limit of %d: %w", name, limit, err)
			}
		}
	}
	return nil
}

func compareWays(in calls, answers [2]dialect.Answer, grants *[2]memory.Grant, whole bool) error {
	nothing, state := on(abi.Wait, 0, ""), on(abi.State, 0, "12345678")
	var out [2][]byte
	var errs [2]error
	compare := func(n int) error {
		for i, b := range out {
			out[i] = minted.ReplaceAll(b, []byte(`"MINTED"`))
		}
		if string(out[0]) != string(out[1]) || fmt.Sprint(errs[0]) != fmt.Sprint(errs[1]) {
			return fmt.Errorf("call %d: alone %q, %v; beside another %q, %v", n, out[0], errs[0], out[1], errs[1])
		}
		if answers[0].Usage() != answers[1].Usage() || answers[0].Complete() != answers[1].Complete() {
			return fmt.Errorf("call %d: alone %+v, %t; beside another %+v, %t", n, answers[0].Usage(), answers[0].Complete(), answers[1].Usage(), answers[1].Complete())
		}
		if alone, beside := grants[0].Used(), grants[1].Used(); alone > beside || whole && alone != beside {
			return fmt.Errorf("call %d: %d bytes are counted alone, and %d beside another", n, alone, beside)
		}
		return nil
	}
	for n, ems := range in {
		if n%2 == 0 && !whole {
			ems = append(slices.Clone(ems), state)
		}
		out[0], errs[0] = answers[0].Apply(out[0][:0], ems)
		out[1], errs[1] = answers[1].Apply(out[1][:0], append(slices.Clone(ems), nothing))
		if err := compare(n); err != nil || errs[0] != nil {
			return err
		}
	}
	for i := range answers {
		out[i], errs[i] = answers[i].End(out[i][:0])
	}
	return compare(len(in))
}

func TestWhatIsAloneInItsCallIsShownAsBesideOthers(t *testing.T) {
	for seed := range uint64(3000) {
		in := randomCalls(rand.New(rand.NewPCG(seed, 2)))
		if err := checkWays(in); err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, printed(in))
		}
	}
}

func TestLongTextsAndLateOnesAloneAreShownAsBesideOthers(t *testing.T) {
	long := strings.Repeat(`"quoted"`, 4<<10)
	begun := emit(text(0, "a"), reasoning(0, "b"), text(1, "c"), toolName(1, 7, "f"), toolArgs(1, 7, "{"), toolName(1, 8, "g"))
	for name, in := range map[string]calls{
		"long":                          {begun, emit(text(0, long)), emit(reasoning(1, long)), emit(refusal(0, long)), emit(toolArgs(1, 7, long)), emit(text(0, "d"))},
		"of a choice that is not open":  {begun, emit(text(2, "d")), emit(toolArgs(3, 0, "{}")), emit(text(abi.MaxChoices, "e"))},
		"of a call without a name":      {begun, emit(toolArgs(0, 1, "{")), emit(toolArgs(0, 1, "}")), emit(toolName(0, 1, "h")), emit(toolArgs(0, 1, " "))},
		"blank, and then not":           {begun, emit(toolArgs(1, 7, "}")), emit(toolArgs(1, 8, " ")), emit(toolArgs(1, 8, "\n")), emit(toolArgs(1, 8, "[]")), emit(finish(0, "stop"), finish(1, "stop"))},
		"behind a FINISH":               {begun, emit(finish(0, "length")), emit(text(0, "d")), emit(reasoning(0, "e")), emit(finish(0, "stop")), emit(finish(1, "stop")), emit(text(0, "f"))},
		"behind the usage":              {begun, emit(finish(0, "stop"), finish(1, "stop")), emit(usageOf(`{"prompt_tokens":1}`)), emit(text(1, "d"))},
		"beside extras that wait":       {begun, emit(choiceExtra(0, `{"x":1}`)), emit(reasoning(0, "d")), emit(chunkExtra(`{"y":2}`)), emit(toolArgs(1, 7, "e")), emit(text(1, "f"))},
		"behind half a character":       {begun, emit(raw(reasoning(0, `\ud83d`))), emit(reasoning(0, "d")), emit(raw(reasoning(0, `\ud83d`))), emit(raw(reasoning(0, `\ude00`))), emit(raw(toolArgs(1, 7, `\ud83d`))), emit(toolArgs(1, 7, "e"))},
		"with escapes at its ends":      {begun, emit(raw(text(0, `a\u00e9`))), emit(raw(text(0, `\u00e9a`))), emit(raw(text(1, `\n12345`)))},
		"first":                         {emit(text(1, "d")), emit(text(1, "e")), emit(refusal(0, "f")), emit(refusal(0, "g"))},
		"of the second of three":        {emit(text(9, "d")), emit(text(4, "e")), emit(text(0, "f")), emit(text(4, "g")), emit(text(9, "h")), emit(finish(0, "stop"), finish(4, "stop"), finish(9, "stop"))},
		"empty":                         {begun, emit(text(0, "")), emit(toolArgs(1, 7, "")), emit(reasoning(1, ""))},
		"of a choice without any event": {emit(choiceExtra(0, `{"x":1}`)), emit(text(0, "d")), emit(text(0, "e"))},
	} {
		if err := checkWays(in); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
