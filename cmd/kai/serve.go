package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	stdlog "log"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/kai-gateway/kai/cmd/internal/logline"
	"github.com/kai-gateway/kai/cmd/internal/logqueue"
	"github.com/kai-gateway/kai/cmd/internal/pace"
	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
	"github.com/kai-gateway/kai/host/live"
	"github.com/kai-gateway/kai/host/memory"
	"github.com/kai-gateway/kai/host/wasm"
)

// serve runs the gateway until ctx ends or a signal asks it to stop.
func serve(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("serve", flag.ContinueOnError)
	file := f.String("config", "", "")
	hostname := f.String("host", "", "")
	port := f.Int("port", -1, "")
	if code, ok := parse(f, args, 0, stderr); !ok {
		return code
	}
	if *port > 65535 || *port < -1 {
		fmt.Fprintf(stderr, "kai serve: --port %d is not between 0 and 65535\n", *port)
		return exitUsage
	}
	c, files, ok := loadConfig(*file, stderr)
	if !ok {
		return exitUsage
	}
	if *hostname != "" {
		c.Server.Host = *hostname
	}
	if *port >= 0 {
		c.Server.Port = *port
	}

	// The listeners come first: a taken port is known at once, and requests that come
	// while adapters compile wait instead of failing.
	l, adminListener, problem := listen(c)
	if problem != "" {
		fmt.Fprintf(stderr, "kai: %s\n", problem)
		return exitUsage
	}
	stdlog.SetOutput(io.Discard) // net/http would print upstreams' bytes
	// Kai goes on even if the program that reads its log ends.
	signal.Ignore(syscall.SIGPIPE)
	person := isTerminal(stderr)
	level := &slog.LevelVar{}
	log, queue := logger(stderr, c.Log.Format == "text" || c.Log.Format == "auto" && person, level)
	defer queue.Close(flushTime)
	stderr = queue
	h, err := host.New(host.Options{
		Config: c, Module: files.Module, Shipped: shipped, Logger: log, CacheDir: wasm.DefaultCacheDir(), Version: version,
		SetHeapLimit: collector(), LogDropped: queue.Dropped, Stdout: stdout, Level: level, Getenv: os.Getenv,
	})
	if err != nil {
		l.Close()
		closeListener(adminListener)
		printProblems(stderr, err)
		return exitUsage
	}
	defer h.Close()
	files.Forget()

	ctx, stop := stopOnSignal(ctx, log, queue)
	reloads := live.New(live.Options{
		Gateway: h, Config: c, Files: files, Logger: log,
		OnSIGHUP: true, OwnAddress: *hostname != "" || *port >= 0,
	})
	var running sync.WaitGroup
	running.Go(func() { reloads.Run(ctx) })
	control, err := listenControl(ctx, socketPath(l.Addr().(*net.TCPAddr).Port), identityOf(c, l.Addr()), controlled{reloads, h})
	if err != nil {
		log.Warn("kai reload and kai targets will not work; SIGHUP does", "err", err)
	}
	if adminListener != nil {
		running.Go(func() { serveAdmin(ctx, log, h, reloads, adminListener) })
	}
	defer time.AfterFunc(time.Second, memory.GiveBack).Stop() // what starting took
	announce(log, c, l.Addr())                                // only now, when signals and "kai reload" are answered
	running.Go(func() { invite(ctx, stderr, person, log, h, c, l.Addr()) })
	err = h.Serve(ctx, l)
	stop()
	if control != nil {
		control.close()
	}
	running.Wait()
	if err != nil {
		fmt.Fprintf(stderr, "kai: %v\n", err)
		return exitFailed
	}
	return exitDone
}

// identityOf returns what tells this gateway from others, for "kai reload".
func identityOf(c *config.Config, at net.Addr) identity {
	i := identity{PID: os.Getpid(), URL: "http://" + reachable(at)}
	if c.File != "" {
		i.Config = c.File
		if abs, err := filepath.Abs(c.File); err == nil {
			i.Config = abs
		}
	}
	return i
}

// garbage is how many bytes of garbage may pile up in a small heap.
const garbage = 16 << 20

// collector sets how Go's collector works. It returns the function that tells it how large the
// heap may become, or nil if the operator has set GOMEMLIMIT.
func collector() (setLimit func(int64)) {
	pace.Collector(garbage)
	if os.Getenv("GOMEMLIMIT") != "" {
		return nil
	}
	return func(bytes int64) { debug.SetMemoryLimit(bytes) }
}

// listenProblem says why an address can't be served, and what to do.
func listenProblem(address string, err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return address + " is in use already: is Kai running? Stop it or choose another port with --port"
	case errors.Is(err, syscall.EACCES):
		return address + " may not be used by this user: choose a port above 1023 with --port"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return address + " is no address of this machine: check server.host or --host"
	}
	return "can't serve " + address + ": " + err.Error()
}

// How long it may take to write the waiting lines of the log.
const (
	flushTime  = 2 * time.Second        // at the end of the program
	hastyFlush = 100 * time.Millisecond // after a second signal
)

// stopOnSignal ends the context at the first SIGTERM or SIGINT, and the process at the
// second.
func stopOnSignal(ctx context.Context, log *slog.Logger, queue *logqueue.Queue) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	done := make(chan struct{})
	go func() {
		select {
		case s := <-signals:
			cancel()
			log.Info("stopping: requests may finish, a second signal ends them", "signal", s.String())
		case <-done:
			return
		}
		select {
		case <-signals:
			log.Warn("ended by a second signal")
			queue.Close(hastyFlush)
			os.Exit(exitFailed)
		case <-done:
		}
	}()
	return ctx, func() { signal.Stop(signals); close(done); cancel() }
}

// logger returns a logger that writes text or JSON through a queue.
// The caller must close the queue.
func logger(w io.Writer, text bool, level slog.Leveler) (*slog.Logger, *logqueue.Queue) {
	handler := func(w io.Writer) slog.Handler { return logline.New(w, level) }
	if text {
		handler = func(w io.Writer) slog.Handler {
			return slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: shortTime})
		}
	}
	queue := logqueue.New(w, func(lines int) []byte {
		var b bytes.Buffer
		slog.New(handler(&b)).Warn("lines of the log are missing here: whoever takes it was too slow, or could not", "lines", lines)
		return b.Bytes()
	})
	return slog.New(queue.Handler(handler(queue))), queue
}

// isTerminal reports whether w is a terminal, where a person reads.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// shortTime leaves out the date, which a person at a terminal doesn't need.
func shortTime(groups []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey && len(groups) == 0 {
		return slog.String(slog.TimeKey, a.Value.Time().Format(time.TimeOnly))
	}
	return a
}
