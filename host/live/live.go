// Package live keeps a running gateway at what its files hold: it watches the
// configuration, the secret files and modules that it names, and swaps in what
// changed.
//
// What can't be taken is refused, and the gateway goes on with what it has. Files
// are read when they have come to rest, once each, so the gateway never runs on two
// states of one file. The package prints nothing and knows no command line.
package live

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/kai-gateway/kai/config"
)

// Gateway is what is kept up to date: a *host.Host.
type Gateway interface {
	Swap(ctx context.Context, c *config.Config, module func(plugin string) ([]byte, error)) error
	Refuse(err error)
}

// Options configures New. Gateway, Config and Files are required.
type Options struct {
	Gateway Gateway
	Config  *config.Config // what the gateway was started with
	Files   *Files         // what that was read from
	Logger  *slog.Logger   // gets the outcome of every reload; default: discard

	OnSIGHUP   bool // reload at SIGHUP, which doesn't end the process from New on
	OwnAddress bool // it is not served at server.host and server.port, so their changes are no news
}

// Reloader puts a changed configuration or module into a running gateway: when a
// file changes, at SIGHUP, and when Reload asks for it. Run does the work.
type Reloader struct {
	opts    Options
	log     *slog.Logger
	started config.Server // the configuration's at the start

	files   map[string]state  // what the gateway runs on, or refused last
	watcher *fsnotify.Watcher // nil where the system has none
	hup     chan os.Signal    // SIGHUP
	asked   chan request      // by Reload
}

// request is a call of Reload.
type request struct {
	why     string
	outcome chan error
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
)

// SwapTimeout bounds the compilation of new modules in one reload.
const SwapTimeout = 2 * time.Minute

// New begins to watch.
func New(o Options) *Reloader {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Reloader{
		opts: o, log: o.Logger, started: o.Config.Server, files: o.Files.asked,
		hup: make(chan os.Signal, 1), asked: make(chan request),
	}
	if o.OnSIGHUP {
		signal.Notify(r.hup, syscall.SIGHUP)
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		r.log.Warn("files are only looked at every two seconds", "err", err)
		return r
	}
	r.watcher = w
	r.watch()
	return r
}

// watch watches the directories of the files, for a rename replaces the file
// and not its directory. One that was watched before may have been replaced
// itself. Those that can't be watched are left to the poll.
func (r *Reloader) watch() {
	if r.watcher == nil {
		return
	}
	for path := range r.files {
		r.watcher.Add(filepath.Dir(path))
	}
}

// Run reloads until ctx ends. It is called once.
func (r *Reloader) Run(ctx context.Context) {
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
		case a := <-r.asked:
			a.outcome <- r.reload(ctx, a.why)
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
func (r *Reloader) concerns(e fsnotify.Event) bool {
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
func (r *Reloader) reloadChanged(ctx context.Context) {
	var n next
	for deadline := time.Now().Add(settleAtMost); ; {
		before := map[string]state{}
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
		changed = changed || n.files.read(path).digest != s.digest
	}
	if changed {
		r.take(ctx, "changed file", n)
		return
	}
	for path := range r.files {
		r.files[path] = n.files.read(path).state
	}
	r.watch()
}

// reload reads everything again and swaps it in.
func (r *Reloader) reload(ctx context.Context, why string) error {
	return r.take(ctx, why, r.read())
}

// next is a new state as it was read.
type next struct {
	begin  time.Time
	files  *Files
	config *config.Config
	err    error
}

func (r *Reloader) read() next {
	n := next{begin: time.Now(), files: NewFiles(r.opts.Files.source)}
	n.files.uninspected = true // Swap finds out more, and says it as well
	n.config, n.err = n.files.Config()
	return n
}

// take swaps in what was read. The outcome is logged.
func (r *Reloader) take(ctx context.Context, why string, n next) error {
	c, err := n.config, n.err
	if err == nil {
		bounded, cancel := context.WithTimeout(ctx, SwapTimeout)
		defer cancel()
		err = r.opts.Gateway.Swap(bounded, c, n.files.Module)
	} else {
		r.opts.Gateway.Refuse(err)
	}
	if err != nil {
		// What the gateway runs on stays watched, so that undoing the change is
		// noticed, too.
		for path := range r.files {
			n.files.file(path)
		}
	}
	r.files = n.files.asked
	r.watch()
	if err != nil {
		for _, line := range Problems(err) {
			r.log.Error("reload refused, the configuration before keeps serving", "why", why, "err", line)
		}
		return err
	}
	for _, w := range c.Warnings {
		r.log.Warn(w)
	}
	if was, now := r.started.Address(), c.Server.Address(); !r.opts.OwnAddress && was != now {
		r.log.Warn("server.host and server.port change with the next start only", "served", was, "configured", now)
	}
	if was, now := r.started.ReadHeaderTimeout, c.Server.ReadHeaderTimeout; was != now {
		r.log.Warn("server.read_header_timeout changes with the next start only", "used", was.String(), "configured", now.String())
	}
	r.log.Info("reloaded", "why", why, "models", len(c.Models), "duration_ms", time.Since(n.begin).Milliseconds())
	return nil
}

// Reload reads everything again and has it swapped in; why is for the log. It waits
// for the outcome, while Run runs. The error is *config.Problems where the files or
// their adapters are to blame.
func (r *Reloader) Reload(ctx context.Context, why string) error {
	a := request{why, make(chan error, 1)}
	select {
	case r.asked <- a:
	case <-ctx.Done():
		return errors.New("kai is stopping")
	}
	return <-a.outcome
}

// Problems says what is wrong, a line each; none for nil.
func Problems(err error) []string {
	if err == nil {
		return nil
	}
	problems, ok := errors.AsType[*config.Problems](err)
	if !ok {
		return []string{err.Error()}
	}
	lines := make([]string, len(problems.List))
	for i, p := range problems.List {
		lines[i] = p.String()
	}
	return lines
}
