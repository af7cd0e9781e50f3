package wasm

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// entryFiles are what wazero keeps in the entries of a cache.
const entryFiles = entryFolders + "/wazero-*/*"

func TestTheCacheIsTrimmed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b]*") // a folder may be called so
	now := time.Now()
	write := func(name string, age time.Duration) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 6 {
		write(fmt.Sprintf("module-%d/wazero-v1/m", i), time.Duration(i)*time.Hour)
	}
	write("module-4/checksum", time.Minute) // used lately, though written long ago
	write("prepared-1-a", 3*time.Hour)
	write("prepared-1-b", time.Minute)
	write("notes/mine", 10000*time.Hour)
	c := newCodeCache(dir, slog.New(slog.DiscardHandler))
	left := func() (names []string) {
		names, err := fs.Glob(os.DirFS(dir), "*")
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	c.trim(1<<20, 150*time.Minute, now)
	if got, want := left(), []string{"module-0", "module-1", "module-2", "module-4", "notes", "prepared-1-b"}; !slices.Equal(got, want) {
		t.Errorf("left by age are %v, want %v", got, want)
	}
	c.trim(450, time.Hour*1000, now)
	if got, want := left(), []string{"module-0", "module-4", "notes", "prepared-1-b"}; !slices.Equal(got, want) {
		t.Errorf("left by size are %v, want %v: what was used lately, and what is not the cache's", got, want)
	}
	var log bytes.Buffer
	newCodeCache(filepath.Join(dir, "none"), slog.New(slog.NewTextHandler(&log, nil))).trim(0, 0, now)
	if log.Len() > 0 {
		t.Errorf("a cache that isn't there yet: %s", &log)
	}
}

// cacheTest loads a module with a cache again and again.
type cacheTest struct {
	*testing.T
	dir string
}

// load loads and calls the module, and gives what was logged.
func (t cacheTest) load() string {
	t.Helper()
	var log bytes.Buffer // written by the loader, which Close waits for
	e := New(Options{CacheDir: t.dir, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	defer e.Close()
	for range 2 { // trouble is told once
		e.modules.mu.Lock()
		e.modules.kept.Purge()
		e.modules.mu.Unlock()
		a := loadIn(t.T, e, hostile(t.T, "events"))
		var b Batch
		if err := event(a, "hello", &b); err != nil {
			t.Error(err)
		}
		a.Close()
	}
	return log.String()
}

// file gives the one file of compiled code.
func (t cacheTest) file() string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(t.dir, entryFiles))
	if err != nil || len(files) != 1 {
		t.Fatalf("the cache has the files %v (%v), want one", files, err)
	}
	return files[0]
}

