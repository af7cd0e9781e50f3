package wasm

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// makePrivate makes a directory and a folder in it, unless they exist. The error says
// why one of them, or a directory above them, is not safe from other users.
func makePrivate(dir, folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	for _, path := range []string{folder, dir} {
		if err := checkPrivate(path, fs.ModeDir); err != nil {
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
		// In a sticky directory, such as /tmp, users can't replace the files of others.
		info, err := os.Lstat(above)
		if err != nil {
			return err
		}
		if err := checkOwner(above, info); err != nil {
			return err
		}
		if info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fmt.Errorf("others can write in %s", above)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

// privateFiles lists the files in an entry's wazero folders, in order. The error says
// why a file or folder is not safe from other users, or is not what it should be.
func privateFiles(entry string) (files []string, err error) {
	list, err := os.ReadDir(entry)
	if err != nil {
		return nil, err
	}
	for _, d := range list {
		path := filepath.Join(entry, d.Name())
		if d.Name() == checksumFile {
			if err := checkPrivate(path, 0); err != nil {
				return nil, err
			}
			continue
		}
		if err := checkPrivate(path, fs.ModeDir); err != nil {
			return nil, err
		}
		inner, err := os.ReadDir(path)
		if err != nil {
			return nil, err
		}
		for _, d := range inner {
			path := filepath.Join(path, d.Name())
			if err := checkPrivate(path, 0); err != nil {
				return nil, err
			}
			files = append(files, path)
		}
	}
	return files, nil
}

// checkPrivate checks that path has the given type, belongs to this user or to root, and
// can't be written by anybody else. A link is neither a file nor a directory.
func checkPrivate(path string, kind fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if info.Mode().Type() != kind {
		return fmt.Errorf("%s is a %s", path, kindName(info.Mode()))
	}
	if err := checkOwner(path, info); err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others can write to %s: chmod go-w %[1]s, if nobody has", path)
	}
	return nil
}

// checkOwner checks that something belongs to this user or to root.
func checkOwner(path string, info fs.FileInfo) error {
	if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Uid != 0 && int(s.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d", path, s.Uid)
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
