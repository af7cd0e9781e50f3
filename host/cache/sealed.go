package cache

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"time"
)

// Values keep bytes by name for others, too, such as a server that several gateways share.
// They are safe for concurrent use.
type Values interface {
	// Value returns the bytes of a name; nil without an error if there are none.
	Value(ctx context.Context, name string) ([]byte, error)

	// SetValue keeps bytes for at most ttl.
	SetValue(ctx context.Context, name string, value []byte, ttl time.Duration) error
}

// Sealed is a Store in values that others may read and write. Who reads them learns no
// answer and no request, and who writes there, or puts an entry elsewhere, forges none:
// each is encrypted by AES-256-GCM, bound to its key. What can't be opened isn't there.
type Sealed struct {
	values Values
	wait   time.Duration
	aead   cipher.AEAD
}

var _ Store = (*Sealed)(nil)

// minSecret is how many bytes a secret has at least.
const minSecret = 16

// NewSealed returns a Store in values.
//
//   - secret: the same for all who share the values, of at least 16 bytes
//   - wait: how long a look-up takes at most; after that, there is no entry
func NewSealed(values Values, secret []byte, wait time.Duration) (*Sealed, error) {
	if len(secret) < minSecret {
		return nil, fmt.Errorf("a secret for shared answers needs at least %d bytes", minSecret)
	}
	key, err := hkdf.Key(sha256.New, secret, nil, format, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Sealed{values, wait, aead}, nil
}

// name is where the entry of a key is.
func (k Key) name() string { return "cache:" + hex.EncodeToString(k[:]) }

// Get is [Store].
func (s *Sealed) Get(ctx context.Context, k Key) (Entry, bool) {
	ctx, cancel := context.WithTimeout(ctx, s.wait)
	defer cancel()
	sealed, err := s.values.Value(ctx, k.name())
	if err != nil || len(sealed) < s.aead.NonceSize() {
		return Entry{}, false
	}
	nonce, sealed := sealed[:s.aead.NonceSize()], sealed[s.aead.NonceSize():]
	plain, err := s.aead.Open(nil, nonce, sealed, k[:])
	if err != nil || len(plain) < 8 {
		return Entry{}, false
	}
	made := time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
	return Entry{Value: plain[8:], Made: made}, true
}

// Put is [Store].
func (s *Sealed) Put(ctx context.Context, k Key, e Entry, ttl time.Duration) {
	plain := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(e.Value)), uint64(e.Made.UnixMilli()))
	plain = append(plain, e.Value...)
	nonce := make([]byte, s.aead.NonceSize(), s.aead.NonceSize()+len(plain)+s.aead.Overhead())
	rand.Read(nonce)
	// What can't be kept is asked for once more.
	_ = s.values.SetValue(ctx, k.name(), s.aead.Seal(nonce, nonce, plain, k[:]), ttl)
}
