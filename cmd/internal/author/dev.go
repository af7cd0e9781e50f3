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

// devPoll is how often the folder is looked at. Polling works in containers, over
// network mounts and with every editor's way of saving.
const devPoll = 300 * time.Millisecond

// Dev builds and tests an adapter at every change. Its functions are called by Run
// alone, and none may be nil.
type Dev struct {
	Dir string // the adapter's folder
	Out string // the module that passed goes here, too, if it isn't ""

	Compiler io.Writer             // gets what compilers say
	Report   func(*conform.Report) // what the transcripts showed
	Note     func(text string)     // how it goes
	Failed   func(error)           // a round failed, and the next change is waited for

	// Says are where the caller writes. A file of them in Dir is no source, or each
	// round would be the reason for the next.
	Says []io.Writer

	seen [sha256.Size]byte // of the sources that the last round took
}

// Check says what is missing for Run to have any success.
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
		return fmt.Errorf("--out %s is in the adapter's own folder, where every build goes: name a file or a folder elsewhere, for what passed", d.Out)
	}
	return nil
}

// Run goes on until ctx ends.
func (d *Dev) Run(ctx context.Context) {
	tick := time.NewTicker(devPoll)
	defer tick.Stop()
	for {
		if d.changed() {
			if err := d.try(ctx); err != nil && ctx.Err() == nil {
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

// changed reports whether the sources are others than in the last round. Only
// what stays the same between two looks counts, so a half-saved file is no round.
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

// sources is a digest of every file that may matter, with its name.
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

// writes reports whether a file is one that the caller writes.
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

// sameFolder reports whether a file lies in dir itself.
func sameFolder(file, dir string) bool {
	a, errA := os.Stat(filepath.Dir(file))
	b, errB := os.Stat(dir)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// try leaves the module beside its sources, where "kai plugin test" looks for it,
// whether it passes or not. Only what passed goes to out.
func (d *Dev) try(ctx context.Context) error {
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
