// Package live keeps a running gateway up to date with its files. It watches the
// configuration, and the secret files and modules that the configuration names. When
// one changes, it reads them all and swaps the new configuration in.
//
// If the new configuration can't be used, it is refused, and the gateway goes on with
// the one that it has. Files are read after they have stopped changing, and each is
// read once, so the gateway never mixes two states of one file. The package prints
// nothing and knows no command line.
package live

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/kai-gateway/kai/config"
)

// Gateway is the gateway that is kept up to date: a *host.Host.
type Gateway interface {
	Swap(ctx context.Context, c *config.Config, module func(plugin string) ([]byte, error)) error
	Refuse(err error)
}

// Options configures New. Gateway, Config and Files are required.
type Options struct {
	Gateway Gateway
	Config  *config.Config // the configuration that the gateway was started with
	Files   *Files         // the files that Config was read from
	Logger  *slog.Logger   // gets the outcome of every reload; default: discard

	OnSIGHUP   bool // reload at SIGHUP; from New on, the signal doesn't end the process
	OwnAddress bool // the gateway is not served at server.host and server.port, so changes of those need no warning
}

// Reloader puts a changed configuration or module into a running gateway: when a
// file changes, at SIGHUP, and when Reload is called. Run does the work.
type Reloader struct {
	opts    Options
	log     *slog.Logger
	started []any // what the configuration at the start has at startKeys

	files    map[string]state  // the files that the gateway runs on, or that it refused last
	watcher  *fsnotify.Watcher // nil if the system has none
	hup      chan os.Signal    // SIGHUP
	requests chan request      // calls of Reload
}

// request is a call of Reload.
type request struct {
	why     string
	outcome chan outcome
}

// outcome is what came of a call of Reload.
type outcome struct {
	warnings []string
	err      error
}

const (
	// pollEvery is how often the digests of the files are taken. That finds changes
	// that the system doesn't report, as on network file systems and some container
	// mounts, and changes by tools that give every file the same time.
	pollEvery = 2 * time.Second
	// settleFor is how long files must stay the same before they are used: an
	// editor or a compiler may be in the middle of writing.
	settleFor = 40 * time.Millisecond
	// settleAtMost ends the wait for a file that is written without a pause.
	settleAtMost = 10 * time.Second
)

// SwapTimeout is how long the compilation of new modules may take in one reload.
const SwapTimeout = 2 * time.Minute

// New returns a Reloader that has begun to watch the files.
func New(o Options) *Reloader {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Reloader{
		opts: o, log: o.Logger, started: atStart(o.Config), files: o.Files.used,
		hup: make(chan os.Signal, 1), requests: make(chan request),
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

// watch watches the directories of the files, because a rename replaces a file and
// not its directory. It is called again after every reload, since a directory may have
// been replaced, too. Directories that can't be watched are left to polling.
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
		case a := <-r.requests:
			warnings, err := r.reload(ctx, a.why)
			a.outcome <- outcome{warnings, err}
		case e := <-events:
			if r.isRelevant(e) && looksChanged(r.files) {
				r.reloadChanged(ctx)
			}
		case <-poll.C:
			if contentChanged(r.files) {
				r.reloadChanged(ctx)
			}
		case err := <-failures:
			r.log.Debug("watching files", "err", err)
		}
	}
}

// isRelevant reports whether an event may be about one of the gateway's files. Other
// files in the same directory may be written all the time, and are ignored. But one
// that was created may be a link or directory on the way to the gateway's files, as in
// a mounted ConfigMap.
func (r *Reloader) isRelevant(e fsnotify.Event) bool {
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

// reloadChanged waits until the files have stopped changing, and reloads if one has
// other content than what the gateway runs on. It reads the files while it waits: if
// shipped adapters must be unpacked, reading takes as long as the wait.
func (r *Reloader) reloadChanged(ctx context.Context) {
	var c candidate
	for deadline := time.Now().Add(settleAtMost); ; {
		before := map[string]state{}
		for path := range r.files {
			before[path] = stat(path)
		}
		c = r.read()
		select {
		case <-time.After(settleFor - time.Since(c.begin)):
		case <-ctx.Done():
			return
		}
		if !looksChanged(before) || time.Now().After(deadline) {
			break
		}
	}
	changed := false
	for path, s := range r.files {
		changed = changed || c.files.read(path).digest != s.digest
	}
	if changed {
		r.apply(ctx, "changed file", c)
		return
	}
	for path := range r.files {
		r.files[path] = c.files.read(path).state
	}
	r.watch()
}

// reload reads everything again and swaps it in.
func (r *Reloader) reload(ctx context.Context, why string) ([]string, error) {
	return r.apply(ctx, why, r.read())
}

// candidate is a configuration that was read and not swapped in yet.
type candidate struct {
	begin  time.Time // when reading began
	files  *Files
	config *config.Config
	err    error // why there is no config
}

func (r *Reloader) read() candidate {
	c := candidate{begin: time.Now(), files: NewFiles(r.opts.Files.source)}
	c.files.skipInspection = true // Swap finds more, and explains it as well
	c.config, c.err = c.files.Config()
	return c
}

// apply swaps in a configuration that was read, or refuses it, and logs the outcome. It returns
// what it warned of.
func (r *Reloader) apply(ctx context.Context, why string, read candidate) (warnings []string, err error) {
	c := read.config
	if err = read.err; err == nil {
		bounded, cancel := context.WithTimeout(ctx, SwapTimeout)
		defer cancel()
		err = r.opts.Gateway.Swap(bounded, c, read.files.Module)
	} else {
		r.opts.Gateway.Refuse(err)
	}
	if err != nil {
		// The files that the gateway runs on stay watched, so that undoing the
		// change is noticed, too.
		for path := range r.files {
			read.files.file(path)
		}
	}
	r.files = read.files.used
	r.watch()
	if err != nil {
		for _, line := range Problems(err) {
			r.log.Error("reload refused, the configuration before keeps serving", "why", why, "err", line)
		}
		return nil, err
	}
	warnings = slices.Clone(c.Warnings)
	for _, key := range needStart(r.started, c, r.opts.OwnAddress) {
		warnings = append(warnings, key+" changes with the next start only")
	}
	for _, w := range warnings {
		r.log.Warn(w)
	}
	r.log.Info("reloaded", "why", why, "models", len(c.Models), "duration_ms", time.Since(read.begin).Milliseconds())
	return warnings, nil
}

// Reload reads everything again, swaps it in, and returns the outcome: what there is to warn
// of, also that a change needs a start, a line each, or why it was refused. Run must be
// running. why is for the log. The error is a *config.Problems if the files or their
// adapters are to blame.
func (r *Reloader) Reload(ctx context.Context, why string) (warnings []string, err error) {
	a := request{why, make(chan outcome, 1)}
	select {
	case r.requests <- a:
	case <-ctx.Done():
		return nil, errors.New("kai is stopping")
	}
	came := <-a.outcome
	return came.warnings, came.err
}

// Problems returns what err says is wrong, one line for each problem. It returns none
// for nil.
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
