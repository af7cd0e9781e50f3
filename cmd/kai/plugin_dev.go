package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// devPoll is how often the folder is looked at. Polling works in containers, over
// network mounts and with every editor's way of saving.
const devPoll = 300 * time.Millisecond

// pluginDev builds and tests an adapter at every change, and puts the module
// where a gateway sees it, until a signal or ctx ends it.
func pluginDev(ctx context.Context, args []string, s streams) int {
	f := flag.NewFlagSet("plugin dev", flag.ContinueOnError)
	out := f.String("out", "", "")
	if code, ok := parse(f, args, 1, s.err); !ok {
		return code
	}
	dir := "."
	if f.NArg() == 1 {
		dir = f.Arg(0)
	}
	if _, err := languageOf(dir); err != nil {
		return pluginFailed("dev", err, s)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	d := dev{dir: dir, out: *out, streams: s}
	tick := time.NewTicker(devPoll)
	defer tick.Stop()
	for {
		if d.changed() {
			d.round(ctx)
		}
		select {
		case <-ctx.Done():
			return exitDone
		case <-tick.C:
		}
	}
}

// dev is a folder that is worked on.
type dev struct {
	dir, out string
	streams  streams
	seen     [sha256.Size]byte // of the sources that the last round took
}

// changed reports whether the sources are others than in the last round. Only
// what stays the same between two looks counts, so a half-saved file is no round.
func (d *dev) changed() bool {
	now := d.sources()
	if now == d.seen {
		return false
	}
	time.Sleep(50 * time.Millisecond)
	if d.sources() != now {
		return false
	}
	d.seen = now
	return true
}

// skipped are folders of what is made of the sources, or for them.
var skipped = map[string]bool{"node_modules": true, "target": true, "build": true}

// sources is a digest of every file that may matter, with its name.
func (d *dev) sources() [sha256.Size]byte {
	h := sha256.New()
	filepath.WalkDir(d.dir, func(file string, e fs.DirEntry, err error) error {
		name := filepath.Base(file)
		hidden := strings.HasPrefix(name, ".") && file != d.dir
		switch {
		case err != nil:
			return nil // gone while looking; the next look tells
		case e.IsDir() && (hidden || skipped[name]):
			return fs.SkipDir
		case e.IsDir() || hidden || strings.HasSuffix(name, ".wasm") || strings.HasSuffix(name, "~"):
			return nil
		}
		if data, err := os.ReadFile(file); err == nil {
			fmt.Fprintf(h, "%s %x\n", file, sha256.Sum256(data))
		}
		return nil
	})
	return [sha256.Size]byte(h.Sum(nil))
}

// round builds and tests once. Only what passed goes to out.
func (d *dev) round(ctx context.Context) {
	begin := time.Now()
	b, err := build(ctx, d.dir, d.streams.err)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		fmt.Fprintf(d.streams.err, "kai plugin dev: %v\n", err)
		return
	}
	transcripts, err := transcriptsBeside(filepath.Join(d.dir, b.manifest.Name+".wasm"))
	if err != nil {
		fmt.Fprintf(d.streams.err, "kai plugin dev: %v\n", err)
	} else if ok, err := conformance(ctx, b.module, transcripts, false, d.streams.out); err != nil {
		if ctx.Err() == nil {
			fmt.Fprintf(d.streams.err, "kai plugin dev: %v\n", err)
		}
		return
	} else if !ok {
		return
	}
	where := d.out
	if where == "" {
		where = filepath.Join(d.dir, b.manifest.Name+".wasm")
	}
	if err := writeFile(where, b.module); err != nil {
		fmt.Fprintf(d.streams.err, "kai plugin dev: %v\n", err)
		return
	}
	digest := sha256.Sum256(b.module)
	fmt.Fprintf(d.streams.err, "kai: %s %s, sha256 %x, is at %s after %d ms\n",
		b.manifest.Name, b.manifest.Version, digest[:6], where, time.Since(begin).Milliseconds())
}
