package body

import "github.com/kai-gateway/kai/sdk"

// Visit calls found for every string at a place of a grammar, in the order in which they
// stand in b. Scan or [sdk.JSON.Valid] must have accepted b. Visit skips what is of no
// interest, and needs nothing of the grammar but its places. It goes as deep as both let
// containers nest, and allocates nothing unless they nest unusually deep. ended, if it
// isn't nil, is called for every container at such a place, once everything in it was
// visited.
func Visit(b []byte, g *Grammar, found func(at Place, v sdk.JSON), ended func(at Place)) {
	var usual [usualDepth]container
	open, here := usual[:0], Top
	for i := skip(b, 0, 0); i < len(b); {
		c := b[i]
		isContainer := c == '{' || c == '['
		switch {
		case isContainer && here != Elsewhere && len(open) < maxDepth:
			open = append(open, container{here, c + 2})
			i++
		default:
			end := ValueEnd(b, i)
			if c == '"' && here > Top {
				found(here, sdk.JSON(b[i:end]))
			}
			i = end
		}
		// To the next value, out of containers that have ended.
		for len(open) > 0 {
			if i = skip(b, i, ','); i >= len(b) {
				return
			}
			if b[i] != '}' && b[i] != ']' {
				break
			}
			i++
			at := open[len(open)-1].place
			if open = open[:len(open)-1]; ended != nil && at > Top {
				ended(at)
			}
		}
		if len(open) == 0 {
			return
		}
		in := open[len(open)-1]
		if in.last == ']' {
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
