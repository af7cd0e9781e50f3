package memory

import (
	"bufio"
	"bytes"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Machine returns how many bytes of memory this process may have: the lowest limit of its
// cgroup and those above it, or else what the machine has. 0 means unknown.
func Machine() int64 { return machine(os.DirFS("/"), physical()) }

// machine reads Linux's files below root. physical is the memory of the machine.
func machine(root fs.FS, physical int64) int64 {
	least := physical
	for _, dir := range groups(root) {
		for _, name := range [...]string{"memory.max", "memory.limit_in_bytes"} {
			text, err := fs.ReadFile(root, path.Join(dir, name))
			if err != nil {
				continue
			}
			// "max", and in version 1 a number larger than any machine's memory, mean
			// that there is no limit.
			if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 && n < 1<<60 && (least == 0 || n < least) {
				least = n
			}
		}
	}
	return least
}

// groups returns the folders of this process's memory cgroup and of those above it, for
// both versions of cgroups.
func groups(root fs.FS) (dirs []string) {
	self, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	mounts, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return nil
	}
	for lines := bufio.NewScanner(bytes.NewReader(self)); lines.Scan(); {
		// A line is hierarchy:controllers:path. Version 2 has no controllers.
		parts := strings.SplitN(lines.Text(), ":", 3)
		if len(parts) != 3 {
			continue
		}
		v2 := parts[0] == "0" && parts[1] == ""
		if !v2 && !slices.Contains(strings.Split(parts[1], ","), "memory") {
			continue
		}
		top, at := mountOf(mounts, v2)
		if at == "" {
			continue
		}
		// In a container the path may be the one on the host. Then the container's own
		// group is mounted.
		below, ok := strings.CutPrefix(path.Clean(parts[2]), strings.TrimSuffix(top, "/"))
		if !ok || strings.HasPrefix(below, "/..") {
			below = ""
		}
		for dir := path.Join(at, below); ; dir = path.Dir(dir) {
			dirs = append(dirs, strings.TrimPrefix(dir, "/"))
			if len(dir) <= len(at) {
				break
			}
		}
	}
	return dirs
}

// mountOf returns the cgroup that is mounted, and where. Both are "" if none is.
func mountOf(mounts []byte, v2 bool) (top, at string) {
	for lines := bufio.NewScanner(bytes.NewReader(mounts)); lines.Scan(); {
		// A line is: id parent device root mountpoint options… - type source superoptions
		front, back, ok := strings.Cut(lines.Text(), " - ")
		left, right := strings.Fields(front), strings.Fields(back)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		if v2 && right[0] == "cgroup2" || !v2 && right[0] == "cgroup" && slices.Contains(strings.Split(right[2], ","), "memory") {
			return left[3], path.Clean(left[4])
		}
	}
	return "", ""
}
