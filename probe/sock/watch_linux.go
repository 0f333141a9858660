package sock

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"vpncheck/probe/wire"
)

// watch shows what a raw socket receives for one port of a protocol above IP.
type watch struct {
	Conn
	port uint16
	read func() (wire.Sighting, error) // Bytes is borrowed
	// show fills in the ports and cuts Bytes to what is shown, or says that the packet is none of ours.
	show func(s *wire.Sighting, port uint16) bool
}

func openSYNs(port uint16, local netip.Addr) (Conn, error) {
	return openWatch(protoTCP, port, local, synFilter(port, local.Is4()), showSYN)
}

func openDatagrams(port uint16, local netip.Addr) (Conn, error) {
	return openWatch(protoUDP, port, local, portFilter(port, local.Is4(), nil), parseDatagram)
}

func openWatch(proto uint8, port uint16, local netip.Addr, pass []bpf.Instruction, show func(*wire.Sighting, uint16) bool) (Conn, error) {
	if !local.IsValid() {
		return nil, errFamily
	}
	filter, err := bpf.Assemble(pass)
	if err != nil {
		return nil, fmt.Errorf("assembling the filter: %w", err)
	}
	c, err := listenIP(proto, local, func(fd int) error {
		if local.Is6() {
			if err := enable6(fd); err != nil {
				return err
			}
		}
		return attach(fd, filter)
	})
	if err != nil {
		return nil, err
	}
	w := &watch{port: port, show: show}
	if local.Is6() {
		r := &raw6{IPConn: c, proto: proto, local: local, buf: make([]byte, maxPacket)}
		w.Conn, w.read = r, r.read
		return w, nil
	}
	r, err := newRaw4(c, proto, local)
	if err != nil {
		return nil, err
	}
	w.Conn, w.read = r, r.borrow
	return w, nil
}

func (w *watch) Local() netip.AddrPort { return netip.AddrPortFrom(w.Conn.Local().Addr(), w.port) }

func (w *watch) Send(Out) (wire.Sighting, error) {
	return wire.Sighting{}, fmt.Errorf("sending where others' packets are watched: %w", errors.ErrUnsupported)
}

func (w *watch) Recv() (wire.Sighting, error) {
	for {
		s, err := w.read()
		if err != nil {
			return wire.Sighting{}, err
		}
		// The filter has been at work since before bind, but not since socket: what slipped in between is dropped here.
		if w.show(&s, w.port) {
			s.Bytes = append(wire.Hex(nil), s.Bytes...)
			return s, nil
		}
	}
}

// showSYN is watch.show for SYNs.
func showSYN(s *wire.Sighting, port uint16) bool {
	syn, ok := parseSYN(s.Bytes, port)
	if ok {
		s.Src = netip.AddrPortFrom(s.Src.Addr(), syn.src)
		s.Dst = netip.AddrPortFrom(s.Dst.Addr(), port)
		s.Bytes = s.Bytes[:syn.length]
	}
	return ok
}

// load reads octets of the header above IP.
type load func(off uint32, size int) bpf.Instruction

// portFilter passes what goes to a port, and of that what more lets through, which skips the next instruction for a packet to drop.
// A raw IPv4 socket counts from the IP header, an IPv6 one from the header above it.
func portFilter(port uint16, v4 bool, more func(load) []bpf.Instruction) []bpf.Instruction {
	at := func(off uint32, size int) bpf.Instruction { return bpf.LoadAbsolute{Off: off, Size: size} }
	var program []bpf.Instruction
	if v4 {
		at = func(off uint32, size int) bpf.Instruction { return bpf.LoadIndirect{Off: off, Size: size} }
		program = append(program, bpf.LoadMemShift{Off: 0})
	}
	var rest []bpf.Instruction
	if more != nil {
		rest = more(at)
	}
	program = append(program, at(2, 2), bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: uint8(len(rest) + 1)})
	program = append(program, rest...)
	return append(program, bpf.RetConstant{Val: maxPacket}, bpf.RetConstant{Val: 0})
}

// synFilter passes SYNs without ACK for a port.
func synFilter(port uint16, v4 bool) []bpf.Instruction {
	return portFilter(port, v4, func(at load) []bpf.Instruction {
		return []bpf.Instruction{
			at(13, 1),
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: tcpSYN | tcpACK},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: tcpSYN, SkipFalse: 1},
		}
	})
}

func attach(fd int, program []bpf.RawInstruction) error {
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{
		Len: uint16(len(filter)), Filter: &filter[0],
	})
}
