package probe

import "vpncheck/probe/wire"

// Changes implements Probe: all of it is sealed.
func (wholeIPsec) Changes(_ Observation, e Exchange) []Change {
	switch e.Stage {
	case wholeData, wholeDataESP, wholeSummed, stageFull:
		return sealed(e, espField)
	case wholeInit, wholeAuthIKE, wholeBigIKE:
		return sealed(e, ikeField)
	}
	if e.Sent.Dst.Port() == wire.IKEPort {
		return sealed(e, ikeField)
	}
	return sealed(e, markedField)
}

// Reason implements Probe. Before the data it is the port's fate, but for what IP cuts.
func (wholeIPsec) Reason(o Observation, stage Stage, v Verdict, c Circumstances) (Reason, []Evidence) {
	if v != BlockedOut && v != BlockedBack {
		return "", nil
	}
	switch stage.ID {
	case wholeInit, wholeAuth, wholeAuthIKE:
		port := c.Beside[map[uint16]string{wire.IKEPort: "ike", wire.NATTPort: "natt"}[stage.Port]]
		switch {
		// A router tells of one refusal a second, whoever asked: what was refused of IKE's or NAT-T's own conversation counts.
		case v == BlockedOut && port.Refused >= 2 && port.Arrived == 0 && !c.Control.UDPFiltered():
			return UDPRefused, nil
		// Where their messages pass it is not the port.
		case v == BlockedOut && port.Arrived > 0:
			return NoArrival, nil
		case v == BlockedBack && port.Returned > 0:
			return NoReturn, nil
		}
	case wholeBig, wholeBigIKE:
		return IKEFragmentsDropped, nil
	case wholeDataESP:
		if v == BlockedBack {
			return ESPBackDropped, nil
		}
		return ESPOutDropped, nil
	case wholeData:
		summed := 0
		for _, e := range o.Exchanges {
			if e.Part == wholeStock && e.Stage == wholeSummed && e.Returned.State == wire.Seen {
				summed++
			}
		}
		switch {
		case summed >= wholeFew:
			return ZeroChecksum, nil
		case v == BlockedBack:
			return NoReturn, nil
		}
		return NoArrival, nil
	}
	return "", nil
}

// Facts implements Witness: what NAT detection of version 2 found, as IKE's own conversation tells it.
func (p wholeIPsec) Facts(o Observation) []Evidence {
	for _, e := range o.Exchanges {
		if p.v1 || e.Stage != wholeInit {
			continue
		}
		if client, server, known := natFound(e); known {
			return []Evidence{{Reason: EvNATFound, Args: map[string]any{"client": client, "server": server}, Exchanges: []string{e.ID}}}
		}
	}
	return nil
}
