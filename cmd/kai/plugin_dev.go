package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// devPoll is how often the folder is looked at. Polling works in containers, over
// network mounts and with every editor's way of saving.
const devPoll = 300 * time.Millisecond

// pluginDev builds and tests an adapter at every change, and puts what passed
// where a gateway sees it, until ctx ends.
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
	l, err := languageOf(dir)
	if err == nil {
		err = l.installed(dir)
	}
	if err == nil {
		err = checkOut("--out", *out)
	}
	if err == nil && *out != "" && sameFolder(modulePath(*out, dir, "a"), dir) {
		err = fmt.Errorf("--out %s is in the adapter's own folder, where every build goes: name a file or a folder elsewhere, for what passed", *out)
	}
	if err != nil {
		return pluginFailed("dev", err, s)
	}
	fmt.Fprintf(s.err, "kai: watching %s; Ctrl-C ends it\n", dir)
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

// sources is a digest of every file that may matter, with its name.
func (d *dev) sources() [sha256.Size]byte {
	h := sha256.New()
	walkSources(d.dir, func(file string, e fs.DirEntry) {
		if info, err := e.Info(); err != nil || d.writes(info) {
			return
		}
		if data, err := os.ReadFile(file); err == nil {
			fmt.Fprintf(h, "%s %x\n", file, sha256.Sum256(data))
		}
	})
	return [sha256.Size]byte(h.Sum(nil))
}

// writes reports whether a file is one that this command's own words go to, which
// would make each round the reason for the next.
func (d *dev) writes(file fs.FileInfo) bool {
	for _, w := range []io.Writer{d.streams.out, d.streams.err} {
		if f, ok := w.(*os.File); ok {
			if info, err := f.Stat(); err == nil && os.SameFile(info, file) {
				return true
			}
		}
	}
	return false
}

// sameFolder reports whether a file lies in dir itself.
func sameFolder(file, dir string) bool {
	a, errA := os.Stat(filepath.Dir(file))
	b, errB := os.Stat(dir)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// round builds and tests once.
func (d *dev) round(ctx context.Context) {
	err := d.try(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	stays := ""
	if d.out != "" {
		stays = "what is at " + d.out + " stays; "
	}
	fmt.Fprintf(d.streams.err, "kai plugin dev: %v\nkai: %swaiting for the next save\n", err, stays)
}

// try leaves the module beside its sources, where "kai plugin test" looks for it,
// whether it passes or not. Only what passed goes to out.
func (d *dev) try(ctx context.Context) error {
	begin := time.Now()
	b, err := build(ctx, d.dir, d.streams.err)
	if err != nil {
		return err
	}
	where := modulePath("", d.dir, b.manifest.Name)
	if err := b.write(where); err != nil {
		return err
	}
	if b.warning != "" {
		fmt.Fprintln(d.streams.err, "kai: warning: "+b.warning)
	}
	transcripts, err := transcriptsBeside(where)
	if err != nil {
		fmt.Fprintf(d.streams.err, "kai: not tested: %v\n", err)
	} else if ok, err := conformance(ctx, b.module, transcripts, false, d.streams.out); err != nil {
		return err
	} else if !ok {
		return fmt.Errorf("%s fails its transcripts (if they are what is wrong, %s writes them anew)", where, command("test", where, "--update"))
	}
	if d.out != "" {
		where = modulePath(d.out, d.dir, b.manifest.Name)
		if err := b.write(where); err != nil {
			return err
		}
	}
	digest := sha256.Sum256(b.module)
	fmt.Fprintf(d.streams.err, "kai: %s %s, sha256 %x, is at %s after %d ms\n",
		b.manifest.Name, b.manifest.Version, digest[:6], where, time.Since(begin).Milliseconds())
	return nil
}
