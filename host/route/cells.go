package route

import (
	"container/list"
	"sync"
)

// maxOpenModels is how many cells are remembered of models that clients name themselves,
// behind an alias that ends in *. The one that was not used for longest is forgotten
// first.
const maxOpenModels = 4096

// Cells has the cells of all providers and their models. It outlives configurations, so
// that a reload forgets nothing: a cell lives as long as some table holds it. It is safe
// for concurrent use.
type Cells struct {
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

type heldCell struct {
	cell  *Cell
	holds int
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
		h = &heldCell{cell: &Cell{}}
		c.held[k] = h
	}
	h.holds++
	return h.cell
}

func (c *Cells) release(k cellKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := c.held[k]
	if h.holds--; h.holds == 0 {
		delete(c.held, k)
	}
}

// ofModel returns the cell of a model that a client named. A model that is in the
// configuration, too, has the cell it has there.
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
	cell := &Cell{}
	c.open[k] = c.lru.PushFront(&openCell{k, cell})
	if c.lru.Len() > maxOpenModels {
		last := c.lru.Back()
		delete(c.open, c.lru.Remove(last).(*openCell).key)
	}
	return cell
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
