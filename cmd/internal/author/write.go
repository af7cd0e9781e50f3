package author

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kai-gateway/kai/host/wasm/modfile"
)

// compress compresses a module with gzip. The same module gives the same bytes. Its digest
// and its manifest are in the header, where plugins.Describe finds them without
// decompressing the module.
func compress(module []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(module)
	if manifest, found := modfile.FindManifest(module); found && len(digest)+len(manifest) <= maxExtra {
		w.Extra = slices.Concat(digest[:], manifest)
	}
	if _, err := w.Write(module); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// maxExtra is how many bytes the header of a gzip file may have: RFC 1952.
const maxExtra = 1<<16 - 1

// WriteFile writes data to path, compressed if path ends in .gz. It replaces the file in one
// step, so that a gateway which watches it never sees half of it. The file gets the time
// as, unless that is zero.
func WriteFile(path string, data []byte, as time.Time) error {
	if strings.HasSuffix(path, ".gz") {
		var err error
		if data, err = compress(data); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".kai-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Chmod(tmp.Name(), 0o644); err != nil {
		return err
	}
	if !as.IsZero() {
		if err := os.Chtimes(tmp.Name(), as, as); err != nil {
			return err
		}
	}
	return os.Rename(tmp.Name(), path)
}

// Writable returns an error if nothing can be written into dir, or, if dir doesn't exist,
// into the nearest folder above it that does.
func Writable(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir:
		return Writable(filepath.Dir(dir))
	case err != nil:
		return err
	case !info.IsDir():
		return fmt.Errorf("%s is a file and no folder", dir)
	}
	tmp, err := os.CreateTemp(dir, ".kai-*")
	if err != nil {
		return err
	}
	return errors.Join(tmp.Close(), os.Remove(tmp.Name()))
}

// Bytes returns a number of bytes for people: "812 B", "64 KiB", "1.5 MiB".
func Bytes(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return strings.Replace(fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)), ".0 ", " ", 1)
}
