package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestControlSocketIsOurs has somebody else prepare the directory of the control
// socket, or something in the socket's place.
func TestControlSocketIsOurs(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(dir, path string) error
		refused string // "": it is opened
	}{
		"nothing is there":           {func(dir, path string) error { return nil }, ""},
		"one of a gateway that died": {func(dir, path string) error { return os.WriteFile(path, nil, 0o600) }, ""},
		"a pipe in its place":        {func(dir, path string) error { return syscall.Mkfifo(path, 0o600) }, ""},
		"a folder in its place":      {func(dir, path string) error { return os.MkdirAll(filepath.Join(path, "x"), 0o700) }, "address already in use"},
		"others can write there":     {func(dir, path string) error { return os.Chmod(dir, 0o722) }, "not a directory of this user alone"},
		"others can look there":      {func(dir, path string) error { return os.Chmod(dir, 0o755) }, "not a directory of this user alone"},
		"a link elsewhere": {func(dir, path string) error {
			if err := os.Rename(dir, dir+"2"); err != nil {
				return err
			}
			return os.Symlink(dir+"2", dir)
		}, "not a directory of this user alone"},
		"a stranger's directory": {func(dir, path string) error {
			if os.Geteuid() != 0 {
				return os.ErrPermission
			}
			return os.Chown(dir, 4242, 4242)
		}, "not a directory of this user alone"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(runtimeDir(t), "kai")
			path := filepath.Join(dir, "1.sock")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := tc.prepare(dir, path); err == os.ErrPermission {
				t.Skip("only root can do that")
			} else if err != nil {
				t.Fatal(err)
			}
			c, err := listenControl(t.Context(), path, identity{}, controlled{})
			if err == nil {
				defer c.close()
			}
			if tc.refused == "" && err != nil || tc.refused != "" && (err == nil || !strings.Contains(err.Error(), tc.refused)) {
				t.Errorf("listenControl = %v, want %q", err, tc.refused)
			}
		})
	}
}
