package memory

import (
	"testing"
	"testing/fstest"
)

func TestMachine(t *testing.T) {
	const physical = 16 << 30
	v2 := "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
	v1 := "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n" +
		"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n" +
		"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:14 - cgroup cgroup rw,memory\n"
	for name, tc := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"no cgroups": {nil, physical},
		"a service's group": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/kai.service\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/system.slice/kai.service/memory.max": "536870912\n",
			"sys/fs/cgroup/system.slice/memory.max":             "max\n",
		}, 512 << 20},
		"the group above allows less": {map[string]string{
			"proc/self/cgroup": "0::/system.slice/kai.service\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/system.slice/kai.service/memory.max": "max\n",
			"sys/fs/cgroup/system.slice/memory.max":             "1073741824\n",
		}, 1 << 30},
		"a container with a namespace of its own": {map[string]string{
			"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/memory.max": "268435456\n",
		}, 256 << 20},
		"more than the machine has": {map[string]string{
			"proc/self/cgroup": "0::/a\n", "proc/self/mountinfo": v2,
			"sys/fs/cgroup/a/memory.max": "99999999999999\n",
		}, physical},
		"the first version": {map[string]string{
			"proc/self/cgroup": "5:cpu,cpuacct:/b\n4:memory:/a/b\n0::/\n", "proc/self/mountinfo": v1,
			"sys/fs/cgroup/memory/a/b/memory.limit_in_bytes": "9223372036854771712\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes":   "805306368\n",
			"sys/fs/cgroup/cpu/b/memory.limit_in_bytes":      "1\n",
		}, 768 << 20},
		"a container in the first version, which sees its own group only": {map[string]string{
			"proc/self/cgroup":                           "4:memory:/docker/0123\n",
			"proc/self/mountinfo":                        "35 31 0:32 /docker/0123 /sys/fs/cgroup/memory ro,relatime master:14 - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "134217728\n",
		}, 128 << 20},
		"files that are none": {map[string]string{
			"proc/self/cgroup": "nonsense\n0::/a\n", "proc/self/mountinfo": "nonsense - \n" + v2,
			"sys/fs/cgroup/a/memory.max": "many\n",
		}, physical},
	} {
		t.Run(name, func(t *testing.T) {
			root := fstest.MapFS{}
			for path, text := range tc.files {
				root[path] = &fstest.MapFile{Data: []byte(text)}
			}
			if got := machine(root, physical); got != tc.want {
				t.Errorf("machine = %d MiB, want %d MiB", got>>20, tc.want>>20)
			}
		})
	}
	if Machine() < 0 {
		t.Error("this machine has less than no memory")
	}
}

func TestHeapLimit(t *testing.T) {
	const mib = 1 << 20
	for name, tc := range map[string]struct{ limit, machine, mapped, want int64 }{
		"half of the machine is held at most": {256 * mib, 512 * mib, 0, 448 * mib},
		"guests are no part of the heap":      {256 * mib, 512 * mib, 200 * mib, 248 * mib},
		"little on a large machine":           {256 * mib, 64 << 30, 0, 448 * mib},
		"an unknown machine":                  {256 * mib, 0, 0, 448 * mib},
		"more than there is":                  {512 * mib, 512 * mib, 0, 576 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			if got := heapLimit(tc.limit, tc.machine, tc.mapped); got != tc.want {
				t.Errorf("heapLimit = %d MiB, want %d MiB", got>>20, tc.want>>20)
			}
		})
	}
}

func TestTheHeapsLimitFollowsTheGuests(t *testing.T) {
	var told []int64
	total := New(Options{Limit: 256 << 20, SetHeapLimit: func(n int64) { told = append(told, n>>20) }})
	g := total.Share("a", 256<<20).Guest()
	for range 100 {
		if err := g.Hold(1 << 20); err != nil {
			t.Fatal(err)
		}
	}
	last := told[len(told)-1]
	if len(told) < 10 || len(told) > 30 || last < 348 || last > 352 {
		t.Errorf("100 times 1 MiB of guests set the heap's limit to %v MiB", told)
	}
	g.Release()
	total.Set(512 << 20)
	if last := told[len(told)-1]; last != 896 {
		t.Errorf("the heap's limit is %d MiB after everything changed, want 896 MiB", last)
	}
}
