package probe

import (
	"math"
	"time"
)

// Silence becomes a verdict only beyond these (DESIGN, law 4).
const (
	minTries  = 5
	minSpan   = 2 * time.Second
	maxTime   = 8 * time.Second
	maxChance = 1e-4
	farTries  = minTries + 2 // there is time for these on any line, however long an answer may take

	// Where the line loses much, more tries are needed for that: closer together, and for longer.
	lossyEvery = 250 * time.Millisecond
	lossyTime  = 11 * time.Second // but where more than a third is lost: a run must end some time
	earlyDoubt = 4
	chanceRun  = 0.02 // below this, losses in a row are an outage

	cutTime = 5 * time.Second // of silence, of both legs of the control: the line is dead for good; twice that where it loses anything

	hopelessTime   = 8 * time.Second  // of questions without any answer, where more than a third is lost
	hopelessTalk   = 9 * time.Second  // of a conversation there, all its stages together: several follow each other
	maxWaitHurried = 3 * time.Second  // for another probe to end (Info.Hurries)
	lossyTalk      = 11 * time.Second // of one where the line loses less, but much; what is asked slowly may take longer
)

// fisher is the one-sided exact test of Fisher: the chance that all of tries get lost, when the control lost `lost` of `sent` in the same
// window and both ran over the same path. 5 tries against 15 clean round trips give 6.4e-5.
func fisher(tries, sent, lost int) float64 {
	if tries <= 0 || sent <= 0 {
		return 1
	}
	// All of the tries are among the (tries+lost) lost ones out of (tries+sent).
	return math.Exp(lnChoose(sent, lost) - lnChoose(tries+sent, tries+lost))
}

// fisherMore is the same test of a flow that lost some: the chance that of its n as many as lost get lost, or more, when of sent others
// otherLost were lost on the same path.
func fisherMore(lost, n, otherLost, sent int) float64 {
	if n <= 0 || sent <= 0 {
		return 1
	}
	all := lost + otherLost
	p := 0.0
	for k := lost; k <= min(n, all); k++ {
		if all-k <= sent {
			p += math.Exp(lnChoose(n, k) + lnChoose(sent, all-k) - lnChoose(n+sent, all))
		}
	}
	return min(1, p)
}

func lnChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}
