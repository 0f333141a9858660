package probe

import (
	"context"
	"crypto/rand"
	"slices"

	"vpncheck/probe/wire"
)

// With --deep the form that decides is asked for longer, and then for packets of full size: a tunnel that carries a handshake and pings may
// still lose what a download is made of, where something on the way drops large packets and says nothing (F08), or fragments (F07).
const (
	deepRounds = 30
	fullRounds = 3

	stageFull = "full-size"
	// fullOctets is the size of the IP packets, or a little less: large, and small enough for every path that real VPNs are known to cross.
	fullOctets = 1420
)

// carrying is the stage whose packets are asked in full size: the last one, unless another says that it is.
func carrying(stages []Stage) Stage {
	for _, s := range slices.Backward(stages) {
		if s.Full {
			return s
		}
	}
	return stages[len(stages)-1]
}

// fullStage is the stage of full size: like the one that it follows.
func fullStage(stages []Stage) Stage {
	s := carrying(stages)
	s.ID, s.Title, s.Rounds, s.Span, s.Note = stageFull, "packets of full size", fullRounds, 0, false
	return s
}

// stagesOf are the stages of an observation: that of full size is one only where it was asked, and so is one that stands instead of another.
func stagesOf(info Info, o Observation) []Stage {
	asked := func(id string) bool {
		return slices.ContainsFunc(o.Exchanges, func(e Exchange) bool { return e.Stage == id })
	}
	stages := slices.DeleteFunc(slices.Clone(info.Stages), func(s Stage) bool {
		return s.Instead != "" && !asked(s.ID) ||
			slices.ContainsFunc(info.Stages, func(other Stage) bool { return other.Instead == s.ID && asked(other.ID) })
	})
	if len(info.Stages) > 0 && asked(stageFull) {
		return append(stages, fullStage(stages))
	}
	return stages
}

// full is what the stage of full size says of a part whose small packets pass: that large ones are dropped, or nothing.
func (w weight) full(tries []try) weight {
	way := WayOut
	switch {
	case w.verdict == Altered, w.verdict == Passed && w.reason == "":
		return w
	case w.verdict == BlockedBack, w.verdict == Stalled:
		way = WayBack
	case w.verdict == BlockedOut, w.reason == ServerUnproven: // small ones arrived: it is proven
	default:
		return weight{verdict: Passed, because: w.because}
	}
	octets := 0
	for _, t := range tries {
		octets = max(octets, packetOctets(t.e.Sent))
	}
	because := append(slices.Clone(w.because), Evidence{Reason: EvFullSize, Args: map[string]any{"octets": octets, "way": way, "tries": len(tries)}})
	return weight{verdict: Stalled, reason: FullSizeDropped, because: because}
}

// packetOctets is a packet's size with its headers.
func packetOctets(s wire.Sighting) int {
	n := len(s.Bytes) + 20
	if s.Src.Addr().Is6() {
		n += 20
	}
	if s.Proto == wire.IPProtoUDP {
		n += 8
	}
	return n
}

// deep says how many rounds of a stage are asked: more than it takes to pass, where somebody wants to know more.
func (c *Conversation) deep(law scale) int {
	if c.path.deep && law.part.Deciding && law.stage.Span > 0 {
		return max(deepRounds, law.rounds())
	}
	return law.rounds()
}

// fullSize asks for packets of full size once the small ones have passed. Those that the laptop itself does not send, because it knows of a
// smaller path, are no tries: that is what path MTU discovery is for.
func (c *Conversation) fullSize(ctx context.Context, part string, flow int, ask func(ctx context.Context) Exchange) {
	stages := stagesOf(c.info, c.snapshot())
	s := c.scale(part, carrying(stages))
	if !c.path.deep || !s.part.Deciding || c.slowed(part) || s.weigh().verdict != Passed {
		return
	}
	c.talk(ctx, part, fullStage(stages), flow, ask)
}

// padded is an echo whose packet has the full size, with overhead octets around its Data.
func (l *lcpLink) padded(t wire.Tag, overhead int) wire.LCP {
	echo := l.request(t)
	fill := make([]byte, max(0, fullOctets-overhead-len(echo.Data)))
	rand.Read(fill)
	echo.Data = append(echo.Data, fill...)
	return echo
}
