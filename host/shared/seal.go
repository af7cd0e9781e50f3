package shared

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// keys are made of the secret: one for digests of names, one for values.
type keys struct{ names, values []byte }

const keySize = 32 // AES-256

func newKeys(secret string) (k keys, err error) {
	if secret == "" {
		return k, errors.New("the shared store needs a secret")
	}
	prk, err := hkdf.Extract(sha256.New, []byte(secret), nil)
	if err != nil {
		return k, err
	}
	if k.names, err = hkdf.Expand(sha256.New, prk, "kai shared names 1", keySize); err != nil {
		return k, err
	}
	k.values, err = hkdf.Expand(sha256.New, prk, "kai shared values 1", keySize)
	return k, err
}

// digest stands for a text of a kind. It has 32 hexadecimal digits.
func (k keys) digest(kind string, text []byte) string {
	h := hmac.New(sha256.New, k.names)
	h.Write([]byte(kind))
	h.Write([]byte{0})
	h.Write(text)
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// box is what seals the value of a name. Each name has its own key, so that no number of
// values uses up the nonces of one.
func (k keys) box(name string) (cipher.AEAD, error) {
	key, err := hkdf.Expand(sha256.New, k.values, name, keySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal seals the value of a name.
func (k keys) seal(name string, value []byte) ([]byte, error) {
	box, err := k.box(name)
	if err != nil {
		return nil, err
	}
	return box.Seal(nil, nil, value, []byte(name)), nil
}

// open gives the value of a name; ok is false if it was not sealed by a gateway with the
// same secret, for this name.
func (k keys) open(name string, sealed []byte) (value []byte, ok bool) {
	box, err := k.box(name)
	if err != nil {
		return nil, false
	}
	value, err = box.Open(nil, nil, sealed, []byte(name))
	if err == nil && value == nil {
		value = []byte{}
	}
	return value, err == nil
}

// Key returns the key that stands for a name of a kind. All of them are in one slot of a
// cluster. A name without a kind stands for itself.
func (c *Client) Key(kind, name string) string {
	if kind == "" {
		return "{" + c.o.Prefix + "}:" + name
	}
	return "{" + c.o.Prefix + "}:" + kind + ":" + c.keys.digest(kind, []byte(name))
}

// Digest returns 32 hexadecimal digits that stand for a value: the same ones in every
// gateway with the same secret.
func (c *Client) Digest(value []byte) string { return c.keys.digest("value", value) }
