package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// OpenFile opens a regular file to read it; anything else is an error. It never waits:
// opening a pipe in the usual way would wait until somebody writes to it.
func OpenFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ReadFile reads a file that OpenFile opens. Of one that is larger than any file of a
// configuration may be, it reads only a little more than that.
func ReadFile(path string) ([]byte, error) {
	f, err := OpenFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxKeysFile+1))
}
