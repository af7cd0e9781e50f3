package author

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/kai-gateway/kai/cmd/internal/conform"
)

// devPoll is how often the folder is checked for changes. Polling works in containers, over
// network mounts and with every editor's way of saving.
const devPoll = 300 * time.Millisecond

// Dev builds and tests an adapter at every change. Only Run calls its functions, and none
// may be nil.
type Dev struct {
	Dir string // the adapter's folder
	Out string // where modules that pass go, too; "": nowhere

	Compiler io.Writer             // gets the messages of compilers
	Report   func(*conform.Report) // gets the results of the transcripts
	Note     func(text string)     // gets messages about the progress
	Failed   func(error)           // is called when a round failed; Dev then waits for the next change

	// Says are the writers that the caller writes to. If one is a file in Dir, it is not
	// taken for a source; otherwise each round would start another one.
	Says []io.Writer

	seen [sha256.Size]byte // digest of the sources of the last round
}

// Check returns an error if Run could not succeed, because something is missing or wrong.
func (d *Dev) Check() error {
	l, err := languageOf(d.Dir)
	if err != nil {
		return err
	}
	if err := l.installed(d.Dir); err != nil {
		return err
	}
	if err := CheckOut("--out", d.Out); err != nil {
		return err
	}
	if d.Out != "" && sameFolder(ModulePath(d.Out, d.Dir, "a"), d.Dir) {
		return wrongUsage("--out %s is in the adapter's own folder, where every build goes: name a file or a folder elsewhere, for what passed", d.Out)
	}
	return nil
}

// Run builds and tests until ctx ends.
func (d *Dev) Run(ctx context.Context) {
	tick := time.NewTicker(devPoll)
	defer tick.Stop()
	for {
		if d.changed() {
			if err := d.round(ctx); err != nil && ctx.Err() == nil {
				d.Failed(err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// changed reports whether the sources have changed since the last round. It reads them
// twice, and a file that is still being saved doesn't count as a change yet.
func (d *Dev) changed() bool {
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

// sources returns a digest of the names and contents of all files that may matter.
func (d *Dev) sources() [sha256.Size]byte {
	h := sha256.New()
	walkSources(d.Dir, func(file string, e fs.DirEntry) {
		if info, err := e.Info(); err != nil || d.writes(info) {
			return
		}
		if data, err := os.ReadFile(file); err == nil {
			fmt.Fprintf(h, "%s %x\n", file, sha256.Sum256(data))
		}
	})
	return [sha256.Size]byte(h.Sum(nil))
}

// writes reports whether the caller writes to a file.
func (d *Dev) writes(file fs.FileInfo) bool {
	for _, w := range d.Says {
		if f, ok := w.(*os.File); ok {
			if info, err := f.Stat(); err == nil && os.SameFile(info, file) {
				return true
			}
		}
	}
	return false
}

// sameFolder reports whether a file is directly in dir.
func sameFolder(file, dir string) bool {
	a, errA := os.Stat(filepath.Dir(file))
	b, errB := os.Stat(dir)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// round builds and tests once. It leaves the module beside its sources, where "kai plugin
// test" looks for it, whether it passes or not. Only a module that passes goes to Out.
func (d *Dev) round(ctx context.Context) error {
	begin := time.Now()
	b, err := Build(ctx, d.Dir, d.Compiler)
	if err != nil {
		return err
	}
	where := ModulePath("", d.Dir, b.Manifest.Name)
	if err := b.Write(where); err != nil {
		return err
	}
	if b.Warning != "" {
		d.Note("warning: " + b.Warning)
	}
	if transcripts, err := TranscriptsBeside(where); err != nil {
		d.Note("not tested: " + err.Error())
	} else if r, err := Test(ctx, b.Module, transcripts, false); err != nil {
		return err
	} else if d.Report(r); r.Failed() {
		return fmt.Errorf("%s fails its transcripts (if they are what is wrong, %s writes them anew)", where, Command("test", where, "--update"))
	}
	if d.Out != "" {
		where = ModulePath(d.Out, d.Dir, b.Manifest.Name)
		if err := b.Write(where); err != nil {
			return err
		}
	}
	digest := sha256.Sum256(b.Module)
	d.Note(fmt.Sprintf("%s %s, sha256 %x, is at %s after %d ms",
		b.Manifest.Name, b.Manifest.Version, digest[:6], where, time.Since(begin).Milliseconds()))
	return nil
}
