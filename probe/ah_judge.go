package probe

import "vpncheck/probe/wire"

// The server's findings on an ICV.
const (
	icvValid   = "valid"
	icvInvalid = "invalid"
)

// Changes implements Probe. The ICV covers the payload, and of the IP header both addresses, Total Length, Identification and Protocol (RFC
// 4302, section 3.3.3.1.1.1). What routers change lawfully it does not cover: TTL, DSCP, the flags, the checksum.
func (AH) Changes(_ Observation, e Exchange) []Change {
	out, kills := Compare(e, 0), false
	for i := range out {
		switch out[i].Field {
		case "source address", "destination address":
			out[i].Kills = AHThroughNAT
		case "ip-id", "length", "payload":
			out[i].Kills = PayloadAltered
		}
		kills = kills || out[i].Kills != ""
	}
	if e.ICV == icvInvalid && !kills {
		out = append(out, Change{Exchange: e.ID, Way: WayOut, Field: "icv", Before: icvValid, After: icvInvalid, Kills: PayloadAltered})
	}
	return out
}

// Reason implements Probe.
func (AH) Reason(_ Observation, _ Stage, v Verdict, _ Circumstances) (Reason, []Evidence) {
	switch v {
	case BlockedOut:
		return AHOutDropped, nil
	case BlockedBack:
		return AHBackDropped, nil
	}
	return "", nil
}

// Facts implements Witness: what the server found when it checked the ICVs.
func (AH) Facts(o Observation) (out []Evidence) {
	for _, finding := range []string{icvValid, icvInvalid} {
		var ids []string
		for _, e := range o.Exchanges {
			if e.ICV == finding && e.Arrived.State == wire.Seen {
				ids = append(ids, e.ID)
			}
		}
		if len(ids) > 0 {
			out = append(out, Evidence{Reason: EvICV, Args: map[string]any{"valid": finding == icvValid, "count": len(ids)}, Exchanges: ids})
		}
	}
	return out
}
