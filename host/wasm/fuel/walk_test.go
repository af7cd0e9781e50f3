package fuel

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/kai-gateway/kai/internal/testkit/race"
)

// TestEveryPathPays walks through random functions by random turns and checks
// the promise of price.go: what was executed stays within 128 times what was
// paid, and what can be open at any moment. And that the function asks often
// enough if its slice is spent, also on the way back from a deep recursion.
func TestEveryPathPays(t *testing.T) {
	if race.Enabled {
		t.Skip("one goroutine alone: make check runs it without the race detector")
	}
	const (
		aUnit = 2 * perUnit
		open  = 2*stride + weightRefFunc
	)
	var steps, dearest int
	for seed := range uint64(800) {
		rng := rand.New(rand.NewPCG(seed, 7))
		m := one()
		code := randomCode(rng, 1+rng.IntN(200))
		if seed%4 == 0 {
			code = slices.Concat(randomMachine(rng), code)
		}
		m.codes = entries(functionWith(raw(1, 3, typeI32), code...))
		p, err := parse(m.bytes(), Options{}.withDefaults())
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		stops := decode(t, p)
		for range 5 {
			w := newWalk(rng, stops, p.bodies[0].charges)
			for range 3000 {
				if !w.step() {
					if w.tail > tailFree {
						t.Fatalf("seed %d: executed %d behind a call without a test\n%x", seed, w.tail, m.codes[0])
					}
					break
				}
				steps++
				dearest = max(dearest, w.weight-aUnit*w.paid)
				if w.open > testStride+stride+weightRefFunc {
					t.Fatalf("seed %d: executed %d without a test\n%x", seed, w.open, m.codes[0])
				}
				if w.weight > aUnit*w.paid+open {
					t.Fatalf("seed %d: executed %d for %d units\n%x", seed, w.weight, w.paid, m.codes[0])
				}
			}
		}
	}
	t.Logf("%d steps, at most %d beyond what was paid", steps, dearest)
}

// randomCode makes about n instructions of well-formed blocks. Types on the stack
// make no difference here and are not right.
func randomCode(rng *rand.Rand, n int) (code []byte) {
	var stack []byte // opcodes of open blocks
	branches := rng.IntN(4) * 4
	for range n {
		label := byte(rng.IntN(len(stack) + 1))
		switch k := rng.IntN(100); {
		case k < 4+branches:
			switch rng.IntN(6) {
			case 0:
				code = append(code, opBr, label)
			case 1, 2, 3:
				code = append(code, opBrIf, label)
			case 4:
				code = append(code, opBrTable, 1, label, 0)
			case 5:
				code = append(code, opReturn)
			}
		case k < 30:
			op := []byte{opBlock, opLoop, opIf}[rng.IntN(3)]
			code = append(code, op, blockEmpty)
			stack = append(stack, op)
		case k < 45 && len(stack) > 0:
			code = append(code, opEnd)
			stack = stack[:len(stack)-1]
		case k < 50 && len(stack) > 0 && stack[len(stack)-1] == opIf:
			code = append(code, opElse)
			stack[len(stack)-1] = opElse
		case k < 60:
			code = append(code, 0x28, 2, 0)
		case k < 62:
			code = append(code, opRefFunc, 0)
		case k < 65:
			code = append(code, opCall, 0)
		default:
			code = append(code, slices.Repeat(raw(0x1a), 1+rng.IntN(200))...)
		}
	}
	return append(code, slices.Repeat(raw(opEnd), len(stack))...)
}

// stop is an instruction with what a walk needs to go on from it.
type stop struct {
	instruction
	labels   []uint32 // of a br_table
	orElse   int      // of an if: index of its else, or 0
	closedBy int      // of a block: index of its end
}

func decode(t *testing.T, p *parsed) (code []stop) {
	t.Helper()
	body := p.bodies[0].code
	r := reader{data: p.data, pos: body.body, end: body.end}
	var blocks []int
	for r.left() > 0 {
		var s stop
		s.instruction = r.next(func(l uint32) { s.labels = append(s.labels, l) })
		if i := slices.IndexFunc(p.edits, func(e edit) bool { return int(e.at) == s.instruction.at+1 }); i >= 0 && s.op == opBr {
			s.arg = p.edits[i].to
		}
		switch s.op {
		case opBlock, opLoop, opIf:
			blocks = append(blocks, len(code))
		case opElse:
			code[blocks[len(blocks)-1]].orElse = len(code)
		case opEnd:
			if len(blocks) > 0 {
				code[blocks[len(blocks)-1]].closedBy = len(code)
				blocks = blocks[:len(blocks)-1]
			}
		}
		code = append(code, s)
	}
	if r.err != nil {
		t.Fatal(r.err)
	}
	return code
}

// walk is one way through a function.
type walk struct {
	rng          *rand.Rand
	code         []stop
	charges      map[int]int  // price by offset
	tests        map[int]bool // where one is
	at           int
	blocks       []int // indexes of the open blocks
	weight, paid int
	open         int  // weight since the last test
	called       bool // and whether there was a call since then
	tail         int  // weight since that
}

func newWalk(rng *rand.Rand, code []stop, charges []charge) *walk {
	w := &walk{rng: rng, code: code, charges: map[int]int{}, tests: map[int]bool{}}
	for _, c := range charges {
		w.charges[int(c.at)] += int(c.price)
		w.tests[int(c.at)] = w.tests[int(c.at)] || c.kind != payOnly
	}
	return w
}

// step executes one instruction and reports whether the function goes on.
func (w *walk) step() bool {
	s := w.code[w.at]
	w.paid += w.charges[s.instruction.at]
	if w.tests[s.instruction.at] {
		w.open, w.called, w.tail = 0, false, 0
	}
	n := int(weight(s.instruction))
	w.weight += n
	w.open += n
	if w.called {
		w.tail += n
	}
	w.at++
	switch s.op {
	case opBlock, opLoop:
		w.blocks = append(w.blocks, w.at-1)
	case opIf:
		switch {
		case w.rng.IntN(2) == 0:
			w.blocks = append(w.blocks, w.at-1)
		case s.orElse > 0:
			w.blocks = append(w.blocks, w.at-1)
			w.at = s.orElse + 1
		default:
			w.at = s.closedBy + 1
		}
	case opElse: // reached from the first arm only
		return w.branch(0)
	case opEnd:
		if len(w.blocks) == 0 {
			return false
		}
		w.blocks = w.blocks[:len(w.blocks)-1]
	case opBr:
		return w.branch(s.arg)
	case opBrIf:
		if w.rng.IntN(2) == 0 {
			return w.branch(s.arg)
		}
	case opBrTable:
		return w.branch(s.labels[w.rng.IntN(len(s.labels))])
	case opCall:
		w.called, w.tail = true, 0
	case opReturn:
		return false
	}
	return true
}

func (w *walk) branch(label uint32) bool {
	to := len(w.blocks) - 1 - int(label)
	if to < 0 {
		return false
	}
	block := w.blocks[to]
	if w.code[block].op == opLoop {
		w.blocks, w.at = w.blocks[:to+1], block+1
	} else {
		w.blocks, w.at = w.blocks[:to], w.code[block].closedBy+1
	}
	return true
}
