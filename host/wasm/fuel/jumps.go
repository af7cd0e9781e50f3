package fuel

// Go's compiler makes each function with calls or jumps one loop around a table of jumps.
// Where the source goes from one place to another, the function stores the number of the
// place in a local and begins the loop again:
//
//	loop
//	  block
//	    block
//	      local.get 0; br_table 0 1
//	    end
//	    ...; i32.const 1; local.set 0; br 1
//	  end
//	  ...
//	end
//
// The br leads to the end of the outer block in the end. It goes there at once if it is
// written as br 0, and then pays for no iteration, because it isn't one: it leads
// forward. A jump back stays as it is, and so do all jumps whose number or table isn't
// written in this way. So a loop is still a loop, with its charge.

// jumps is the table of jumps at the start of a loop.
type jumps struct {
	local   uint32  // what has the number
	targets []int32 // by number, the last one for all others: the frames to whose ends, or starts, they lead
	open    int32   // the innermost of the frames between the loop and its table that has not ended
}

// table is for a br_table. It notes the table if nothing but a local.get and blocks
// without parameters and results come between the start of a loop and it.
func (w *walker) table() {
	get := w.before[1]
	if get.op != opLocalGet {
		return
	}
	next := get.at
	first := len(w.frames) - 1
	for ; first > 0; first-- {
		f := &w.frames[first]
		if next -= 2; int(f.at) != next || w.r.data[next+1] != blockEmpty {
			return
		}
		if f.op == opLoop {
			break
		}
		if f.op != opBlock {
			return
		}
	}
	last := len(w.frames) - 1
	if first == 0 || first == last {
		return
	}
	j := &jumps{local: get.arg, open: int32(last)}
	for _, label := range w.labels {
		if int64(label) > int64(last) {
			return
		}
		j.targets = append(j.targets, int32(last)-int32(label))
	}
	for i := first; i <= last; i++ {
		w.frames[i].jumps = j
	}
}

// shortcut returns the label of a br. If that leads to a loop with a table of jumps, and
// from there forward, the result is the label of the block at whose end it arrives, and
// the br is changed.
func (w *walker) shortcut(br instruction) uint32 {
	number, set := w.before[0], w.before[1]
	if number.op != opI32Const || set.op != opLocalSet || int64(br.arg) >= int64(len(w.frames)) {
		return br.arg
	}
	loop := len(w.frames) - 1 - int(br.arg)
	f := &w.frames[loop]
	if f.op != opLoop || f.jumps == nil || f.jumps.local != set.arg {
		return br.arg
	}
	r := reader{data: w.r.data, pos: number.at + 1, end: set.at}
	to := int(f.jumps.targets[min(int64(r.i32()), int64(len(f.jumps.targets)-1))])
	if to <= loop || to > int(f.jumps.open) {
		return br.arg
	}
	label := uint32(len(w.frames) - 1 - to)
	w.p.edits = append(w.p.edits, edit{at: int32(br.at + 1), to: label})
	return label
}
