// Package ledger keeps counts in a file, so that they survive the end of the process. The
// file is whole whenever the process or the machine stops: it has all of a write, or
// nothing of it.
package ledger

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	bucket  = []byte("counts 1") // with the version of what is in it
	errUsed = errors.New("another process has it open: each gateway needs a file of its own")
)

// patience is how long Open waits for the process before this one to let go.
const patience = time.Second

// File is an open ledger. Only one goroutine may use it at a time.
type File struct{ db *bbolt.DB }

// Open opens the file at path, or makes it, and returns what is in it by its name. No other
// process can open it until it is closed.
func Open(path string) (*File, map[string][]byte, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: patience, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType})
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = errUsed
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open the ledger %s: %w", path, err)
	}
	all := map[string][]byte{}
	err = db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists(bucket)
		if err != nil {
			return err
		}
		return b.ForEach(func(name, value []byte) error {
			all[string(name)] = append([]byte(nil), value...)
			return nil
		})
	})
	if err != nil {
		db.Close()
		return nil, nil, fmt.Errorf("read the ledger %s: %w", path, err)
	}
	return &File{db}, all, nil
}

// Put writes values in one step. When it returns, they are on the disk.
func (f *File) Put(values map[string][]byte) error {
	return f.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(bucket)
		for name, value := range values {
			if err := b.Put([]byte(name), value); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close lets go of the file.
func (f *File) Close() error { return f.db.Close() }
