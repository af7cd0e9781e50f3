package body

import "github.com/kai-gateway/kai/sdk"

// Visit calls found for every string at a place of a grammar, in JSON that Scan or
// [sdk.JSON.Valid] has accepted, in the order in which they stand there. It looks at nothing
// that is of no interest, allocates nothing, and needs none of the grammar but its places. It looks as
// deep as both let containers be nested. ended, if it isn't nil, is called for every container at
// such a place, once everything in it was visited.
func Visit(b []byte, g *Grammar, found func(at Place, v sdk.JSON), ended func(at Place)) {
	var open [maxDepth]container
	depth, here := 0, Top
	for i := skip(b, 0, 0); i < len(b); {
		c := b[i]
		isContainer := c == '{' || c == '['
		switch {
		case isContainer && here != Elsewhere && depth < maxDepth:
			open[depth] = container{here, c == '{'}
			depth++
			i++
		default:
			end := ValueEnd(b, i)
			if c == '"' && here > Top {
				found(here, sdk.JSON(b[i:end]))
			}
			i = end
		}
		// To the next value, out of containers that have ended.
		for depth > 0 {
			if i = skip(b, i, ','); i >= len(b) {
				return
			}
			if b[i] != '}' && b[i] != ']' {
				break
			}
			depth--
			i++
			if at := open[depth].place; ended != nil && at > Top {
				ended(at)
			}
		}
		if depth == 0 {
			return
		}
		in := &open[depth-1]
		if !in.isObject {
			here = g.element(in.place)
			continue
		}
		end := StringEnd(b, i+1)
		if b[i] != '"' || end == 0 {
			return
		}
		key := Fields{walk: walk{b: b}, key: Span{i + 1, end - 1}}
		here = g.field(in.place, key.Key())
		i = skip(b, end, ':')
	}
}
