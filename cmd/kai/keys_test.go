package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestReplacedFilesKeepModeAndLink replaces a file through a link.
func TestReplacedFilesKeepModeAndLink(t *testing.T) {
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("file", link); err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(link, []byte("after")); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "after" {
		t.Errorf("the file has %q, %v", b, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if to, err := os.Readlink(link); err != nil || to != "file" {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	if err := replaceFile(filepath.Join(dir, "new"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "new")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("a new file has the mode %v, %v", info.Mode(), err)
	}
	if all, _ := os.ReadDir(dir); len(all) != 3 {
		t.Errorf("%d files are there, want 3", len(all))
	}
	if err := replaceFile(filepath.Join(dir, "none", "new"), nil); err == nil {
		t.Error("a file in a folder that is not there was written")
	}
}

// TestKeysWaitForNoPipe names a pipe where the files of keys belong.
func TestKeysWaitForNoPipe(t *testing.T) {
	dir := t.TempDir()
	pipe, file := filepath.Join(dir, "pipe"), filepath.Join(dir, "kai.yaml")
	if err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.WriteFile(file, []byte(demoConfig+"auth: {enabled: true, keys_file: "+pipe+"}\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, config := range []string{pipe, file} {
		var stderr bytes.Buffer
		if code := run(t.Context(), []string{"keys", "new", "app", "--config", config}, nil, io.Discard, &stderr); code == exitDone || !strings.Contains(stderr.String(), "not a regular file") {
			t.Errorf("%s: exit code %d, %s", config, code, &stderr)
		}
	}
}
