// Package ledger keeps sets of small values in a file, such as counts, so that they survive the
// end of the process. The file is whole whenever the process or the machine stops: it has all
// of a write, or nothing of it.
package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var errUsed = errors.New("another process has it open: each gateway needs a file of its own")

// ErrBroken is the error for a file in which something else stands than a ledger's values.
var ErrBroken = errors.New("it is no ledger, or a broken one: name another file, or move this one away, and with it what was used and spent")

// patience is how long Open waits for an earlier process to let go of the file.
const patience = time.Second

// File is an open ledger. Only one goroutine may use it at a time.
type File struct {
	db   *bbolt.DB
	sets []string
}

// Open opens the file at path, or makes it, and returns what is in each of some sets by its
// name. The name of a set also tells the form of its values: with another form, a set needs
// another name. No other process can open the file until it is closed.
func Open(path string, sets ...string) (*File, []map[string][]byte, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: patience, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if err != nil {
		return nil, nil, explain(path, err)
	}
	all := make([]map[string][]byte, len(sets))
	err = db.Update(func(tx *bbolt.Tx) error {
		for i, set := range sets {
			b, err := tx.CreateBucketIfNotExists([]byte(set))
			if err != nil {
				return err
			}
			all[i] = map[string][]byte{}
			if err := b.ForEach(func(name, value []byte) error {
				all[i][string(name)] = append([]byte{}, value...)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		db.Close()
		return nil, nil, explain(path, err)
	}
	return &File{db, sets}, all, nil
}

// Check returns why Open would refuse what is in the file at path; nil if there is no file, or
// nothing in it. It changes nothing. It returns nil, too, if another process has the file open.
func Check(path string) error {
	if info, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil
	}
	db, err := bbolt.Open(path, 0, &bbolt.Options{Timeout: time.Millisecond, ReadOnly: true})
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil
	}
	if err != nil {
		return explain(path, err)
	}
	return db.Close()
}

// explain says what to do about a file that can't be opened.
func explain(path string, err error) error {
	if errors.Is(err, bolterrors.ErrTimeout) {
		return fmt.Errorf("%s: %w", path, errUsed)
	}
	for _, broken := range []error{bolterrors.ErrInvalid, bolterrors.ErrChecksum, bolterrors.ErrVersionMismatch} {
		if errors.Is(err, broken) {
			return fmt.Errorf("%s: %w", path, ErrBroken)
		}
	}
	return err
}

// Put writes values of the sets, in the order in which Open got these, in one step. A value
// that is nil is removed. When it returns, they are on the disk.
func (f *File) Put(values ...map[string][]byte) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		for i, of := range values {
			b := tx.Bucket([]byte(f.sets[i]))
			for name, value := range of {
				err := error(nil)
				if value == nil {
					err = b.Delete([]byte(name))
				} else {
					err = b.Put([]byte(name), value)
				}
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// Close closes the file.
func (f *File) Close() error { return f.db.Close() }
