package sock

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/net/bpf"

	"vpncheck/probe/wire"
)

// incoming shows what comes in for a server. It allocates nothing for a packet: who floods a server costs it a copy.
type incoming struct {
	*card
	wanted   Wanted
	fields   ipFields
	checksum uint16
}

func openIncoming(w Wanted) (Conn, error) {
	c, err := openCard(w.filter())
	if err != nil {
		return nil, err
	}
	return &incoming{card: c, wanted: w}, nil
}

// filter passes what is wanted. Fragments other than the first have no ports and no beginning. Nor are headers with options passed: no
// client of ours sends any, and the kernel drops some (source routes, malformed ones) before any firewall, which would then be blamed.
func (w Wanted) filter() []bpf.Instruction {
	drop, pass := bpf.RetConstant{Val: 0}, bpf.RetConstant{Val: maxPacket}
	ports := func(proto uint32, among []uint16, more ...bpf.Instruction) []bpf.Instruction {
		section := []bpf.Instruction{
			bpf.LoadMemShift{Off: 0}, // the header's length
			bpf.LoadIndirect{Off: 2, Size: 2},
		}
		for i, p := range among { // to the end of the list, or past the drop behind it
			section = append(section, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(p), SkipTrue: uint8(len(among) - i)})
		}
		section = append(append(append(section, drop), more...), pass)
		return append([]bpf.Instruction{bpf.JumpIf{Cond: bpf.JumpEqual, Val: proto, SkipFalse: uint8(len(section))}}, section...)
	}
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: 0, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: 0x45, SkipTrue: 1},
		drop,
		bpf.LoadAbsolute{Off: 6, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: 0x3FFF, SkipFalse: 1}, // more fragments, or not the first one
		drop,
		bpf.LoadAbsolute{Off: 9, Size: 1},
	}
	for _, p := range w.Protocols {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(p), SkipFalse: 1}, pass)
	}
	if len(w.UDP) > 0 {
		program = append(program, ports(protoUDP, w.UDP)...)
	}
	if len(w.SYNs) > 0 {
		program = append(program, ports(protoTCP, w.SYNs,
			bpf.LoadIndirect{Off: 13, Size: 1},
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: tcpSYN | tcpACK},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: tcpSYN, SkipTrue: 1},
			drop,
		)...)
	}
	return append(program, drop)
}

func (c *incoming) Recv() (wire.Sighting, error) {
	for {
		b, err := c.read()
		if err != nil {
			return wire.Sighting{}, err
		}
		if s, ok := c.sighting(b); ok {
			return s, nil
		}
	}
}

// sighting reads a packet, of which it borrows. The kernel has checked nothing of it yet: its header must be one that the kernel takes.
func (c *incoming) sighting(b []byte) (wire.Sighting, bool) {
	h, payload, ok := received(b)
	if !ok || len(h.Options) > 0 || h.MF || h.FragOffset != 0 || int(h.TotalLength) > len(b) || wire.Checksum(b[:int(h.TotalLength)-len(payload)]) != 0 {
		return wire.Sighting{}, false
	}
	c.fields = ipFields{ttl: h.TTL, dscp: h.DSCP(), df: h.DF, id: h.ID}
	s := wire.Sighting{
		State: wire.Seen, At: time.Now(), Where: whereNIC, Proto: h.Protocol,
		Src: netip.AddrPortFrom(h.Src, 0), Dst: netip.AddrPortFrom(h.Dst, 0),
		TTL: &c.fields.ttl, DSCP: &c.fields.dscp, DF: &c.fields.df, IPID: &c.fields.id, Bytes: payload,
	}
	switch h.Protocol {
	case protoUDP:
		return c.datagram(s)
	case protoTCP:
		return c.syn(s)
	}
	return s, slices.Contains(c.wanted.Protocols, h.Protocol)
}

func (c *incoming) datagram(s wire.Sighting) (wire.Sighting, bool) {
	u, payload, err := wire.ParseUDP(s.Bytes)
	if err != nil || !slices.Contains(c.wanted.UDP, u.DstPort) {
		return wire.Sighting{}, false
	}
	c.checksum = u.Checksum
	s.Src, s.Dst = netip.AddrPortFrom(s.Src.Addr(), u.SrcPort), netip.AddrPortFrom(s.Dst.Addr(), u.DstPort)
	s.Checksum, s.Bytes = &c.checksum, payload
	return s, true
}

func (c *incoming) syn(s wire.Sighting) (wire.Sighting, bool) {
	for _, port := range c.wanted.SYNs {
		if syn, ok := parseSYN(s.Bytes, port); ok {
			s.Src, s.Dst = netip.AddrPortFrom(s.Src.Addr(), syn.src), netip.AddrPortFrom(s.Dst.Addr(), port)
			s.Bytes = s.Bytes[:syn.length]
			return s, true
		}
	}
	return wire.Sighting{}, false
}
