package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"math/big"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kai-gateway/kai/host/audit"
)

// usageColumns are what usage can be summed up by.
var usageColumns = map[string]func(*audit.Line) string{
	"key":    func(l *audit.Line) string { return l.Key },
	"alias":  func(l *audit.Line) string { return l.Alias },
	"target": func(l *audit.Line) string { return l.Target },
	"day":    func(l *audit.Line) string { return l.Time.UTC().Format(time.DateOnly) },
	"month":  func(l *audit.Line) string { return l.Time.UTC().Format("2006-01") },
}

func usageCommand() programCommand {
	return programCommand{
		name: "usage", usage: "usage [--by key,alias,day] FILE...", about: "sum up what requests used, by an audit",
		more: `  --by COLUMNS    what to sum up by: key, alias, target, day and month, separated by
                  commas; default: key,alias. Days and months are those of UTC

FILE is what "audit.file" of the configuration names, or an older one, compressed with
gzip or not; - is standard input. Tokens of the input include those from the cache,
those of the output the reasoning. ESTIMATED counts requests whose provider did not
count to the end. COST is exact, in the currency of the prices, and UNPRICED counts the
requests whose cost nobody knows. Lines that can't be read, such as the last one after a crash, are left
out, and standard error says how many they were.

Example:

  kai usage --by month,key /var/log/kai/audit.jsonl*
`,
		run: func(_ context.Context, args []string, s streams) int { return usage(args, s) },
	}
}

// sums is a line of the result.
type sums struct {
	by                               []string
	requests, failed, estimated      int64
	input, cached, output, reasoning int64
	priced                           int64   // requests with a known cost
	nano                             big.Int // what they cost
}

func (s *sums) add(l *audit.Line) {
	s.requests++
	if l.Class != "" || l.Status >= 400 {
		s.failed++
	}
	if l.Tokens.Estimated {
		s.estimated++
	}
	s.input += l.Tokens.Input
	s.cached += l.Tokens.CachedInput
	s.output += l.Tokens.Output
	s.reasoning += l.Tokens.Reasoning
	if l.Cost != nil {
		s.priced++
		s.nano.Add(&s.nano, big.NewInt(*l.Cost))
	}
}

// cost returns what the requests cost, exactly; "-" if that is known of none.
func (s *sums) cost() string {
	if s.priced == 0 {
		return "-"
	}
	text := fmt.Sprintf("%010s", s.nano.String()) // a digit before the nine behind the point
	whole, parts := text[:len(text)-9], strings.TrimRight(text[len(text)-9:], "0")
	return whole + "." + parts + strings.Repeat("0", max(0, 2-len(parts)))
}

// usage sums up audits.
func usage(args []string, s streams) int {
	f := flag.NewFlagSet("usage", flag.ContinueOnError)
	by := f.String("by", "key,alias", "")
	if code, ok := parse(f, args, len(args), s.err); !ok {
		return code
	}
	columns := strings.Split(*by, ",")
	for _, c := range columns {
		if usageColumns[c] == nil {
			fmt.Fprintf(s.err, "kai usage: --by %s is no column; there are key, alias, target, day and month\n", c)
			return exitUsage
		}
	}
	if f.NArg() == 0 {
		fmt.Fprintln(s.err, `kai usage: name the file of an audit, as audit.file of the configuration does; - is standard input`)
		return exitUsage
	}
	all := map[string]*sums{}
	code := exitDone
	for _, name := range f.Args() {
		unread, err := readAudit(name, s.in, func(l *audit.Line) {
			key := make([]string, len(columns))
			for i, c := range columns {
				key[i] = cmp.Or(usageColumns[c](l), "-")
			}
			joined := strings.Join(key, "\x00")
			if all[joined] == nil {
				all[joined] = &sums{by: key}
			}
			all[joined].add(l)
		})
		if unread > 0 {
			fmt.Fprintf(s.err, "kai usage: %s: lines that can't be read and are left out: %d\n", name, unread)
		}
		if err != nil {
			fmt.Fprintf(s.err, "kai usage: %v\n", err)
			code = exitFailed
		}
	}
	printUsage(s.out, columns, all)
	return code
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

// printUsage prints the sums as a table, in the order of what they are by.
func printUsage(out io.Writer, columns []string, all map[string]*sums) {
	lines := make([]*sums, 0, len(all))
	for _, s := range all {
		lines = append(lines, s)
	}
	slices.SortFunc(lines, func(a, b *sums) int { return slices.Compare(a.by, b.by) })
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "%s\tREQUESTS\tFAILED\tINPUT\tCACHED\tOUTPUT\tREASONING\tESTIMATED\tCOST\tUNPRICED\n", strings.ToUpper(strings.Join(columns, "\t")))
	for _, s := range lines {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%d\n", strings.Join(s.by, "\t"), s.requests, s.failed, s.input, s.cached, s.output, s.reasoning, s.estimated, s.cost(), s.requests-s.priced)
	}
	table.Flush()
}
