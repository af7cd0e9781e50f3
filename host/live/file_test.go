package live

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestOnlyRegularFilesAreRead(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(pipe, link); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a named pipe": pipe, "a link to one": link, "a folder": dir, "a device": "/dev/zero",
	} {
		f := readFile(path)
		if f.err == nil || !strings.Contains(f.err.Error(), "not a regular file") || f.digest != (digest{}) {
			t.Errorf("%s: error %v, digest %x", name, f.err, f.digest)
		}
		if got := digestOf(path); got != (digest{}) {
			t.Errorf("%s has digest %x", name, got)
		}
		// What can't be read counts as unchanged as long as it looks the same.
		if looksChanged(map[string]state{path: f.state}) || contentChanged(map[string]state{path: f.state}) {
			t.Errorf("%s seems to have changed", name)
		}
	}
	if f := readFile(filepath.Join(dir, "none")); !os.IsNotExist(f.err) || f.info != nil {
		t.Errorf("a missing file: %v, %v", f.err, f.info)
	}
}

func TestReadFileReadsNoMoreThanTellsThatItIsTooLarge(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, maxRead+10); err != nil {
		t.Fatal(err)
	}
	f := readFile(path)
	if f.err != nil || len(f.content) != maxRead {
		t.Errorf("%d bytes, %v; want %d", len(f.content), f.err, maxRead)
	}
	if digestOf(path) != f.digest {
		t.Error("the digest is not that of what was read")
	}
}

// TestChangesAreNoticed has a file changed in many ways: by its looks first, by
// its content always.
func TestChangesAreNoticed(t *testing.T) {
	write := func(t *testing.T, path, content string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	when := time.Unix(1_000_000_000, 0)
	for name, tc := range map[string]struct {
		change           func(t *testing.T, path string) error
		touched, differs bool
	}{
		"nothing happened": {func(*testing.T, string) error { return nil }, false, false},
		"touched": {func(_ *testing.T, path string) error {
			return os.Chtimes(path, when.Add(time.Second), when.Add(time.Second))
		}, true, false},
		"rewritten":                    {func(t *testing.T, path string) error { write(t, path, "longer than before"); return nil }, true, true},
		"rewritten with as many bytes": {func(t *testing.T, path string) error { write(t, path, "after "); return nil }, true, true},
		"replaced by a file of its size and time": {func(t *testing.T, path string) error {
			write(t, path+".new", "after ")
			if err := os.Chtimes(path+".new", when, when); err != nil {
				return err
			}
			return os.Rename(path+".new", path)
		}, true, true},
		"rewritten with its size and time": {func(t *testing.T, path string) error {
			write(t, path, "after ")
			return os.Chtimes(path, when, when)
		}, false, true},
		"removed": {func(_ *testing.T, path string) error { return os.Remove(path) }, true, true},
		"its link leads elsewhere": {func(t *testing.T, path string) error {
			write(t, path+".other", "before")
			if err := os.Symlink(path+".other", path+".link"); err != nil {
				return err
			}
			return os.Rename(path+".link", path)
		}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file")
			write(t, path, "before")
			if err := os.Chtimes(path, when, when); err != nil {
				t.Fatal(err)
			}
			files := map[string]state{path: readFile(path).state}
			if err := tc.change(t, path); err != nil {
				t.Fatal(err)
			}
			if got := looksChanged(files); got != tc.touched {
				t.Errorf("touched = %v, want %v", got, tc.touched)
			}
			if got := contentChanged(files); got != tc.differs {
				t.Errorf("differ = %v, want %v", got, tc.differs)
			}
		})
	}
	t.Run("what was missing appears", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		files := map[string]state{path: readFile(path).state}
		if looksChanged(files) || contentChanged(files) {
			t.Error("a missing file seems to have changed")
		}
		write(t, path, "now")
		if !looksChanged(files) || !contentChanged(files) {
			t.Error("the new file was not noticed")
		}
	})
}

// TestPermissionIsAChange makes a file readable that wasn't.
func TestPermissionIsAChange(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	files := map[string]state{path: readFile(path).state}
	if err := os.Chmod(path, fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
	if !looksChanged(files) {
		t.Error("a file that became readable was not noticed")
	}
}
