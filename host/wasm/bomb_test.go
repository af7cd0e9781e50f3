package wasm

import (
	"encoding/binary"
	"runtime"
	"slices"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/internal/testkit/race"
)

// bomb is a module that is made to be dear to compile: one function, or several
// alike, that take and give nothing. Function 0 is of type 1, which takes and
// gives values of type i64, and so are blocks of type 1.
type bomb struct {
	values    int    // parameters, and results, of type 1
	types     int    // types like type 1 besides
	globals   int    // mutable ones
	locals    int    // i64 locals of each function
	body      []byte // without its end
	functions int    // default 1
}

func (b bomb) module() []byte {
	section := func(out []byte, id byte, content []byte) []byte {
		return append(uvarint(append(out, id), len(content)), content...)
	}
	values := append(uvarint(nil, b.values), repeat(b.values, 0x7e)...)
	like := slices.Concat([]byte{0x60}, values, values)
	types := append(uvarint(nil, b.types+2), 0x60, 0, 0)
	types = append(append(types, like...), repeat(b.types, like...)...)

	functions := max(1, b.functions)
	funcs, code := append(uvarint(nil, functions+1), 1), uvarint(nil, functions+1)
	first := slices.Concat([]byte{0}, repeat(b.values, 0x42, 0), []byte{0x0b})
	code = append(uvarint(code, len(first)), first...)
	body := []byte{0}
	if b.locals > 0 {
		body = append(uvarint([]byte{1}, b.locals), 0x7e)
	}
	body = append(append(body, b.body...), 0x0b)
	for range functions {
		funcs = append(funcs, 0)
		code = append(uvarint(code, len(body)), body...)
	}
	globals := append(uvarint(nil, b.globals), repeat(b.globals, 0x7e, 1, 0x42, 0, 0x0b)...)

	out := []byte("\x00asm\x01\x00\x00\x00")
	out = section(out, 1, types)
	out = section(out, 3, funcs)
	out = section(out, 4, []byte{1, 0x70, 0, 1}) // a table
	out = section(out, 5, []byte{1, 0, 1})       // a memory
	out = section(out, 6, globals)
	out = section(out, 7, []byte{1, 6, 'm', 'e', 'm', 'o', 'r', 'y', 2, 0})
	return section(out, 10, code)
}

func uvarint(p []byte, n int) []byte { return binary.AppendUvarint(p, uint64(n)) }

func repeat(n int, code ...byte) []byte {
	out := make([]byte, 0, n*len(code))
	for range n {
		out = append(out, code...)
	}
	return out
}

// around puts n times before and after around code.
func around(n int, before, code, after []byte) []byte {
	return slices.Concat(repeat(n, before...), code, repeat(n, after...))
}

// locals writes to n locals something that isn't known, and reads them.
func locals(n int) (set, use []byte) {
	for i := range n {
		set = uvarint(append(set, 0x3f, 0, 0xad, 0x21), i)
		use = append(uvarint(append(use, 0x41, 0, 0x20), i), 0x37, 3, 0)
	}
	return set, use
}

