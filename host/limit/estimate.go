package limit

import "sync"

// Estimator estimates how many tokens the requests to one alias have, and their answers, by
// what providers have counted so far. Its zero value knows nothing. It is safe for
// concurrent use.
type Estimator struct {
	mu     sync.Mutex
	ratio  float64 // tokens for one that was estimated by its bytes; 0: nothing is known
	output float64 // tokens of an answer
}

const (
	// weight is how much one request counts.
	weight = 1.0 / 32
	// maxFactor bounds the ratio, so that no caller can drive it to nonsense that the
	// reservations of others depend on.
	maxFactor = 4
	// defaultOutput is how many tokens an answer is assumed to have as long as none has
	// come.
	defaultOutput = 500
)

// Ratio returns by how much to multiply an estimate of tokens that comes from bytes.
func (e *Estimator) Ratio() float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ratio == 0 {
		return 1
	}
	return e.ratio
}

// Output returns how many tokens an answer will probably have.
func (e *Estimator) Output() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.output == 0 {
		return defaultOutput
	}
	return int64(e.output) + 1
}

// Observe takes in what a provider counted.
//
//   - estimated: the input as it was estimated by its bytes
func (e *Estimator) Observe(estimated, input, output int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if estimated > 0 && input > 0 {
		r := min(max(float64(input)/float64(estimated), 1.0/maxFactor), maxFactor)
		if e.ratio == 0 {
			e.ratio = 1
		}
		e.ratio += (r - e.ratio) * weight
	}
	if output > 0 {
		if e.output == 0 {
			e.output = defaultOutput
		}
		e.output += (float64(output) - e.output) * weight
	}
}
