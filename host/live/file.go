package live

import (
	"bytes"
	"crypto/sha256"
	"io"
	"io/fs"
	"os"

	"github.com/kai-gateway/kai/config"
)

type digest = [sha256.Size]byte

// maxRead is how many bytes of a file are read at most. It is one more than a file
// may have, so that a file that is too large is noticed.
const maxRead = maxModule + 1

// state is the state of one of the gateway's files when it was read.
type state struct {
	digest digest      // of the first maxRead bytes; zero: the file couldn't be read
	info   fs.FileInfo // from before it was read; nil: there was no file
}

// file is a file that was read: its state and its content.
type file struct {
	state
	content []byte
	err     error
}

// readFile reads a regular file.
func readFile(path string) (f file) {
	f.state = stat(path)
	in, err := config.OpenFile(path)
	if err != nil {
		f.err = err
		return f
	}
	defer in.Close()
	var b bytes.Buffer
	if f.info != nil {
		// With some room at the end, so that the last read finds the end without
		// growing the buffer.
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

// digestOf returns the digest of a file. Unlike readFile it keeps no content.
func digestOf(path string) digest {
	in, err := config.OpenFile(path)
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

// stat returns the state of a file without its digest.
func stat(path string) state {
	info, err := os.Stat(path)
	if err != nil {
		return state{}
	}
	return state{info: info}
}

// looksChanged reports whether one of the files seems to have changed since its state
// was taken. It follows links. It doesn't notice a change that keeps the file's size,
// its time and its place on the disk.
func looksChanged(files map[string]state) bool {
	for path, before := range files {
		now := stat(path).info
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

// contentChanged reports whether the content of one of the files is not what was read.
func contentChanged(files map[string]state) bool {
	for path, before := range files {
		if digestOf(path) != before.digest {
			return true
		}
	}
	return false
}
