package host

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/kai-gateway/kai/config"
	"github.com/kai-gateway/kai/host/limit/ledger"
)

// Check returns what New would say about the files in c that it opens itself, except for
// the values in a ledger: a *config.Problems with everything that is wrong, in the order of
// the file, or nil. It makes and changes no file, and doesn't disturb a gateway that uses
// them. What it says holds for this user.
func Check(c *config.Config) error {
	var list []config.Problem
	if path := c.Audit.File; path != "" && path != "stdout" {
		if err := checkPlace(path, write); err != nil {
			list = append(list, auditProblem(c, err))
		}
	}
	if c.Ledger != "" {
		err := checkPlace(c.Ledger, readAndWrite)
		if err == nil {
			err = ledger.Check(c.Ledger)
		}
		if err != nil {
			list = append(list, ledgerProblem(c, err))
		}
	}
	if c.Shared.CA != "" {
		if _, err := certificates(c.Shared.CA); err != nil {
			list = append(list, caProblem(c, err))
		}
	}
	slices.SortFunc(list, func(a, b config.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return problems(list...)
}

func auditProblem(c *config.Config, err error) config.Problem {
	return c.Problem("audit.file", "can't be written: "+err.Error())
}

func ledgerProblem(c *config.Config, err error) config.Problem {
	return c.Problem("ledger", "can't be used: "+err.Error())
}

func caProblem(c *config.Config, err error) config.Problem {
	return c.Problem("shared.ca", "can't be used: "+err.Error())
}

// What is done with a file, and with a folder in which one is made, as access(2) has it.
const (
	write        = 2
	readAndWrite = 6
	makeFiles    = 3
)

// explained returns why a file couldn't be opened for a use, and what to do about it if
// that is known.
func explained(path string, use uint32, err error) error {
	return cmp.Or(checkPlace(path, use), err)
}

// checkPlace returns why a file can't be opened for a use, or made, at a path; nil if it can.
func checkPlace(path string, use uint32) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		dir := filepath.Dir(path)
		folder, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("there is no folder %s: make it, writable for the user that Kai runs as, or name another file", dir)
		case err != nil:
			return err
		case !folder.IsDir():
			return fmt.Errorf("%s is no folder: name a file in one", dir)
		case syscall.Access(dir, makeFiles) != nil:
			return fmt.Errorf("this user may make no file in the folder %s: make it writable for the user that Kai runs as, or name another file", dir)
		}
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("%s is a folder: name a file in it", path)
	case !info.Mode().IsRegular() && (use != write || info.Mode()&fs.ModeCharDevice == 0): // an audit may go to a terminal
		return fmt.Errorf("%s is not a regular file: name another", path)
	case syscall.Access(path, use) != nil:
		what := map[bool]string{true: "write", false: "read and write"}[use == write]
		return fmt.Errorf("this user may not %s %s: make it that of the user that Kai runs as, or name another file", what, path)
	}
	return nil
}

// certificates reads the certificates by which a server's own must be signed.
func certificates(path string) (*x509.CertPool, error) {
	pem, err := config.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM's form", path)
	}
	return pool, nil
}
