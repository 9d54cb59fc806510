package work

import (
	"math"
	"math/rand/v2"
)

// zipfian draws ranks by Zipf's law for an exponent below one, which math/rand does not offer. Method: Gray et
// al., "Quickly generating billion-record synthetic databases", SIGMOD 1994, as in YCSB.
type zipfian struct {
	rng                      *rand.Rand
	n, theta, zeta, eta, two float64
}

func newZipfian(rng *rand.Rand, n int, theta float64) *zipfian {
	z := &zipfian{rng: rng, n: float64(n), theta: theta, two: 1 + math.Pow(0.5, theta)}
	for i := 1; i <= n; i++ {
		z.zeta += math.Pow(float64(i), -theta)
	}
	z.eta = (1 - math.Pow(2/z.n, 1-theta)) / (1 - z.two/z.zeta)
	return z
}

// next returns a rank in [0, n); rank 0 is the most frequent.
func (z *zipfian) next() uint64 {
	u := z.rng.Float64()
	switch uz := u * z.zeta; {
	case uz < 1 || z.n < 2:
		return 0
	case uz < z.two:
		return 1
	}
	return min(uint64(z.n*math.Pow(z.eta*u-z.eta+1, 1/(1-z.theta))), uint64(z.n)-1)
}
