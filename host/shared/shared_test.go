package shared

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kai-gateway/kai/internal/testkit/mock"
	"github.com/kai-gateway/kai/internal/testkit/redis"
)

const secret = "0123456789abcdef0123456789abcdef"

func open(t testing.TB, o Options) *Client {
	t.Helper()
	if o.Secret == "" {
		o.Secret = secret
	}
	if o.Timeout == 0 {
		o.Timeout = 2 * time.Second
	}
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// count adds one to a number, and returns it.
func count(t testing.TB, c *Client) int64 {
	t.Helper()
	n, err := c.Script(`return {redis.call('INCR', KEYS[1])}`)(t.Context(), []string{c.Key("b", "x")}, nil)
	if err != nil || len(n) != 1 {
		t.Fatal(n, err)
	}
	return n[0]
}

// certificate makes one for this machine, and returns the files of it and of its key.
func certificate(t *testing.T) (cert, key string, pool *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secretPart, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool = x509.NewCertPool()
	written := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(written)
	if err := errors.Join(os.WriteFile(cert, written, 0o600), os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secretPart}), 0o600)); err != nil {
		t.Fatal(err)
	}
	return cert, key, pool
}

// saying is the address of a server that answers everything with one line.
func saying(t *testing.T, line string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				for some := make([]byte, 4<<10); ; {
					if _, err := c.Read(some); err != nil {
						return
					}
					if _, err := c.Write([]byte(line + "\r\n")); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return l.Addr().String()
}

// TestAStoreThatRefuses: it is told from one that doesn't answer, with what to check, once.
func TestAStoreThatRefuses(t *testing.T) {
	locked, open := redis.Start(t, "--requirepass", "canary-pw"), redis.Start(t)
	for name, tc := range map[string]struct {
		o    Options
		want string
	}{
		"no password":                   {Options{Addresses: []string{locked.Address}}, "shared.password, and the user in shared.url"},
		"a wrong password":              {Options{Addresses: []string{locked.Address}, Password: "canary-wrong"}, "shared.password, and the user in shared.url"},
		"a user that isn't there":       {Options{Addresses: []string{open.Address}, User: "nobody", Password: "canary-wrong"}, "shared.password, and the user in shared.url"},
		"a password where none is":      {Options{Addresses: []string{open.Address}, Password: "canary-wrong"}, "shared.password, and the user in shared.url"},
		"a database that isn't there":   {Options{Addresses: []string{open.Address}, Database: 99}, "the database in shared.url"},
		"it doesn't know AUTH":          {Options{Addresses: []string{saying(t, "-ERR unknown command 'AUTH', with args beginning with: 'canary-pw' ")}, Password: "canary-pw"}, "shared.password, and the user in shared.url"},
		"it repeats what it was sent":   {Options{Addresses: []string{saying(t, "-ERR what is canary-pw?")}, Password: "canary-pw"}, ""},
		"nobody listens":                {Options{Addresses: []string{strings.TrimPrefix(mock.Nowhere(t), "http://")}}, ""},
		"it lets this gateway in":       {Options{Addresses: []string{open.Address}}, ""},
		"it speaks no TLS, as we would": {Options{Addresses: []string{open.Address}, TLS: &tls.Config{}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			tc.o.Secret, tc.o.Logger = secret, slog.New(slog.NewTextHandler(&log, nil))
			c, err := Open(tc.o)
			if err != nil {
				t.Fatal(err)
			}
			got, up := c.Refused(), c.Up()
			c.Close()
			said := log.String()
			if got != tc.want || up != strings.HasPrefix(name, "it lets") {
				t.Errorf("to check: %q, want %q; up: %v", got, tc.want, up)
			}
			if refused := strings.Count(said, "the shared store refuses this gateway"); refused != min(1, len(tc.want)) || !strings.Contains(said, tc.want) || strings.Contains(said, "canary") {
				t.Errorf("the log says %s", said)
			}
			if hint := "instead of rediss://"; strings.Contains(said, hint) != (tc.o.TLS != nil) {
				t.Errorf("the log says %s", said)
			}
		})
	}
}

// TestItIsReached connects in every way there is.
func TestItIsReached(t *testing.T) {
	cert, key, pool := certificate(t)
	for name, start := range map[string]func(t *testing.T) Options{
		"a server": func(t *testing.T) Options { return Options{Addresses: []string{redis.Start(t).Address}} },
		"with a password and a database": func(t *testing.T) Options {
			return Options{Addresses: []string{redis.Start(t, "--requirepass", "pw").Address}, Password: "pw", Database: 3}
		},
		"with a user": func(t *testing.T) Options {
			r := redis.Start(t)
			r.Do("ACL", "SETUSER", "kai", "on", ">pw", "~*", "&*", "+@all")
			return Options{Addresses: []string{r.Address}, User: "kai", Password: "pw"}
		},
		"by a user who may do nothing else": func(t *testing.T) Options {
			r := redis.Start(t)
			r.Do("ACL", "SETUSER", "kai", "on", ">pw", "~{kai}:*", "&kai:*", "+@read", "+@write", "+eval", "+evalsha", "+publish", "+subscribe", "+time")
			return Options{Addresses: []string{r.Address}, User: "kai", Password: "pw"}
		},
		"by TLS": func(t *testing.T) Options {
			address := redis.Free(t)
			_, port, _ := net.SplitHostPort(address)
			redis.Start(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
			return Options{Addresses: []string{address}, TLS: &tls.Config{RootCAs: pool}}
		},
		"by a socket": func(t *testing.T) Options {
			dir, err := os.MkdirTemp("", "redis") // the path of a socket is short
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			path := filepath.Join(dir, "s")
			redis.Start(t, "--unixsocket", path)
			return Options{Addresses: []string{path}, Socket: true}
		},
		"by a sentinel": func(t *testing.T) Options {
			return Options{Addresses: []string{"127.0.0.1:1", redis.StartSentinel(t, "main", redis.Start(t)).Address}, Sentinel: "main"}
		},
		"the one of a cluster that has the keys": func(t *testing.T) Options {
			var o Options
			for _, s := range redis.StartCluster(t, 0) {
				o.Addresses = append(o.Addresses, s.Address)
			}
			return o
		},
		"where only the second one answers": func(t *testing.T) Options {
			return Options{Addresses: []string{"127.0.0.1:1", redis.Start(t).Address}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := open(t, start(t))
			if !c.Up() || count(t, c) != 1 || count(t, c) != 2 {
				t.Fatal("it is not reached")
			}
			if err := c.Put(t.Context(), []Value{{"a", []byte("1")}, {"b", []byte("2")}}, time.Minute); err != nil {
				t.Fatal(err)
			}
			got, err := c.Get(t.Context(), []string{"b", "c", "a"}, time.Minute)
			if err != nil || string(got[0]) != "2" || got[1] != nil || string(got[2]) != "1" {
				t.Errorf("%q, %v", got, err)
			}
			told := make(chan string, 9)
			c.Follow("board", func(_, text string) { told <- text })
			if err := c.Note(t.Context(), "board", "x", "text"); err != nil {
				t.Fatal(err)
			}
			if got := <-told; got != "text" {
				t.Errorf("told %q", got)
			}
		})
	}
}

func TestACertificateOfOthersIsRefused(t *testing.T) {
	cert, key, _ := certificate(t)
	address := redis.Free(t)
	_, port, _ := net.SplitHostPort(address)
	redis.Start(t, "--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert, "--tls-auth-clients", "no")
	if c := open(t, Options{Addresses: []string{address}, TLS: &tls.Config{RootCAs: x509.NewCertPool()}}); c.Up() {
		t.Error("it is trusted")
	}
}

// TestTrapAClusterWithKeysInSeveralSlots: from whichever node a gateway comes, it counts at
// the same one.
func TestTrapAClusterWithKeysInSeveralSlots(t *testing.T) {
	cluster := redis.StartCluster(t, 0)
	for i, s := range cluster {
		if got := count(t, open(t, Options{Addresses: []string{s.Address}})); got != int64(i+1) {
			t.Errorf("it counts %d, want %d", got, i+1)
		}
	}
	told := make(chan string, 9)
	c := open(t, Options{Addresses: []string{cluster[0].Address}})
	c.Follow("board", func(_, text string) { told <- text })
	if err := open(t, Options{Addresses: []string{cluster[2].Address}}).Note(t.Context(), "board", "x", "text"); err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != "text" {
		t.Errorf("told %q", got)
	}
}

func TestANoteReachesAllGateways(t *testing.T) {
	r := redis.Start(t)
	one, other := open(t, Options{Addresses: []string{r.Address}}), open(t, Options{Addresses: []string{r.Address}})
	if err := one.Note(t.Context(), "board", "canary-name", "canary-text"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var told []string
	other.Follow("board", func(name, text string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, name+" "+text)
	})
	has := func(want string) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return len(told) > 0 && told[len(told)-1] == want }
	}
	until(t, "what was told before", has(one.NameOf("board", "canary-name")+" canary-text"))
	if err := one.Note(t.Context(), "board", "other", "second"); err != nil {
		t.Fatal(err)
	}
	until(t, "what is told now", has(one.NameOf("board", "other")+" second"))
	r.Do("CLIENT", "KILL", "TYPE", "normal")
	r.Do("CLIENT", "KILL", "TYPE", "pubsub")
	until(t, "both are back", func() bool { return one.Note(t.Context(), "board", "third", "third") == nil && other.Up() })
	until(t, "what is told after the connection ended", has(one.NameOf("board", "third")+" third"))
	if dump := r.Dump(); bytes.Contains(dump, []byte("canary")) {
		t.Error("a note is in the dump as it is")
	}
	if err := one.Forget(t.Context(), "board", one.NameOf("board", "third")); err != nil {
		t.Error(err)
	}
}

// TestNobodyCanMakeUpAValue writes into the store what nobody has sealed for that place.
func TestNobodyCanMakeUpAValue(t *testing.T) {
	r := redis.Start(t)
	c := open(t, Options{Addresses: []string{r.Address}})
	if err := c.Put(t.Context(), []Value{{"a", []byte("canary")}, {"empty", nil}}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(t.Context(), []string{"empty"}, 0); err != nil || got[0] == nil || len(got[0]) != 0 {
		t.Errorf("an empty value comes back as %v, %v", got, err)
	}
	stranger := open(t, Options{Addresses: []string{r.Address}, Secret: "another one of some length"})
	if got, err := stranger.Get(t.Context(), []string{"a"}, 0); err != nil || got[0] != nil {
		t.Errorf("with another secret: %q, %v", got, err)
	}
	r.Do("COPY", c.Key("v", "a"), c.Key("v", "b"))
	r.Do("SETRANGE", c.Key("v", "a"), "20", "xxxxxxxx")
	if got, err := c.Get(t.Context(), []string{"b", "a"}, 0); err != nil || got[0] != nil || got[1] != nil {
		t.Errorf("at another place, and changed: %q, %v", got, err)
	}
	if err := c.Delete(t.Context(), []string{"a", "empty"}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Get(t.Context(), []string{"empty"}, 0); err != nil || got[0] != nil {
		t.Errorf("it is not deleted: %q, %v", got, err)
	}
}

// TestTrapEachFailureIsLogged: there is one line for each change, and nobody waits for what
// is known to be away.
func TestTrapEachFailureIsLogged(t *testing.T) {
	r := redis.Start(t)
	var log syncBuffer
	c := open(t, Options{Addresses: []string{r.Address}, Timeout: 50 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	count(t, c)
	var mu sync.Mutex
	var changes []bool
	c.Watch(func() { mu.Lock(); defer mu.Unlock(); changes = append(changes, c.Up()) })
	r.Pause()
	run := c.Script(`return {1}`)
	begun := time.Now()
	for range 10_000 {
		if _, err := run(t.Context(), nil, nil); err == nil {
			t.Fatal("a server that stands still answers")
		}
	}
	if took := time.Since(begun); took > time.Minute { // waiting each time would take eight
		t.Errorf("10,000 requests took %v", took)
	}
	r.Resume()
	until(t, "it is back", c.Up)
	until(t, "both changes are told", func() bool { mu.Lock(); defer mu.Unlock(); return len(changes) >= 2 })
	if n := strings.Count(log.String(), "can't be reached"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	count(t, c)
}

// syncBuffer is a buffer that may be read while others write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestAServerThatComesLaterIsFound(t *testing.T) {
	address := redis.Free(t)
	c := open(t, Options{Addresses: []string{address}})
	if c.Up() {
		t.Fatal("nobody is reached")
	}
	if _, err := c.Script("return {1}")(t.Context(), nil, nil); !errors.Is(err, ErrAway) {
		t.Errorf("error = %v", err)
	}
	_, port, _ := net.SplitHostPort(address)
	redis.StartAt(t, port)
	until(t, "it is reached", c.Up)
	count(t, c)
}

func TestWhatTheServerSaysOfItself(t *testing.T) {
	for info, want := range map[string]string{
		"redis_version:6.0.16\r\n":                                      "older than Redis 6.2",
		"redis_version:5.0.7\r\n":                                       "older than Redis 6.2",
		"redis_version:6.2.0\r\nrole:slave\r\n":                         "is a replica",
		"redis_version:7.2.4\r\nmaxmemory_policy:allkeys-lru\r\n":       "LOG noeviction",
		"redis_version:7.2.4\r\naof_enabled:0\r\n":                      "LOG appendonly",
		"redis_version:8.0.0\r\nrole:master\r\naof_enabled:1\r\n":       "",
		"what is this\r\nredis_version:\r\nmaxmemory_policy:noeviction": "",
	} {
		var log bytes.Buffer
		c := &Client{o: Options{Durable: true, Logger: slog.New(slog.NewTextHandler(&log, nil))}}
		err := c.examine(info)
		got := ""
		if err != nil {
			got = err.Error()
		} else if log.Len() > 0 {
			got = "LOG " + log.String()
		}
		words := strings.SplitN(want, " ", 2)
		if (got == "") != (want == "") || !strings.HasPrefix(got, "LOG") && !strings.Contains(got, want) || strings.HasPrefix(got, "LOG") && !strings.Contains(got, words[len(words)-1]) {
			t.Errorf("%q: %q, want %q", info, got, want)
		}
	}
}

func TestReplies(t *testing.T) {
	for text, want := range map[string]string{
		"+OK\r\n":                        "+OK",
		"-ERR no\r\n":                    "-ERR no",
		":-12\r\n":                       ":-12",
		"$5\r\na\r\nbc\r\n":              "$a\r\nbc",
		"$0\r\n\r\n":                     "$",
		"$-1\r\n":                        "nothing",
		"*-1\r\n":                        "nothing",
		"*3\r\n:1\r\n$1\r\nx\r\n$-1\r\n": "[:1 $x nothing]",
		"*0\r\n":                         "[]",
		"*1\r\n*0\r\n":                   "error",
		"*1048577\r\n":                   "error",
		"$134217729\r\n":                 "error",
		"$-2\r\n":                        "error",
		"$1\r\nxyz":                      "error",
		"?\r\n":                          "error",
		"\r\n":                           "error",
		"+OK\n":                          "error",
		":9x\r\n":                        "error",
		"$3\r\nab":                       "error",
	} {
		r, err := readReply(bufio.NewReader(strings.NewReader(text)))
		got := shown(&r)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func shown(r *reply) string {
	switch r.kind {
	case 0:
		return "nothing"
	case ':':
		return fmt.Sprint(":", r.n)
	case '*':
		all := make([]string, len(r.items))
		for i := range r.items {
			all[i] = shown(&r.items[i])
		}
		return "[" + strings.Join(all, " ") + "]"
	}
	return string(r.kind) + string(r.text)
}

// FuzzReply reads what any server may send.
func FuzzReply(f *testing.F) {
	for _, seed := range []string{"+OK\r\n", "*2\r\n$3\r\nabc\r\n:1\r\n", "-MOVED 3999 127.0.0.1:6381\r\n", "$134217728\r\nx"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readReply(bufio.NewReader(bytes.NewReader(b)))
		if err == nil && len(r.text) > len(b) {
			t.Error("there is more than came")
		}
		_ = moved(r.err(), "127.0.0.1:6379")
	})
}

// TestTrapAnswersAreMixedUp asks on one connection from many goroutines, some of which give up.
func TestTrapAnswersAreMixedUp(t *testing.T) {
	r := redis.Start(t)
	c := open(t, Options{Addresses: []string{r.Address}})
	echo := c.Script(`return {tonumber(ARGV[1])}`)
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			for j := range 100 {
				want := int64(i*1000 + j)
				ctx, cancel := t.Context(), context.CancelFunc(func() {})
				if j%10 == 9 {
					ctx, cancel = context.WithTimeout(ctx, time.Duration(j)*time.Microsecond)
				}
				got, err := echo(ctx, nil, []string{fmt.Sprint(want)})
				cancel()
				if err == nil && got[0] != want || err != nil && j%10 != 9 && !errors.Is(err, ErrAway) {
					t.Errorf("got %v, %v, want %d", got, err, want)
				}
			}
		})
	}
	all.Wait()
	until(t, "it is there", c.Up)
}

// TestTrapCountsAreEvicted: when the server's memory is nearly full, values are not put
// there, and counting goes on.
func TestTrapCountsAreEvicted(t *testing.T) {
	r := redis.Start(t, "--maxmemory", "8mb")
	c := open(t, Options{Addresses: []string{r.Address}})
	large := []Value{{"large", make([]byte, 1<<20)}}
	var err error
	for i := 0; i < 20 && err == nil; i++ {
		large[0].Name = fmt.Sprint(i)
		c.looked.Store(0)
		err = c.Put(t.Context(), large, time.Minute)
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("error = %v", err)
	}
	if count(t, c) != 1 || !c.Up() {
		t.Error("nothing is counted any more")
	}
}

// TestAnotherMasterIsFound ends the master that a sentinel watches: its replica takes over,
// and is counted at.
func TestAnotherMasterIsFound(t *testing.T) {
	master := redis.Start(t)
	host, port, _ := net.SplitHostPort(master.Address)
	replica := redis.Start(t, "--replicaof", host+" "+port)
	until(t, "the replica follows", func() bool { return strings.Contains(replica.Do("INFO", "replication"), "master_link_status:up") })
	sentinel := redis.StartSentinel(t, "main", master)
	c := open(t, Options{Addresses: []string{sentinel.Address}, Sentinel: "main", Timeout: 500 * time.Millisecond})
	if count(t, c) != 1 {
		t.Fatal("it is not the first count")
	}
	until(t, "the replica has it", func() bool { return strings.Contains(replica.Do("DBSIZE"), ":1") })
	until(t, "the sentinel knows the replica", func() bool { return strings.Contains(sentinel.Do("SENTINEL", "REPLICAS", "main"), "name") })
	told := make(chan string, 9)
	c.Follow("board", func(_, text string) { told <- text })
	master.Kill()
	run := c.Script(`return {redis.call('INCR', KEYS[1])}`)
	until(t, "the replica is counted at", func() bool {
		n, err := run(t.Context(), []string{c.Key("b", "x")}, nil)
		return err == nil && n[0] == 2
	})
	if err := c.Note(t.Context(), "board", "x", "text"); err != nil {
		t.Fatal(err)
	}
	if got := <-told; got != "text" {
		t.Errorf("told %q", got)
	}
}

// TestTrapAStoreThatRefusesScriptsFlaps: it answers whoever looks whether it is back, and
// nothing else. Each time it goes, it is left alone for longer.
func TestTrapAStoreThatRefusesScriptsFlaps(t *testing.T) {
	r := redis.Start(t)
	r.Do("ACL", "SETUSER", "kai", "on", ">pw", "~{kai}:*", "&kai:*", "+@read", "+@write", "+publish", "+subscribe", "+time")
	var log syncBuffer
	c := open(t, Options{Addresses: []string{r.Address}, User: "kai", Password: "pw", Logger: slog.New(slog.NewTextHandler(&log, nil))})
	run := c.Script(`return {1}`)
	begun := time.Now()
	until(t, "it goes three times", func() bool {
		if _, err := run(t.Context(), nil, nil); err == nil {
			t.Fatal("a script runs")
		}
		return strings.Count(log.String(), "can't be reached") >= 3
	})
	if took := time.Since(begun); took < firstWait {
		t.Errorf("it went three times within %v", took)
	}
}
