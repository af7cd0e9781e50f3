package wasm

import (
	"encoding/binary"
	"runtime"
	"testing"
	"time"

	"github.com/kai-gateway/kai/host/wasm/fuel"
)

// bomb builds a module by hand that is small and dear to compile: what matters
// is in its types and in bodies, one of which is repeated for many functions.
type bomb struct {
	params, results int    // of type 1, which calls within body can use
	locals          int    // i64 locals of each function
	body            []byte // without its end
	functions       int
}

func (b bomb) module() []byte {
	u := func(p []byte, n int) []byte { return binary.AppendUvarint(p, uint64(n)) }
	section := func(out []byte, id byte, content []byte) []byte {
		return append(u(append(out, id), len(content)), content...)
	}
	types := []byte{2, 0x60, 0, 0, 0x60}
	types = u(types, b.params)
	for range b.params {
		types = append(types, 0x7e)
	}
	types = u(types, b.results)
	for range b.results {
		types = append(types, 0x7e)
	}
	// Function 0 has type 1 and gives its results as constants.
	funcs, code := u(nil, b.functions+1), u(nil, b.functions+1)
	funcs = append(funcs, 1)
	first := []byte{0}
	for range b.results {
		first = append(first, 0x42, 0)
	}
	first = append(first, 0x0b)
	code = append(u(code, len(first)), first...)
	body := []byte{0}
	if b.locals > 0 {
		body = append(u([]byte{1}, b.locals), 0x7e)
	}
	body = append(append(body, b.body...), 0x0b)
	for range b.functions {
		funcs = append(funcs, 0)
		code = append(u(code, len(body)), body...)
	}
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = section(out, 1, types)
	out = section(out, 3, funcs)
	out = section(out, 4, []byte{1, 0x70, 0, 1}) // a table
	out = section(out, 5, []byte{1, 0, 1})       // a memory
	out = section(out, 7, []byte{1, 6, 'm', 'e', 'm', 'o', 'r', 'y', 2, 0})
	return section(out, 10, code)
}

func repeat(n int, code ...byte) []byte {
	out := make([]byte, 0, n*len(code))
	for range n {
		out = append(out, code...)
	}
	return out
}

// bombs are the dearest modules known that pass the limits of package fuel, at a
// size at which they compile in less than a second. Three times as many table
// entries, or twice as many locals and loops, took thirty to forty times as long.
func bombs() map[string]bomb {
	nested := append(repeat(5_000, 0x02, 0x40), repeat(5_000, 0x0b)...)
	table := append([]byte{0x41, 0, 0x0e}, binary.AppendUvarint(nil, 20_000)...)
	table = append(append(repeat(2, 0x02, 0x40), append(table, repeat(20_001, 1)...)...), repeat(2, 0x0b)...)
	values := append(repeat(900, 0x42, 0), 0x10, 0)
	return map[string]bomb{
		"blocks in blocks":              {body: nested, functions: 1},
		"a br_table of 20,000":          {body: table, functions: 1},
		"calls with 900 of everything":  {params: 900, results: 900, body: append(append(values, repeat(200, 0x10, 0)...), repeat(900, 0x1a)...), functions: 1},
		"50,000 locals":                 {locals: 49_000, functions: 20},
		"locals that live through loop": {locals: 1000, body: liveLocals(1000, 30), functions: 1},
		"a deep expression":             {body: append(append(repeat(50_000, 0x42, 1), repeat(49_999, 0x7c)...), 0x1a), functions: 1},
		"plain code":                    {body: repeat(2_000, 0x42, 1, 0x1a), functions: 100},
	}
}

// liveLocals writes n locals, and after loops inside one another reads them.
func liveLocals(n, loops int) []byte {
	var out []byte
	each := func(code byte) {
		for i := range n {
			if code == 0x21 {
				out = append(out, 0x42, 1)
			}
			out = binary.AppendUvarint(append(out, code), uint64(i))
			if code == 0x20 {
				out = append(out, 0x1a)
			}
		}
	}
	each(0x21)
	for range loops {
		out = append(out, 0x03, 0x40)
		out = append(out, 0x20, 0, 0x42, 1, 0x7c, 0x21, 0)
	}
	for range loops {
		each(0x20)
		out = append(out, 0x0b)
	}
	return out
}

// TestCompileBombs says what the dearest modules cost to compile, with a bound
// that only a change of kind would reach.
func TestCompileBombs(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("measures time and memory")
	}
	for name, b := range bombs() {
		t.Run(name, func(t *testing.T) {
			module := b.module()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			begin := time.Now()
			m, err := fuel.Instrument(module, fuel.Options{StartFuel: fuelStart})
			if err != nil {
				t.Fatal(err)
			}
			v, err := compileWith(m.Wasm, "")
			if err != nil {
				t.Fatal(err)
			}
			v.close()
			took := time.Since(begin)
			runtime.ReadMemStats(&after)
			t.Logf("%d bytes: %v, %d MiB allocated", len(module), took.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>20)
			if took > time.Minute {
				t.Errorf("%v to compile %d bytes", took, len(module))
			}
		})
	}
}
