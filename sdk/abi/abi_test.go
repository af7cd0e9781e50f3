package abi

import "testing"

func TestOperationsHaveNames(t *testing.T) {
	for op := Chat; op <= CompactResponses; op++ {
		if name := op.String(); name == "" || OpNamed(name) != op {
			t.Errorf("operation %d is named %q, which names %d", op, name, OpNamed(name))
		}
	}
	for _, op := range []Op{-1, 0, CompactResponses + 1} {
		if name := op.String(); name != "" {
			t.Errorf("operation %d is named %q", op, name)
		}
	}
	for _, name := range []string{"", "Chat", "poetry"} {
		if op := OpNamed(name); op != 0 {
			t.Errorf("%q names operation %d", name, op)
		}
	}
}