// bombs are the dearest shapes of modules known, for any size n. Without limits
// each takes minutes or gigabytes within 16 MB, and most within one.
func bombs() map[string]func(n int) bomb {
	zero := []byte{0x41, 0}
	each := func(code ...byte) func(int) bomb {
		return func(n int) bomb { return bomb{locals: 1, body: repeat(n, code...)} }
	}
	through := func(count int, code ...byte) func(int) bomb {
		set, use := locals(count)
		return func(n int) bomb {
			return bomb{locals: count, body: slices.Concat(set, repeat(n, code...), use)}
		}
	}
	table := func(labels int) func(int) bomb {
		return func(n int) bomb {
			t := uvarint([]byte{0x41, 0, 0x0e}, n)
			for i := range n + 1 {
				t = append(t, byte(i%labels))
			}
			return bomb{body: around(labels-1, []byte{2, 0x40}, t, []byte{0x0b})}
		}
	}
	passing := func(values int, code ...byte) func(int) bomb {
		return func(n int) bomb {
			return bomb{values: values, body: slices.Concat(repeat(values, 0x42, 0), repeat(n, code...), repeat(values, 0x1a))}
		}
	}
	return map[string]func(n int) bomb{
		"blocks in blocks":   func(n int) bomb { return bomb{body: around(n, []byte{2, 0x40}, nil, []byte{0x0b})} },
		"loops in loops":     func(n int) bomb { return bomb{body: around(n, []byte{3, 0x40}, nil, []byte{0x0b})} },
		"ifs in ifs":         func(n int) bomb { return bomb{body: around(n, []byte{0x41, 0, 4, 0x40}, nil, []byte{0x0b})} },
		"ifs behind ifs":     each(0x41, 0, 4, 0x40, 0x0b),
		"ifs that return":    each(0x41, 0, 4, 0x40, 0x0f, 0x0b),
		"loops behind loops": each(3, 0x40, 0x3f, 0, 0x0d, 0, 0x0b),
		"ways out":           each(0x41, 0, 0x0d, 0),
		"ways back": func(n int) bomb {
			set, _ := locals(100)
			return bomb{locals: 100, body: slices.Concat(set, []byte{3, 0x40}, repeat(n, 0x20, 7, 0xa7, 0x0d, 0), []byte{0x0b})}
		},
		"a br_table to one label":        table(1),
		"a br_table to a hundred labels": table(100),
		"a thousand locals through ifs":  through(1000, 0x41, 0, 4, 0x40, 0x0b),
		"a thousand locals over branches": func(n int) bomb {
			set, use := locals(1000)
			var body []byte
			for i := range n { // each branch comes with another value of one of them
				body = append(uvarint(append(body, 0x3f, 0, 0xad, 0x21), i%1000), 0x41, 0, 0x0d, 0)
			}
			return bomb{locals: 1000, body: slices.Concat(set, []byte{2, 0x40}, body, []byte{0x0b}, use)}
		},
		"ten locals through loops":     through(10, 3, 0x40, 0x41, 0, 0x0d, 0, 0x0b),
		"locals through filled memory": through(300, 0x41, 0, 0x41, 0, 0x41, 9, 0xfc, 11, 0),
		"a deep expression": func(n int) bomb {
			return bomb{body: slices.Concat(repeat(n, 0x41, 0, 0x29, 3, 0), repeat(n-1, 0x7c), []byte{0x1a})}
		},
		"loads that depend on one another": func(n int) bomb {
			return bomb{body: slices.Concat(zero, repeat(n, 0x28, 2, 0), []byte{0x1a})}
		},
		"stores":                       each(0x41, 0, 0x42, 1, 0x37, 3, 0),
		"filled tables":                each(0x41, 0, 0xd0, 0x70, 0x41, 0, 0xfc, 17, 0),
		"reads of a table":             each(0x41, 0, 0x25, 0, 0x1a),
		"copied memory":                each(0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 10, 0, 0),
		"grown memory":                 each(0x41, 0, 0x40, 0, 0x1a),
		"sizes of memory":              each(0x3f, 0, 0x1a),
		"plain code":                   each(0x42, 1, 0x1a),
		"calls":                        each(0x10, 1),
		"indirect calls":               each(0x41, 0, 0x11, 0, 0),
		"calls with 128 values":        passing(128, 0x10, 0),
		"ways out with 128 values":     passing(128, 2, 1, 0x41, 0, 0x0d, 0, 0x0b),
		"loops with 128 values":        passing(128, 3, 1, 0x0b),
		"calls with a hundred globals": func(n int) bomb { return bomb{globals: 100, body: repeat(n, 0x10, 1)} },
		"types":                        func(n int) bomb { return bomb{values: 128, types: n} },
		"functions":                    func(n int) bomb { return bomb{locals: 80, functions: n} },
	}
}

// TestCompileBombs makes each bomb as large as the limits let it be, and compiles
// it. The limits are made for about two seconds and 500 MB; this machine may be
// slow or busy, so the test is about orders of magnitude.
func TestCompileBombs(t *testing.T) {
	if testing.Short() || race.Enabled {
		t.Skip("measures time and memory")
	}
	const most = 3 << 20 // of code for any of them
	for name, make := range bombs() {
		t.Run(name, func(t *testing.T) {
			var refused error
			accepted := func(n int) bool {
				_, err := fuel.Instrument(make(n).module(), fuel.Options{StartFuel: fuelStart})
				if err != nil {
					refused = err
				}
				return err == nil
			}
			n := sort.Search(most, func(n int) bool { return !accepted(n + 1) })
			if refused == nil || n == 0 {
				t.Fatalf("of %d nothing is refused", n)
			}
			if !strings.Contains(refused.Error(), "limit") && !strings.Contains(refused.Error(), "more than") {
				t.Errorf("the error names no limit: %v", refused)
			}
			module := make(n).module()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := processorTime(t)
			m, err := fuel.Instrument(module, fuel.Options{StartFuel: fuelStart})
			if err != nil {
				t.Fatal(err)
			}
			v, err := compileWith(m.Wasm, "")
			if err != nil {
				t.Fatal(err)
			}
			v.close()
			took := processorTime(t) - began
			runtime.ReadMemStats(&after)
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%d, %d bytes: %v, %d MiB allocated; beyond that %v", n, len(module), took.Round(time.Millisecond), allocated, refused)
			if took > 40*time.Second || allocated > 1<<10 {
				t.Errorf("%d bytes took %v and %d MiB to compile", len(module), took, allocated)
			}
		})
	}
}

// processorTime is what the process has taken of all processors, which what else
// the machine does has no part in.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
