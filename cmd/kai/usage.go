package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/kai-gateway/kai/host/audit"
)

func usageCommand() programCommand {
	return programCommand{
		name: "usage", usage: "usage [--by key,alias,day] FILE...", about: "sum up what requests used, by an audit",
		more: `  --by COLUMNS    what to sum up by: key, group, alias, target, day and month, separated
                  by commas; default: key,alias. Days and months are those of UTC

FILE is what "audit.file" of the configuration names, or an older one, compressed with
gzip or not; - is standard input. Tokens of the input include those from the cache,
those of the output the reasoning. ESTIMATED counts requests whose provider did not
count to the end. COST is exact, in the currency of the prices, and UNPRICED counts the
requests whose cost nobody knows. Those that reached no provider cost nothing. Lines
that can't be read, such as the last one after a crash, are left out, and standard
error says how many they were. If a file can't be read, or no line of it, nothing is
summed up.

Example:

  kai usage --by month,key /var/log/kai/audit.jsonl*
`,
		run: func(_ context.Context, args []string, s streams) int { return usage(args, s) },
	}
}

// usage sums up audits.
func usage(args []string, s streams) int {
	f := flag.NewFlagSet("usage", flag.ContinueOnError)
	by := f.String("by", "key,alias", "")
	if code, ok := parse(f, args, len(args), s.err); !ok {
		return code
	}
	columns := strings.Split(*by, ",")
	sums, err := audit.NewSums(columns)
	if err != nil {
		fmt.Fprintf(s.err, "kai usage: --by %v\n", err)
		return exitUsage
	}
	if f.NArg() == 0 {
		fmt.Fprintln(s.err, `kai usage: name the file of an audit, as audit.file of the configuration does; - is standard input`)
		return exitUsage
	}
	for _, name := range f.Args() {
		read := 0
		unread, err := readAudit(name, s.in, func(l *audit.Line) { read++; sums.Add(l) })
		switch {
		case errors.Is(err, fs.ErrNotExist):
			fmt.Fprintf(s.err, "kai usage: %v\n", err)
			return exitUsage
		case err != nil:
			fmt.Fprintf(s.err, "kai usage: %v\n", err)
			return exitFailed
		case read == 0 && unread > 0:
			fmt.Fprintf(s.err, "kai usage: %s is no audit: no line of it can be read; name the file that audit.file of the configuration names\n", name)
			return exitUsage
		case unread > 0:
			fmt.Fprintf(s.err, "kai usage: %s: lines that can't be read and are left out: %d\n", name, unread)
		}
	}
	printUsage(s.out, columns, sums.Sorted())
	return exitDone
}

// readAudit reads a file, or in for "-".
func readAudit(name string, in io.Reader, take func(*audit.Line)) (unread int, err error) {
	if name == "-" {
		return audit.Read(in, take)
	}
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	unread, err = audit.Read(file, take)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return unread, err
}

// printUsage prints the sums as a table.
func printUsage(out io.Writer, columns []string, lines []*audit.Sum) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\tREQUESTS\tFAILED\tINPUT\tCACHED\tOUTPUT\tREASONING\tESTIMATED\tCOST\tUNPRICED\n", strings.ToUpper(strings.Join(columns, "\t")))
	for _, s := range lines {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%d\n", strings.Join(s.By, "\t"), s.Requests, s.Failed,
			s.Tokens.Input, s.Tokens.CachedInput, s.Tokens.Output, s.Tokens.Reasoning, s.Estimated, cmp.Or(s.Cost(), "-"), s.Requests-s.Priced)
	}
	table.Flush()
}
