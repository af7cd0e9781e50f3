package wasm

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
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

	"github.com/kai-gateway/kai/host/wasm/fuel"
	"github.com/kai-gateway/kai/sdk/abi"
)

// DefaultCacheDir returns the folder in which compiled adapters are kept. It is in the
// user's cache directory; the result is "" if there is none.
func DefaultCacheDir() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "kai", "wasm")
}

// codeCache keeps compiled code in a directory from one start to the next. Each module
// has an entry, which is a folder.
//
// The code in there runs as Kai, outside the sandbox. Only the permissions of the
// directory keep others from writing it. A signature would not help: it needs a key,
// and whoever can write there could read the key as well. So the directory is used only
// if it, and everything that is read of it, belongs to this user or to root, and nobody
// else can write there. An entry has a checksum, against a disk that fails. wazero's
// own checksum leaves out where functions begin, and two missing bytes there would end
// the process.
//
// Only the loader calls its methods. Trouble with the cache is logged, each kind once.
// It never keeps a module from being loaded.
type codeCache struct {
	dir string // "": nothing is kept
	log *slog.Logger

	mu     sync.Mutex
	warned map[string]bool // the kinds of trouble that were logged
}

func newCodeCache(dir string, log *slog.Logger) *codeCache {
	return &codeCache{dir: dir, log: log, warned: map[string]bool{}}
}

// The folder of an entry contains its checksum, whose time says when the entry was
// last used, and what wazero keeps: a folder for each version of wazero, with one file.
const (
	entryFolders = "module-*"
	checksumFile = "checksum"
)

// A prepared module is a file of its own: a checksum, the length of the next part, the
// module's manifest and transcript as sections of an empty module, and the instrumented
// module. So a module that was loaded before need neither be unpacked nor instrumented.
func (c *codeCache) preparedFile(digest [sha256.Size]byte) string {
	return filepath.Join(c.dir, fmt.Sprintf("prepared-%d.%d.%d-%x", fuel.Version, abi.Minor, checks, digest))
}

// checks changes whenever modfile.CheckABI, modfile.StartFuel, a limit of fuel.Instrument,
// or what modfile.Sections keeps does: what was kept is not checked again.
const checks = 1

const (
	preparedFiles = "prepared-*"
	preparedHead  = 8 // bytes of the checksum and the length
)

// prepared returns what keep has written for the module of that digest, or nil.
func (c *codeCache) prepared(digest [sha256.Size]byte) (sections, wasm []byte) {
	if c.dir == "" || digest == [sha256.Size]byte{} {
		return nil, nil
	}
	path := c.preparedFile(digest)
	if _, err := os.Lstat(path); err != nil {
		return nil, nil
	}
	err := makePrivate(c.dir, c.dir)
	if err == nil {
		err = checkPrivate(path, 0)
	}
	var all []byte
	if err == nil {
		all, err = os.ReadFile(path)
	}
	if err != nil {
		c.warn("compiled adapters are not kept", err)
		return nil, nil
	}
	if len(all) < preparedHead || binary.LittleEndian.Uint32(all) != crc32.Checksum(all[4:], castagnoli) {
		os.Remove(path)
		return nil, nil
	}
	now := time.Now()
	os.Chtimes(path, now, now)
	n := preparedHead + int(binary.LittleEndian.Uint32(all[4:]))
	return all[preparedHead:n:n], all[n:]
}

// keep writes a prepared module, all of it or nothing.
func (c *codeCache) keep(digest [sha256.Size]byte, sections, wasm []byte) {
	if c.dir == "" {
		return
	}
	err := makePrivate(c.dir, c.dir)
	if err == nil {
		err = c.writePrepared(c.preparedFile(digest), sections, wasm)
	}
	if err != nil {
		c.warn("compiled adapters are not kept", err)
	}
}

