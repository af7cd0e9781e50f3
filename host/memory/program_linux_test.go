package memory

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestUntouchedMappings(t *testing.T) {
	const rest = "Size: 4 kB\nRss: 4 kB\n"
	for name, tc := range map[string]struct {
		smaps string
		want  []span
	}{
		"text and constants": {
			"400000-401000 r-xp 00000000 fe:00 7    /bin/kai\n" + rest + "Anonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd ex\n" +
				"401000-403000 r--p 00001000 fe:00 7    /bin/kai\n" + rest + "Anonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd\n",
			[]span{{0x400000, 0x401000}, {0x401000, 0x403000}},
		},
		"what can be written stays":   {"400000-401000 rw-p 00000000 fe:00 7 /bin/kai\n" + rest + "Anonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd wr\n", nil},
		"what was written stays":      {"400000-401000 r--p 00000000 fe:00 7 /bin/kai\n" + rest + "Anonymous: 4 kB\nSwap: 0 kB\nVmFlags: rd\n", nil},
		"what is swapped out stays":   {"400000-401000 r--p 00000000 fe:00 7 /bin/kai\n" + rest + "Anonymous: 0 kB\nSwap: 4 kB\nVmFlags: rd\n", nil},
		"another file stays":          {"400000-401000 r-xp 00000000 fe:00 8 /lib/libc.so\n" + rest + "Anonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd ex\n", nil},
		"memory without a file":       {"400000-401000 r-xp 00000000 00:00 0\n" + rest + "Anonymous: 0 kB\nSwap: 0 kB\nVmFlags: rd ex\n", nil},
		"a path with spaces":          {"400000-401000 r-xp 00000000 fe:00 7 /my bin/kai (deleted)\nAnonymous: 0 kB\nVmFlags: rd\n", nil},
		"a mapping without its end":   {"400000-401000 r-xp 00000000 fe:00 7 /bin/kai\n" + rest + "Anonymous: 0 kB\n", nil},
		"a range that is no range":    {"401000-400000 r-xp 00000000 fe:00 7 /bin/kai\nAnonymous: 0 kB\nVmFlags: rd\n", nil},
		"something else altogether":   {"nothing\n\n-\n: :\n", nil},
		"counts of the one before":    {"400000-401000 r--p 0 fe:00 7 /bin/kai\nAnonymous: 4 kB\nVmFlags: rd\n401000-402000 r--p 0 fe:00 7 /bin/kai\nAnonymous: 0 kB\nVmFlags: rd\n", []span{{0x401000, 0x402000}}},
		"a file's name that is alike": {"400000-401000 r-xp 00000000 fe:00 7 /bin/kai-old\nAnonymous: 0 kB\nVmFlags: rd\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := untouched(strings.NewReader(tc.smaps), "/bin/kai"); !slices.Equal(got, tc.want) {
				t.Errorf("untouched = %x, want %x", got, tc.want)
			}
		})
	}
}

// TestGiveBack looks at the pages of files that this process has mapped: most are the test's
// own text and constants.
func TestGiveBack(t *testing.T) {
	touched := 0
	for _, m := range program(t) {
		touched += m
	}
	if touched < 1<<20 {
		t.Skipf("only %d bytes of the program are mapped", touched)
	}
	GiveBack()
	left := 0
	for _, m := range program(t) {
		left += m
	}
	if left > touched*2/3 {
		t.Errorf("%d of %d bytes of the program are still mapped", left, touched)
	}
}

// program returns the bytes that are in memory of each mapping of this program.
func program(t *testing.T) (sizes []int) {
	t.Helper()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Skip(err)
	}
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	mine := false
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if !strings.HasSuffix(fields[0], ":") {
			mine = strings.HasSuffix(strings.TrimSpace(line), exe)
		}
		if mine && fields[0] == "Rss:" {
			kib, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			sizes = append(sizes, kib<<10)
		}
	}
	return sizes
}
