package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host"
)

// reloader puts a changed configuration or module into the running gateway: when
// a file changes, at SIGHUP, and when "kai reload" asks for it.
type reloader struct {
	host *host.Host
	log  *slog.Logger
	file string // what the command line names, or ""

	started   config.Server // what the configuration was at the start
	elsewhere bool          // the command line says where to serve

	files   map[string]source // what the gateway runs on, or refused last
	watcher *fsnotify.Watcher // nil where the system has none
	hup     chan os.Signal    // SIGHUP
	asked   chan chan error   // by "kai reload"; gets the outcome
}

const (
	// pollEvery is how often the files' digests are taken. That finds changes that
	// the system doesn't tell of, as on network file systems and some container
	// mounts, and those of tools that give every file they write the same time.
	pollEvery = 2 * time.Second
	// settleFor is how long files must stay the same before they are read: an
	// editor or a compiler may be in the middle of writing.
	settleFor = 40 * time.Millisecond
	// settleAtMost ends the wait for a file that is written without a pause.
	settleAtMost = 10 * time.Second
	// swapTime bounds the compilation of new modules.
	swapTime = 2 * time.Minute
)

// newReloader begins to watch. From here on SIGHUP doesn't end the process.
func newReloader(h *host.Host, log *slog.Logger, file string, started config.Server, files map[string]source) *reloader {
	r := &reloader{
		host: h, log: log, file: file, started: started, files: files, hup: make(chan os.Signal, 1), asked: make(chan chan error),
	}
	signal.Notify(r.hup, syscall.SIGHUP)
	w, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("files are only looked at every two seconds", "err", err)
		return r
	}
	r.watcher = w
	r.watch()
	return r
}

// address is where a configuration wants to be served.
func address(c config.Server) string {
	return net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
}

// watch watches the directories of the files, for a rename replaces the file
// and not its directory. One that was watched before may have been replaced
// itself. Those that can't be watched are left to the poll.
func (r *reloader) watch() {
	if r.watcher == nil {
		return
	}
	for path := range r.files {
		r.watcher.Add(filepath.Dir(path))
	}
}

// run reloads until ctx ends.
func (r *reloader) run(ctx context.Context) {
	defer signal.Stop(r.hup)
	var events <-chan fsnotify.Event
	var failures <-chan error
	if r.watcher != nil {
		defer r.watcher.Close()
		events, failures = r.watcher.Events, r.watcher.Errors
	}
	poll := time.NewTicker(pollEvery)
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.hup:
			r.reload(ctx, "SIGHUP")
		case reply := <-r.asked:
			reply <- r.reload(ctx, "kai reload")
		case e := <-events:
			if r.concerns(e) && touched(r.files) {
				r.reloadChanged(ctx)
			}
		case <-poll.C:
			if differ(r.files) {
				r.reloadChanged(ctx)
			}
		case err := <-failures:
			r.log.Debug("watching files", "err", err)
		}
	}
}

// concerns reports whether an event may be about a file of the gateway. Others in
// the same directory may be written all the time, but one that is new may be a
// link or directory on the way to ours, as in a mounted ConfigMap.
func (r *reloader) concerns(e fsnotify.Event) bool {
	if e.Has(fsnotify.Create) {
		return true
	}
	for path := range r.files {
		if filepath.Base(path) == filepath.Base(e.Name) {
			return true
		}
	}
	return false
}

// reloadChanged reloads if a file holds something else than the gateway runs on,
// once it has come to rest. The files are read meanwhile, for that takes as long
// when shipped adapters must be unpacked.
func (r *reloader) reloadChanged(ctx context.Context) {
	var n next
	for deadline := time.Now().Add(settleAtMost); ; {
		before := map[string]source{}
		for path := range r.files {
			before[path] = look(path)
		}
		n = r.read()
		select {
		case <-time.After(settleFor - time.Since(n.begin)):
		case <-ctx.Done():
			return
		}
		if !touched(before) || time.Now().After(deadline) {
			break
		}
	}
	changed := false
	for path, s := range r.files {
		changed = changed || n.modules.read(path).digest != s.digest
	}
	if changed {
		r.take(ctx, "changed file", n)
		return
	}
	for path := range r.files {
		r.files[path] = n.modules.read(path).source
	}
	r.watch()
}

// reload reads everything again and swaps it in.
func (r *reloader) reload(ctx context.Context, why string) error {
	return r.take(ctx, why, r.read())
}

// next is a new state as it was read.
type next struct {
	begin   time.Time
	modules *modules
	config  *config.Config
	err     error
}

func (r *reloader) read() next {
	n := next{begin: time.Now(), modules: newModules()}
	n.modules.uninspected = true // Swap finds out more, and says it as well
	n.config, n.err = readConfig(r.file, n.modules)
	return n
}

// take swaps in what was read. The outcome is logged.
func (r *reloader) take(ctx context.Context, why string, n next) error {
	c, err := n.config, n.err
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, swapTime)
		defer cancel()
		err = r.host.Swap(bounded, c, n.modules.get)
	} else {
		r.host.Refuse(err)
	}
	if err != nil {
		// What the gateway runs on stays watched, so that undoing the change is
		// noticed, too.
		for path := range r.files {
			n.modules.file(path)
		}
	}
	r.files = n.modules.files
	r.watch()
	if err != nil {
		for _, line := range problemLines(err) {
			r.log.Error("reload refused, the configuration before keeps serving", "why", why, "err", line)
		}
		return err
	}
	for _, w := range c.Warnings {
		r.log.Warn(w)
	}
	if was, now := address(r.started), address(c.Server); !r.elsewhere && was != now {
		r.log.Warn("server.host and server.port change with the next start only", "served", was, "configured", now)
	}
	if was, now := r.started.ReadHeaderTimeout, c.Server.ReadHeaderTimeout; was != now {
		r.log.Warn("server.read_header_timeout changes with the next start only", "used", was.String(), "configured", now.String())
	}
	r.log.Info("reloaded", "why", why, "models", len(c.Models), "duration_ms", time.Since(n.begin).Milliseconds())
	return nil
}

// ask is reload for another goroutine than run's.
func (r *reloader) ask(ctx context.Context) error {
	reply := make(chan error, 1)
	select {
	case r.asked <- reply:
	case <-ctx.Done():
		return fmt.Errorf("kai is stopping")
	}
	return <-reply
}
