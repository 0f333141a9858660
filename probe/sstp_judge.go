package probe

import (
	"errors"
	"slices"

	"vpncheck/probe/wire"
)

// Changes implements Probe. What is inside TLS with the server's own key nobody changes; the opening is TLS's own to vouch for.
func (SSTP) Changes(_ Observation, e Exchange) []Change {
	switch e.Stage {
	case stageRequest, stageAttach, stageTunnel, stageFull:
		return exact(e)
	}
	return nil
}

// Reason implements Probe. A connection that opens, on which nothing of the client's arrives, is stopped for what is in it, or opens and is no
// more than that. Where the session has the same port that is no question: what is dropped there is dropped for what it is.
func (SSTP) Reason(o Observation, stage Stage, v Verdict, c Circumstances) (Reason, []Evidence) {
	facts := []Evidence{{Reason: EvPort, Args: map[string]any{"port": int(connected(o)), "over": "tcp"}}}
	switch {
	case v != BlockedOut && v != BlockedBack:
		return "", nil
	case v == BlockedOut && stage.ID == stageConnect:
		return connectReason(o, TCPPortDropped), facts
	case stage.ID == stageConnect:
		return "", facts
	case linkOn(o, c):
		facts = append(facts, Evidence{Reason: EvLinkPort, Args: map[string]any{"port": int(c.Server.Link)}})
		if v == BlockedBack {
			return TCPContentBackDropped, facts
		}
	case v == BlockedBack:
		return "", facts
	}
	return TCPContentDropped, facts
}

// Review implements Reviewer. Somebody who shows a certificate of his own, or speaks no TLS at all, is no server: he stands on the way, and is
// asked there for the server's plain page and for the tunnel. That the page's request arrives and the tunnel's does not is a block, by a
// proxy that does not know the verb. Where neither does, it may be our certificate that he does not accept, and not that of a real server: that
// is no verdict. So it is where the tunnel's does arrive: SSTP then fails at the binding to TLS, unless he leaves a real server's TLS alone.
func (SSTP) Review(o Observation, stage Stage, v Verdict, r Reason) (Verdict, Reason, []Evidence) {
	if stage.ID != stageTLS || v != Hijacked {
		return v, r, nil
	}
	facts, spoke := otherEvidence(o)
	page := arrivals(o, stageGet)
	asked, arrived := arrivals(o, stageVerb).Tries, arrivals(o, stageVerb).Arrived
	switch {
	case page.Arrived > 0 && asked >= 3 && arrived == 0, spoke:
		return BlockedOut, HTTPRefused, facts
	}
	return Inconclusive, TLSIntercepted, facts
}

// otherEvidence says what somebody else showed and said. spoke is that he answered TLS's opening in plain HTTP, with an error: there is nothing
// then that our certificate could have to do with it.
func otherEvidence(o Observation) (facts []Evidence, spoke bool) {
	for _, s := range o.Strangers {
		if s.Where != "tcp" {
			continue
		}
		if len(facts) == 0 {
			facts = append(facts, Evidence{Reason: EvTLS, Args: map[string]any{"why": s.Why}})
		}
		if status, ok := statusIn(s.Bytes); ok {
			spoke = spoke || status.Code >= 400
			facts = append(facts, httpEvidence(status, 1))
			return facts, spoke
		}
	}
	for _, stage := range []string{stageVerb, stageGet} {
		for _, e := range o.Exchanges {
			if status, ok := statusIn(e.Returned.Bytes); ok && e.Stage == stage && status.Code != 200 {
				return append(facts, httpEvidence(status, arrivals(o, stage).Returned)), false
			}
		}
	}
	return facts, false
}

func statusIn(b []byte) (wire.HTTPStatus, bool) {
	s, _, err := wire.ParseHTTPStatus(b)
	if errors.Is(err, wire.ErrShort) { // it was cut
		s, _, err = wire.ParseHTTPStatus(append(slices.Clone(b), "\r\n\r\n"...))
	}
	return s, err == nil
}

func httpEvidence(s wire.HTTPStatus, tries int) Evidence {
	return Evidence{Reason: EvHTTP, Args: map[string]any{"status": s.Code, "text": s.Text, "server": s.Server, "tries": tries}}
}

// arrivals counts how far the questions of a stage came that is told, not judged.
func arrivals(o Observation, stage string) (n Tally) {
	for _, e := range o.Exchanges {
		if e.Stage != stage {
			continue
		}
		n.Tries++
		if e.Arrived.State == wire.Seen {
			n.Arrived++
		}
		if e.Returned.State == wire.Seen {
			n.Returned++
		}
	}
	return n
}

// Facts implements Witness: a port that is not the one that real clients ask.
func (SSTP) Facts(o Observation) []Evidence {
	port := connected(o)
	if port == 0 || port == sstpPort {
		return nil
	}
	return []Evidence{{Reason: EvOtherPort, Args: map[string]any{"port": int(port)}}}
}
