package wasm

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/tetratelabs/wazero"
)

// DefaultCacheDir is where compiled adapters are kept: a folder of the user's
// cache directory, or "" where there is none.
func DefaultCacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "kai", "wasm")
}

// codeCache keeps compiled code in a directory from one start to the next: an
// entry for each module, which is a folder.
//
// What is in there runs as Kai, outside of the sandbox. Nothing but the rights of
// the directory keeps others from writing it: a signature would need a key, and
// who can write there could read that as well. So it is used only if it and all
// that is read of it belong to this user or to root, and nobody else can write
// there. Against a disk that fails, an entry has a checksum: wazero's own leaves
// out where functions begin, and two bytes less there would end the process.
//
// Its methods are the loader's. Trouble with it is logged, each kind once, and
// never keeps a module from being loaded.
type codeCache struct {
	dir string // "" keeps nothing
	log *slog.Logger

	mu   sync.Mutex
	told map[string]bool
}

func newCodeCache(dir string, log *slog.Logger) *codeCache {
	return &codeCache{dir: dir, log: log, told: map[string]bool{}}
}

// An entry's folder holds its checksum, whose time says when it was used last, and
// what wazero keeps: a folder for each of its own versions, with one file.
const (
	entryFolders = "module-*"
	entryFiles   = "module-*/wazero-*/*"
	checksumFile = "checksum"
)

// warn logs a kind of trouble once.
func (c *codeCache) warn(kind string, err error) {
	c.mu.Lock()
	told := c.told[kind]
	c.told[kind] = true
	c.mu.Unlock()
	if !told {
		c.log.Warn(kind, "dir", c.dir, "err", err)
	}
}

// open gives the folder for the code of an instrumented module, "" if none may be
// used. What is in there is as it was written.
func (c *codeCache) open(wasm []byte) string {
	if c.dir == "" {
		return ""
	}
	sum := sha256.Sum256(wasm)
	entry := filepath.Join(c.dir, "module-"+hex.EncodeToString(sum[:]))
	if err := makeOwn(c.dir, entry); err != nil {
		c.warn("compiled adapters are not kept", err)
		return ""
	}
	files, err := ownFiles(entry)
	if err != nil {
		c.warn("compiled adapters are not kept", err)
		return ""
	}
	if len(files) == 0 {
		return entry
	}
	want, err := os.ReadFile(filepath.Join(entry, checksumFile))
	got, sumErr := checksum(files)
	if err != nil || sumErr != nil || got != string(want) {
		if err := c.drop(entry); err != nil {
			return ""
		}
		return entry
	}
	now := time.Now()
	os.Chtimes(filepath.Join(entry, checksumFile), now, now)
	return entry
}

// close writes the checksum of an entry that wazero has used, if it wrote it.
func (c *codeCache) close(entry string) {
	path := filepath.Join(entry, checksumFile)
	if _, err := os.Lstat(path); err == nil {
		return
	}
	files, err := ownFiles(entry)
	if err == nil && len(files) > 0 {
		var sum string
		if sum, err = checksum(files); err == nil {
			err = os.WriteFile(path, []byte(sum), 0o600)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // which another process removed
		c.warn("compiled adapters are not kept", err)
	}
}

// drop empties an entry.
func (c *codeCache) drop(entry string) error {
	err := os.RemoveAll(entry)
	if err == nil {
		err = makeOwn(c.dir, entry)
	}
	if err != nil {
		c.warn("compiled adapters are not kept", err)
	}
	return err
}

// What the cache may hold: a Go adapter's code takes 8 MiB, and whoever writes one
// compiles it many times a day.
const (
	cacheSize = 256 << 20
	cacheAge  = 90 * 24 * time.Hour // since it was used last
)

// trim removes what nobody used for longer than age, and then what wasn't used
// for longest, until the rest has at most size bytes. A module whose entry is gone
// is compiled again at the next start.
func (c *codeCache) trim(size int64, age time.Duration, now time.Time) {
	if c.dir == "" {
		return
	}
	type entry struct {
		path string
		used time.Time
		size int64
	}
	var entries []entry
	names, err := fs.Glob(os.DirFS(c.dir), entryFolders)
	for _, name := range names {
		e := entry{path: filepath.Join(c.dir, name)}
		filepath.WalkDir(e.path, func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // it was removed by another process
			}
			if info, err := d.Info(); err == nil && !d.IsDir() {
				e.size += info.Size()
				if info.ModTime().After(e.used) {
					e.used = info.ModTime()
				}
			}
			return nil
		})
		if e.used.IsZero() { // an empty folder
			if info, err := os.Lstat(e.path); err == nil {
				e.used = info.ModTime()
			}
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.path, b.path))
	})
	for _, e := range entries {
		if size -= e.size; size < 0 || now.Sub(e.used) > age {
			err = errors.Join(err, os.RemoveAll(e.path))
		}
	}
	if err != nil {
		c.warn("the cache of compiled adapters grows", err)
	}
}

// makeOwn makes a directory and a folder in it, if they aren't there. The error
// says that they, or a directory above, are not safe from others.
func makeOwn(dir, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for _, path := range []string{folder, dir} {
		if err := own(path, fs.ModeDir); err != nil {
			return err
		}
	}
	above, err := filepath.EvalSymlinks(filepath.Dir(dir))
	if err != nil {
		return err
	}
	if above, err = filepath.Abs(above); err != nil {
		return err
	}
	for ; ; above = filepath.Dir(above) {
		// In a sticky one, such as /tmp, others can't replace what isn't theirs.
		info, err := os.Lstat(above)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("everybody can write in %s", above)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

// ownFiles gives the files in an entry's wazero folders, in order. The error says
// that one, or a folder, is not safe from others or no file.
func ownFiles(entry string) (files []string, err error) {
	list, err := os.ReadDir(entry)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		path := filepath.Join(entry, d.Name())
		if d.Name() == checksumFile {
			if err := own(path, 0); err != nil {
				return nil, err
			}
			continue
		}
		if err := own(path, fs.ModeDir); err != nil {
			return nil, err
		}
		inner, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		for _, d := range inner {
			path := filepath.Join(path, d.Name())
			if err := own(path, 0); err != nil {
				return nil, err
			}
			files = append(files, path)
		}
	}
	return files, nil
}

// own checks that path is of the given type, belongs to this user or to root, and
// can be written by nobody else. A link is neither file nor directory.
func own(path string, kind fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != kind {
		return fmt.Errorf("%s is a %s", path, kindName(info.Mode()))
	}
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d", path, s.Uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others can write to %s: chmod go-w %[1]s, if nobody has", path)
	}
	return nil
}

func kindName(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "file"
	case m.IsDir():
		return "directory"
	case m&fs.ModeSymlink != 0:
		return "link"
	}
	return "special file"
}

// checksum gives a text that tells whether files have changed by accident.
func checksum(files []string) (string, error) {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	text := ""
	for _, path := range files {
		f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			return "", err
		}
		h.Reset()
		n, err := io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", err
		}
		text += fmt.Sprintf("%s %d %08x\n", filepath.Base(path), n, h.Sum32())
	}
	return text, nil
}

// openCache opens the cache of compiled code: one of this version alone in
// memory, whose end frees the code, backed by files if there is a directory.
func openCache(dir string) (wazero.CompilationCache, error) {
	if dir == "" {
		return wazero.NewCompilationCache(), nil
	}
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open the cache directory: %w", err)
	}
	return cache, nil
}