func (c *codeCache) writePrepared(path string, sections, wasm []byte) error {
	f, err := os.CreateTemp(c.dir, "prepared-*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // unless it was renamed
	size := binary.LittleEndian.AppendUint32(nil, uint32(len(sections)))
	sum := crc32.Update(crc32.Update(crc32.Checksum(size, castagnoli), castagnoli, sections), castagnoli, wasm)
	for _, part := range [][]byte{binary.LittleEndian.AppendUint32(nil, sum), size, sections, wasm} {
		if _, err = f.Write(part); err != nil {
			break
		}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// castagnoli is the table of all checksums.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// warn logs a kind of trouble, the first time that it is called with it.
func (c *codeCache) warn(kind string, err error) {
	c.mu.Lock()
	warned := c.warned[kind]
	c.warned[kind] = true
	c.mu.Unlock()
	if !warned {
		c.log.Warn(kind, "dir", c.dir, "err", err)
	}
}

// knows reports whether a module of that digest was loaded before, so that its code is
// probably in the cache. Whether that can be used, open finds out.
func (c *codeCache) knows(digest [sha256.Size]byte) bool {
	if c.dir == "" {
		return false
	}
	info, err := os.Lstat(c.mark(digest))
	return err == nil && info.Mode().IsRegular()
}

// remember notes that a module of that digest was loaded.
func (c *codeCache) remember(digest [sha256.Size]byte) {
	if c.dir == "" {
		return
	}
	if makePrivate(c.dir, c.dir) != nil || c.knows(digest) {
		return
	}
	// Whatever is there instead is removed: opening a pipe would wait for somebody to read it.
	mark := c.mark(digest)
	_ = os.RemoveAll(mark)
	if f, err := os.OpenFile(mark, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600); err == nil {
		f.Close() // without it, the next start loads the module at once
	}
}

func (c *codeCache) mark(digest [sha256.Size]byte) string {
	return filepath.Join(c.dir, markPrefix+hex.EncodeToString(digest[:]))
}

const markPrefix = "loaded-"

// open returns the folder for the code of an instrumented module, or "" if the cache can't
// be used. The folder's checksum was compared, so the code in it is as it was written.
func (c *codeCache) open(wasm []byte) string {
	if c.dir == "" {
		return ""
	}
	sum := sha256.Sum256(wasm)
	entry := filepath.Join(c.dir, "module-"+hex.EncodeToString(sum[:]))
	if err := makePrivate(c.dir, entry); err != nil {
		c.warn("compiled adapters are not kept", err)
		return ""
	}
	files, err := privateFiles(entry)
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

// close writes the checksum of an entry to which wazero has added a file: its first, or
// that of another version of wazero. It does nothing if the entry has a checksum of all
// its files.
func (c *codeCache) close(entry string) {
	path := filepath.Join(entry, checksumFile)
	files, err := privateFiles(entry)
	if err == nil {
		old, _ := os.ReadFile(path) // "" if there is none
		if bytes.Count(old, []byte("\n")) == len(files) {
			return
		}
		var sum string
		if sum, err = checksum(files); err == nil {
			err = os.WriteFile(path, []byte(sum), 0o600)
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // if it doesn't exist, another process has removed it
		c.warn("compiled adapters are not kept", err)
	}
}

// drop empties an entry.
func (c *codeCache) drop(entry string) error {
	err := os.RemoveAll(entry)
	if err == nil {
		err = makePrivate(c.dir, entry)
	}
	if err != nil {
		c.warn("compiled adapters are not kept", err)
	}
	return err
}

// Limits of the cache. The code of an adapter in Go has 8 MiB, and the author of one
// compiles it many times a day.
const (
	cacheSize = 256 << 20           // bytes of all entries
	cacheAge  = 90 * 24 * time.Hour // since an entry was last used
)

// trim removes the entries that were not used for longer than age, and then the ones
// that were used least recently, until the rest has at most size bytes. A module whose
// entry was removed is compiled again at the next start.
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
	prepared, preparedErr := fs.Glob(os.DirFS(c.dir), preparedFiles)
	err = errors.Join(err, preparedErr)
	for _, name := range append(names, prepared...) {
		e := entry{path: filepath.Join(c.dir, name)}
		filepath.WalkDir(e.path, func(_ string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil // another process has removed it
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
	marks, _ := fs.Glob(os.DirFS(c.dir), markPrefix+"*")
	for _, name := range marks {
		path := filepath.Join(c.dir, name)
		if info, e := os.Lstat(path); e == nil && now.Sub(info.ModTime()) > age {
			err = errors.Join(err, os.Remove(path))
		}
	}
	if err != nil {
		c.warn("the cache of compiled adapters grows", err)
	}
}

// checksum returns a text that changes if the files are damaged by accident: their
// names, sizes and CRCs.
func checksum(files []string) (string, error) {
	h := crc32.New(castagnoli)
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

// openCache opens wazero's cache of compiled code for one version. Closing it frees the
// code. It is in memory, and also in files if dir isn't "".
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
