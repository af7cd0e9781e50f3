package memory

import (
	"bufio"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// unmapProgram unmaps the pages of the program's file. The kernel keeps them as long as it has
// room, and maps them again when they are used (madvise(2), MADV_DONTNEED).
func unmapProgram() {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer f.Close()
	for _, m := range untouched(f, exe) {
		// An error leaves the pages where they are.
		_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, m.from, m.to-m.from, syscall.MADV_DONTNEED)
	}
}

// span is a range of addresses.
type span struct{ from, to uintptr }

// untouched returns the mappings of a file that are as the file is, in the text of
// /proc/self/smaps: none of their pages can be written, and none was, as those of a
// position-independent program are when it is loaded. So nothing is lost with their pages.
func untouched(smaps io.Reader, file string) (list []span) {
	var m span
	candidate := false
	for lines := bufio.NewScanner(smaps); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		switch {
		case len(fields) == 0:
		case !strings.HasSuffix(fields[0], ":"): // the next mapping: its range, permissions, offset, device, inode and path
			m, candidate = span{}, false
			from, to, ok := strings.Cut(fields[0], "-")
			if !ok || len(fields) < 6 || strings.Contains(fields[1], "w") || strings.Join(fields[5:], " ") != file {
				continue
			}
			low, err := strconv.ParseUint(from, 16, strconv.IntSize)
			high, err2 := strconv.ParseUint(to, 16, strconv.IntSize)
			if err != nil || err2 != nil || high <= low {
				continue
			}
			m, candidate = span{uintptr(low), uintptr(high)}, true
		case !candidate || len(fields) < 2:
		case (fields[0] == "Anonymous:" || fields[0] == "Swap:") && fields[1] != "0":
			candidate = false
		case fields[0] == "VmFlags:": // the last line of a mapping
			list, candidate = append(list, m), false
		}
	}
	return list
}
