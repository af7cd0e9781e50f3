package memory

import "syscall"

// physical returns how many bytes of memory the machine has; 0: unknown.
func physical() int64 {
	var info syscall.Sysinfo_t
	if syscall.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
