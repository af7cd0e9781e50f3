package route

import (
	"container/list"
	"slices"
	"sync"
	"time"

	"github.com/kai-gateway/kai/host/fault"
)

// maxOpenModels is how many cells are remembered of models that clients name themselves,
// behind an alias that ends in *. The cell that was not used for the longest time is
// forgotten first.
const maxOpenModels = 4096

// Cells has the cells of all providers and their models. It outlives configurations, so
// that a reload forgets nothing: a cell lives as long as some table holds it. It is safe
// for concurrent use.
type Cells struct {
	// Tell is called for each cooldown that begins here or gets longer, except for models that
	// clients name themselves. It must be set before anything else, and must not wait. nil:
	// nobody is told.
	Tell func(CoolingDown)

	mu   sync.Mutex
	held map[cellKey]*heldCell
	open map[cellKey]*list.Element // of order
	lru  list.List                 // of *openCell, the last used first
}

// cellKey names what a cell is about.
type cellKey struct {
	provider string // identifies an upstream with the key that is used for it
	model    string // "" for all of the provider
	whole    bool   // all of the provider: a model may be called ""
}

// CoolingDown is a cooldown of an upstream, or of one of its models.
type CoolingDown struct {
	Upstream   string // as a Target has it
	Model      string
	Whole      bool       // it is of the upstream, with all of its models
	Operation  string     // of the model, in which alone it cools; "": in answering
	Until      time.Time  // when it ends
	AskedUntil time.Time  // when the part of it ends that the upstream asked for; zero: it asked for none
	Kind       fault.Kind // of the failure
}

type heldCell struct {
	cell *Cell
	refs int
}

type openCell struct {
	key  cellKey
	cell *Cell
}

// NewCells returns a set without cells.
func NewCells() *Cells {
	return &Cells{held: map[cellKey]*heldCell{}, open: map[cellKey]*list.Element{}}
}

func (c *Cells) hold(k cellKey) *Cell {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held[k]
	if h == nil {
		h = &heldCell{cell: &Cell{about: k, tell: c.Tell}}
		c.held[k] = h
	}
	h.refs++
	return h.cell
}

func (c *Cells) release(k cellKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held[k]
	if h.refs--; h.refs == 0 {
		delete(c.held, k)
	}
}

// ofModel returns the cell of a model that a client named. A model that is also in the
// configuration has the cell it has there. Cooldowns of other models are not passed on,
// because clients could name any number of them.
func (c *Cells) ofModel(k cellKey) *Cell {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.held[k]; h != nil {
		return h.cell
	}
	if e := c.open[k]; e != nil {
		c.lru.MoveToFront(e)
		return e.Value.(*openCell).cell
	}
	cell := &Cell{about: k}
	c.open[k] = c.lru.PushFront(&openCell{k, cell})
	if c.lru.Len() > maxOpenModels {
		last := c.lru.Back()
		delete(c.open, c.lru.Remove(last).(*openCell).key)
	}
	return cell
}

// Named returns the models of an upstream that clients named and that cool in some operation, sorted.
func (c *Cells) Named(upstream string, now time.Time) (models []string) {
	cools := func(cell *Cell) bool { return cell.State(now) == Cooling }
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.open {
		if cell := e.Value.(*openCell).cell; k.provider == upstream && (cools(cell) || slices.ContainsFunc(cell.elsewhere(), cools)) {
			models = append(models, k.model)
		}
	}
	slices.Sort(models)
	return models
}

// Adopt takes over a cooldown that began at another gateway, if the upstream is known here.
// It shortens no cooldown, and a success ends it like any other.
func (c *Cells) Adopt(o CoolingDown) {
	k := cellKey{provider: o.Upstream, model: o.Model, whole: o.Whole}
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.held[k]; h != nil {
		h.cell.in(o.Operation).adopt(o)
	} else if e := c.open[k]; e != nil {
		e.Value.(*openCell).cell.in(o.Operation).adopt(o)
	}
}

// Reset closes the cells of those models of an upstream that are meant, and the cell of the
// upstream itself: if one of its models is meant, or whole is true. It returns false if it
// closes nothing.
func (c *Cells) Reset(upstream string, meant func(model string) bool, whole bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	var own *Cell
	found := whole
	reset := func(k cellKey, cell *Cell) {
		switch {
		case k.provider != upstream:
		case k.whole:
			own = cell
		case meant(k.model):
			cell.Reset()
			found = true
		}
	}
	for k, h := range c.held {
		reset(k, h.cell)
	}
	for k, e := range c.open {
		reset(k, e.Value.(*openCell).cell)
	}
	if own == nil || !found {
		return false
	}
	own.Reset()
	return true
}
