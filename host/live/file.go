package live

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
)

type digest = [sha256.Size]byte

// maxRead bounds what is read of a file, in bytes: one more than any may have, so
// that it is noticed.
const maxRead = maxModule + 1

// state is a file that the gateway is made of, as it was when it was read.
type state struct {
	digest digest      // of the first maxRead bytes; zero: it couldn't be read
	info   fs.FileInfo // from before it was read; nil: there was none
}

// file is a state with what it held.
type file struct {
	state
	content []byte
	err     error
}

// readFile reads a regular file.
func readFile(path string) (f file) {
	f.state = look(path)
	in, err := openRegular(path)
	if err != nil {
		f.err = err
		return f
	}
	defer in.Close()
	var b bytes.Buffer
	if f.info != nil {
		// With room at its end, where the reader notices that there is no more.
		b.Grow(int(min(f.info.Size(), maxRead)) + bytes.MinRead)
	}
	if _, err := b.ReadFrom(io.LimitReader(in, maxRead)); err != nil {
		f.err = err
		return f
	}
	f.content = b.Bytes()
	f.digest = sha256.Sum256(f.content)
	return f
}

// digestOf reads a file for its digest alone.
func digestOf(path string) digest {
	in, err := openRegular(path)
	if err != nil {
		return digest{}
	}
	defer in.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(in, maxRead)); err != nil {
		return digest{}
	}
	return digest(h.Sum(nil))
}

// openRegular opens a regular file and nothing else. It never waits, as opening a
// pipe would, for somebody to write to it.
func openRegular(path string) (*os.File, error) {
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

// look gives a state without reading it.
func look(path string) state {
	info, err := os.Stat(path)
	if err != nil {
		return state{}
	}
	return state{info: info}
}

// touched reports whether a file looks as if it held something else than when it
// was looked at. Links are followed. It doesn't notice what keeps its size, its
// time and its place on the disk.
func touched(files map[string]state) bool {
	for path, before := range files {
		now := look(path).info
		if now == nil || before.info == nil {
			if now != before.info {
				return true
			}
			continue
		}
		if !os.SameFile(now, before.info) || now.Size() != before.info.Size() ||
			!now.ModTime().Equal(before.info.ModTime()) || now.Mode() != before.info.Mode() {
			return true
		}
	}
	return false
}

// differ reports whether a file holds something else than when it was read.
func differ(files map[string]state) bool {
	for path, before := range files {
		if digestOf(path) != before.digest {
			return true
		}
	}
	return false
}
