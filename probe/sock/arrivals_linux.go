package sock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/net/bpf"

	"vpncheck/probe/wire"
)

// arrivals shows what comes in at the network cards, before this machine's own firewall.
type arrivals struct {
	*card
	proto uint8
	from  netip.Addr
}

// openArrivals opens a packet socket. It sees IPv4 packets of one protocol from one address, without their link header.
func openArrivals(proto uint8, from netip.Addr) (Conn, error) {
	if !from.Is4() {
		return nil, fmt.Errorf("watching IPv6 packets at the network card: %w", errors.ErrUnsupported)
	}
	addr := from.As4()
	c, err := openCard([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(proto), SkipFalse: 3},
		bpf.LoadAbsolute{Off: 12, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(addr[:]), SkipFalse: 1},
		bpf.RetConstant{Val: maxPacket},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return nil, err
	}
	return &arrivals{card: c, proto: proto, from: from}, nil
}

func (a *arrivals) Recv() (wire.Sighting, error) {
	for {
		b, err := a.read()
		if err != nil {
			return wire.Sighting{}, err
		}
		if s, ok := a.sighting(b); ok {
			return s, nil
		}
	}
}

func (a *arrivals) sighting(b []byte) (wire.Sighting, bool) {
	h, payload, ok := received(b)
	if !ok || h.MF || h.FragOffset != 0 || h.Protocol != a.proto || h.Src != a.from {
		return wire.Sighting{}, false
	}
	f := &ipFields{ttl: h.TTL, dscp: h.DSCP(), df: h.DF, id: h.ID}
	s := wire.Sighting{
		State: wire.Seen, At: time.Now(), Where: whereNIC, Proto: h.Protocol,
		Src: netip.AddrPortFrom(h.Src, 0), Dst: netip.AddrPortFrom(h.Dst, 0),
		TTL: &f.ttl, DSCP: &f.dscp, DF: &f.df, IPID: &f.id, Bytes: append(wire.Hex(nil), payload...),
	}
	if a.proto == protoUDP {
		if u, _, err := wire.ParseUDP(s.Bytes); err != nil || !parseDatagram(&s, u.DstPort) {
			return wire.Sighting{}, false
		}
	}
	return s, true
}
