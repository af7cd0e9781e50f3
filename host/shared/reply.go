package shared

import (
	"bufio"
	"errors"
	"io"
	"strconv"
)

// reply is what the server says, in version 2 of its protocol:
// https://redis.io/docs/latest/develop/reference/protocol-spec/
type reply struct {
	kind  byte // '+' and '$' are texts, ':' a number, '-' an error, '*' a list, 0 nothing
	text  []byte
	n     int64
	items []reply // of a list, none of which is a list
}

// refusal is an error that the server returned: it has done nothing.
type refusal string

func (r refusal) Error() string { return "the shared store refuses: " + string(r) }

// err returns the error that a reply is.
func (r *reply) err() error {
	if r.kind != '-' {
		return nil
	}
	return refusal(r.text[:min(len(r.text), 200)])
}

// Bounds of a reply. Nothing that Kai asks for is larger.
const (
	maxItems = 1 << 20
	maxLine  = 64 << 10
	maxReply = 128 << 20 // bytes
	piece    = 1 << 20   // that is set aside before any of it has come
)

var errReply = errors.New("the shared store's answer breaks its protocol")

// readReply reads one reply.
func readReply(r *bufio.Reader) (reply, error) {
	left := maxReply
	first, err := readItem(r, &left)
	if err != nil || first.kind != '*' {
		return first, err
	}
	n := first.n
	first.n = 0
	if n < 0 {
		return reply{}, nil
	}
	for range n {
		item, err := readItem(r, &left)
		if err != nil {
			return reply{}, err
		}
		if item.kind == '*' {
			return reply{}, errReply
		}
		if left -= 64; left < 0 { // what an item takes besides its text
			return reply{}, errReply
		}
		first.items = append(first.items, item)
	}
	return first, nil
}

// readItem reads a reply, or how many items a list has, into n.
//
//   - left: how many bytes it may have
func readItem(r *bufio.Reader, left *int) (reply, error) {
	line, err := readLine(r)
	if err != nil {
		return reply{}, err
	}
	item := reply{kind: line[0]}
	switch line = line[1:]; item.kind {
	case '+', '-':
		if *left -= len(line); *left < 0 {
			return reply{}, errReply
		}
		item.text = append([]byte{}, line...)
		return item, nil
	case ':', '$', '*':
	default:
		return reply{}, errReply
	}
	if item.n, err = strconv.ParseInt(string(line), 10, 64); err != nil {
		return reply{}, errReply
	}
	switch {
	case item.kind == ':':
		return item, nil
	case item.kind == '*':
		if item.n < -1 || item.n > maxItems {
			return reply{}, errReply
		}
		return item, nil
	case item.n == -1:
		return reply{}, nil
	case item.n < 0 || item.n > int64(*left):
		return reply{}, errReply
	}
	*left -= int(item.n)
	item.text, err = readText(r, int(item.n))
	item.n = 0
	return item, err
}

// readLine reads a line that is not empty, without its end. It is valid until the next read.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, errReply
	case err != nil:
		return nil, err
	case len(line) < 3 || line[len(line)-2] != '\r' || len(line) > maxLine:
		return nil, errReply
	}
	return line[:len(line)-2], nil
}

// readText reads n bytes and the end of the line.
func readText(r *bufio.Reader, n int) ([]byte, error) {
	text := make([]byte, 0, min(n, piece))
	for len(text) < n {
		from := len(text)
		more := min(n-from, piece)
		text = append(text, make([]byte, more)...)
		if _, err := io.ReadFull(r, text[from:]); err != nil {
			return nil, err
		}
	}
	var end [2]byte
	if _, err := io.ReadFull(r, end[:]); err != nil {
		return nil, err
	}
	if end != [2]byte{'\r', '\n'} {
		return nil, errReply
	}
	return text, nil
}