// TestTwoBytesMakeNoDifference breaks the file of compiled code at each of its first places,
// where it says how many functions there are and where they begin.
func TestTwoBytesMakeNoDifference(t *testing.T) {
	c := cacheTest{t, filepath.Join(t.TempDir(), "cache")}
	c.load()
	good, err := os.ReadFile(c.file())
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < 160; at += 2 {
		broken := slices.Clone(good)
		broken[at], broken[at+1] = broken[at]^0xff, broken[at+1]^0xff
		if err := os.WriteFile(c.file(), broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if log := c.load(); log != "" {
			t.Errorf("two bytes at %d: %s", at, log)
		}
	}
	for name, broken := range map[string][]byte{"NULs at the offsets": slices.Replace(slices.Clone(good), 24, 40, make([]byte, 16)...), "two NULs alone": {0, 0}, "nothing": {}, "half": good[:len(good)/2]} {
		if err := os.WriteFile(c.file(), broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if log := c.load(); log != "" {
			t.Errorf("%s: %s", name, log)
		}
		if now, _ := os.ReadFile(c.file()); len(now) != len(good) {
			t.Errorf("%s: the file was not made anew: %d bytes instead of %d", name, len(now), len(good))
		}
	}
}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// prepared gives the one file of a prepared module.
func (t cacheTest) prepared() string {
	t.Helper()
	files := glob(t.T, filepath.Join(t.dir, preparedFiles))
	if len(files) != 1 {
		t.Fatalf("the cache has the prepared modules %v, want one", files)
	}
	return files[0]
}

// TestADamagedPreparedModuleIsMadeAnew breaks the file of a prepared module, or has an
// earlier program have written it.
func TestADamagedPreparedModuleIsMadeAnew(t *testing.T) {
	c := cacheTest{t, filepath.Join(t.TempDir(), "cache")}
	c.load()
	good, err := os.ReadFile(c.prepared())
	if err != nil {
		t.Fatal(err)
	}
	flipped := func(at int) []byte {
		b := slices.Clone(good)
		b[at] ^= 1
		return b
	}
	for name, broken := range map[string][]byte{
		"nothing": {}, "half a head": good[:5], "half": good[:len(good)/2], "another checksum": flipped(0), "another length": flipped(4),
		"another section": flipped(preparedHead + 9), "another instruction": flipped(len(good) - 20), "a byte more": append(slices.Clone(good), 0),
	} {
		if err := os.WriteFile(c.prepared(), broken, 0o600); err != nil {
			t.Fatal(err)
		}
		if log := c.load(); log != "" {
			t.Errorf("%s: %s", name, log)
		}
		if now, _ := os.ReadFile(c.prepared()); !bytes.Equal(now, good) {
			t.Errorf("%s: the file was not made anew", name)
		}
	}
	// What another version of the instrumentation has made is not looked at.
	older := strings.Replace(c.prepared(), "prepared-", "prepared-0", 1)
	if err := os.Rename(c.prepared(), older); err != nil {
		t.Fatal(err)
	}
	c.load()
	if _, err := os.Stat(strings.Replace(older, "prepared-0", "prepared-", 1)); err != nil {
		t.Error(err)
	}
	if left := glob(t, filepath.Join(c.dir, "*.tmp")); len(left) > 0 {
		t.Errorf("left is %v", left)
	}
}

// TestVersionsOfWazeroShareAnEntry: a program with another version of wazero compiles the
// module once, and drops nothing.
func TestVersionsOfWazeroShareAnEntry(t *testing.T) {
	c := cacheTest{t, filepath.Join(t.TempDir(), "cache")}
	c.load()
	other := c.file()
	folder := filepath.Dir(other)
	if err := os.Rename(folder, folder+"-other"); err != nil {
		t.Fatal(err)
	}
	c.load()
	files, err := filepath.Glob(filepath.Join(c.dir, entryFiles))
	if err != nil || len(files) != 2 || files[0] != other {
		t.Fatalf("the cache has the files %v (%v), want that of each version", files, err)
	}
	made := time.Now().Add(-time.Hour)
	if err := os.Chtimes(other, made, made); err != nil {
		t.Fatal(err)
	}
	c.load()
	if info, err := os.Stat(other); err != nil || !info.ModTime().Equal(made) {
		t.Errorf("the file is of %v (%v), want it kept from %v", info.ModTime(), err, made)
	}
}

// TestOnlyAnOwnCacheIsUsed has others write to the cache, or something else than
// a file in it, such as a pipe that nobody writes to.
func TestOnlyAnOwnCacheIsUsed(t *testing.T) {
	entry := func(c cacheTest) string { return filepath.Dir(filepath.Dir(c.file())) }
	replace := func(path string, by func(path string) error) error {
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		return by(path)
	}
	fifo := func(path string) error { return syscall.Mkfifo(path, 0o600) }
	stranger := func(path string) error {
		if os.Geteuid() != 0 {
			return errNotRoot
		}
		return os.Chown(path, 4242, 4242)
	}
	for name, tc := range map[string]struct {
		spoil func(c cacheTest) error
		want  string // in the log, once
	}{
		"others can write the directory": {func(c cacheTest) error { return os.Chmod(c.dir, 0o777) }, "others can write"},
		"its group can":                  {func(c cacheTest) error { return os.Chmod(c.dir, 0o770) }, "others can write"},
		"others can write an entry":      {func(c cacheTest) error { return os.Chmod(entry(c), 0o707) }, "others can write"},
		"others can write the code":      {func(c cacheTest) error { return os.Chmod(c.file(), 0o602) }, "others can write"},
		"others can write wazero's":      {func(c cacheTest) error { return os.Chmod(filepath.Dir(c.file()), 0o702) }, "others can write"},
		"others can write above":         {func(c cacheTest) error { return os.Chmod(filepath.Dir(c.dir), 0o777) }, "others can write in"},
		"its group can write above":      {func(c cacheTest) error { return os.Chmod(filepath.Dir(c.dir), 0o770) }, "others can write in"},
		"a stranger's is above":          {func(c cacheTest) error { return stranger(filepath.Dir(c.dir)) }, "belongs to user 4242"},
		"the directory is a stranger's":  {func(c cacheTest) error { return stranger(c.dir) }, "belongs to user 4242"},
		"an entry is a stranger's":       {func(c cacheTest) error { return stranger(entry(c)) }, "belongs to user 4242"},
		"the code is a stranger's":       {func(c cacheTest) error { return stranger(c.file()) }, "belongs to user 4242"},
		"the code is a pipe":             {func(c cacheTest) error { return replace(c.file(), fifo) }, "special file"},
		"the code is a directory":        {func(c cacheTest) error { return replace(c.file(), func(p string) error { return os.Mkdir(p, 0o700) }) }, "is a directory"},
		"the code is a link": {func(c cacheTest) error {
			return replace(c.file(), func(p string) error { return os.Symlink("/dev/zero", p) })
		}, "is a link"},
		"others can write a module":    {func(c cacheTest) error { return os.Chmod(c.prepared(), 0o602) }, "others can write"},
		"a prepared module is a pipe":  {func(c cacheTest) error { return replace(c.prepared(), fifo) }, "special file"},
		"a prepared one is a stranger": {func(c cacheTest) error { return stranger(c.prepared()) }, "belongs to user 4242"},
		"the checksum is a pipe":       {func(c cacheTest) error { return replace(filepath.Join(entry(c), checksumFile), fifo) }, "special file"},
		"an entry is a pipe":           {func(c cacheTest) error { return replace(entry(c), fifo) }, "not a directory"},
		"the directory is a file": {func(c cacheTest) error {
			return replace(c.dir, func(p string) error { return os.WriteFile(p, nil, 0o600) })
		}, "not a directory"},
		"the directory is a link": {func(c cacheTest) error {
			return replace(c.dir, func(p string) error { return os.Symlink(t.TempDir(), p) })
		}, "is a link"},
		"the disk is full": {fullDisk, "no space left"},
	} {
		t.Run(name, func(t *testing.T) {
			above := filepath.Join(t.TempDir(), "above")
			if err := os.Mkdir(above, 0o700); err != nil {
				t.Fatal(err)
			}
			c := cacheTest{t, filepath.Join(above, "cache")}
			if log := c.load(); log != "" {
				t.Fatalf("an own cache: %s", log)
			}
			if err := tc.spoil(c); err == errNotRoot {
				t.Skip("only root can do that")
			} else if err != nil {
				t.Fatal(err)
			}
			log := c.load()
			if strings.Count(log, "\n") != 1 || !strings.Contains(log, "compiled adapters are not kept") || !strings.Contains(log, tc.want) {
				t.Errorf("logged is %q, want one line with %q", log, tc.want)
			}
		})
	}
}

// TestAPipeAsAMarkBlocksNothing: what stands where the note is that a module was loaded is
// replaced by the note.
func TestAPipeAsAMarkBlocksNothing(t *testing.T) {
	for name, put := range map[string]func(path string) error{
		"a pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link":      func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		t.Run(name, func(t *testing.T) {
			c := cacheTest{t, filepath.Join(t.TempDir(), "cache")}
			c.load()
			marks, err := filepath.Glob(filepath.Join(c.dir, markPrefix+"*"))
			if err != nil || len(marks) != 1 {
				t.Fatalf("marks are %q, %v", marks, err)
			}
			if err := errors.Join(os.Remove(marks[0]), put(marks[0])); err != nil {
				t.Fatal(err)
			}
			if log := c.load(); log != "" {
				t.Errorf("logged is %q", log)
			}
			if info, err := os.Lstat(marks[0]); err != nil || !info.Mode().IsRegular() {
				t.Errorf("the mark is %v, %v", info, err)
			}
		})
	}
}

var errNotRoot = fmt.Errorf("not root")

// fullDisk puts a disk that is full in place of the cache.
func fullDisk(c cacheTest) error {
	if err := os.RemoveAll(c.dir); err != nil {
		return err
	}
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("none", c.dir, "tmpfs", 0, "size=4k,mode=0700"); err != nil {
		return errNotRoot
	}
	c.Cleanup(func() { syscall.Unmount(c.dir, 0) })
	return os.WriteFile(filepath.Join(c.dir, "other"), make([]byte, 4096), 0o600)
}
