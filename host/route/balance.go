package route

import (
	"math"
	"sync"
)

// set is a set of targets, by their numbers.
type set [MaxReached / 64]uint64

func (s *set) add(i int)      { s[i/64] |= 1 << (i % 64) }
func (s *set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// balance lets the targets of a tier take turns by their weights, without clumps: of
// weights 6, 2 and 2, any ten requests in a row are 6, 2 and 2. It is the smooth weighted
// round robin of nginx: https://github.com/nginx/nginx/commit/52327e0627f49dbda1e8db695e63a4b0af4448b1
type balance struct {
	mu      sync.Mutex
	current []float64
}

// pick returns the number of one of the targets, at least one of which has a weight.
func (b *balance) pick(targets []Target, from int, of *set) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	best, total := -1, 0.0
	for i := range b.current {
		n := from + i
		if !of.has(n) {
			continue
		}
		weight := targets[n].weight
		b.current[i] += weight
		total += weight
		if best < 0 || b.current[i] > b.current[best] {
			best = i
		}
	}
	b.current[best] -= total
	return from + best
}

// rendezvous returns the number of the target that a session belongs to. It is the same in
// every replica, without a table. If a target is not among them, only its sessions go
// elsewhere. This is weighted rendezvous hashing:
// https://www.snia.org/sites/default/files/SDC15_presentations/dist_sys/Jason_Resch_New_Consistent_Hashings_Rev.pdf
func rendezvous(targets []Target, from, to int, of *set, session uint64) int {
	best, most := -1, math.Inf(-1)
	for n := from; n < to; n++ {
		if !of.has(n) {
			continue
		}
		u := (float64(mix(session^targets[n].identity)>>11) + 0.5) / (1 << 53) // within (0, 1)
		if score := -targets[n].weight / math.Log(u); best < 0 || score > most {
			best, most = n, score
		}
	}
	return best
}

// mix spreads the bits of a number: the last step of SplitMix64,
// https://prng.di.unimi.it/splitmix64.c
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
