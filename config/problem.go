package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong with a configuration.
type Problem struct {
	File    string
	Line    int    // from 1; 0 when the problem has no place
	Column  int    // from 1, in characters
	Path    string // such as providers.oa.base_url or auth.api_keys[0]; "" for the file as a whole
	Message string // what is wrong and the way out, without values
}

// String returns one line: api.yaml:5:15: providers.oa.base_url: must start with http:// or https://
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems is the error of a configuration that cannot be used.
type Problems struct {
	List []Problem // never empty, sorted by place
}

// Error returns a line for each problem.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, problem := range p.List {
		lines[i] = problem.String()
	}
	return strings.Join(lines, "\n")
}

// sortProblems orders by place and drops repetitions, which arise where two
// models share a provider's options.
func sortProblems(list []Problem) []Problem {
	slices.SortStableFunc(list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(list)
}

// report collects problems and warnings of one file.
type report struct {
	file     string
	problems []Problem
	warnings []Problem
}

func (r *report) add(at place, path, message string) {
	r.problems = append(r.problems, r.problem(at, path, message))
}

func (r *report) warn(at place, path, message string) {
	r.warnings = append(r.warnings, r.problem(at, path, message))
}

// fault reports a problem of a value, the only one it gets.
func (r *report) fault(v *value, path, message string) {
	if !v.bad {
		v.bad = true
		r.add(v.place, path, message)
	}
}

func (r *report) problem(at place, path, message string) Problem {
	return Problem{File: r.file, Line: at.line, Column: at.column, Path: path, Message: message}
}
