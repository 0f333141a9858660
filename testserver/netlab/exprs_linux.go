package netlab

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The words of nftables that the lab's rules are made of. Each compares something with something in register 1.

func equals(load expr.Any, data []byte) []expr.Any {
	return []expr.Any{load, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}}
}

// iif matches the interfaces whose names begin so.
func iif(name string) []expr.Any {
	return equals(&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: 1}, []byte(name))
}

func oif(name string) []expr.Any {
	return equals(&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, []byte(name))
}

func v4() []expr.Any {
	return equals(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, []byte{unix.NFPROTO_IPV4})
}

func proto(p byte) []expr.Any {
	return equals(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, []byte{p})
}

func sport(p uint16) []expr.Any { return port(0, p) }
func dport(p uint16) []expr.Any { return port(2, p) }

// otherPorts matches every destination port but some.
func otherPorts(not []uint16) (out []expr.Any) {
	for _, p := range not {
		e := dport(p)
		e[1].(*expr.Cmp).Op = expr.CmpOpNeq
		out = append(out, e...)
	}
	return out
}

func port(offset uint32, p uint16) []expr.Any {
	return equals(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2}, binary.BigEndian.AppendUint16(nil, p))
}

// bare matches UDP that has no checksum.
func bare() []expr.Any {
	return equals(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 6, Len: 2}, []byte{0, 0})
}

// from matches an IPv4 source by the first bytes of its network and mask.
func from(network, mask []byte) []expr.Any {
	return masked(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: uint32(len(mask))}, mask, network)
}

// to matches an IPv4 destination.
func to(a netip.Addr) []expr.Any {
	return equals(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}, a.AsSlice())
}

func masked(load expr.Any, mask, want []byte) []expr.Any {
	return []expr.Any{load,
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: uint32(len(mask)), Mask: mask, Xor: make([]byte, len(mask))},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: want}}
}

// state matches a flow in one of the states of connection tracking.
func state(bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeySTATE},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)}}
}

// after matches a flow's packets when it has had more than n, in both directions together: the library cannot ask for one direction.
func after(n uint64) []expr.Any {
	return []expr.Any{
		&expr.Ct{Register: 1, Key: expr.CtKeyPKTS},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 8, Size: 8}, // Cmp compares as memcmp does
		&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binary.BigEndian.AppendUint64(nil, n)}}
}

// fragment matches all of IPv4's: more are to come, or it is not the first (RFC 791).
func fragment() []expr.Any {
	load := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 6, Len: 2}
	return slices.Concat(v4(), []expr.Any{load,
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 2, Mask: []byte{0x3f, 0xff}, Xor: make([]byte, 2)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 2)}})
}

// above matches IP packets that are longer than n octets.
func above(n uint16) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyLEN, Register: 1},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 4, Size: 4},
		&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binary.BigEndian.AppendUint32(nil, uint32(n))}}
}

// over matches what comes faster than a pace. It counts all that it is asked about.
func over(p Pace) []expr.Any {
	return []expr.Any{&expr.Limit{Type: expr.LimitTypePkts, Rate: p.PerSecond, Unit: expr.LimitTimeSecond, Burst: p.Burst, Over: true}}
}

// openings match, one by one, what opens IKE: to and from port 500 and, behind four zero octets, 4500 (RFC 3948, section 2.2); of IKEv2 and of
// IKEv1 in main mode. Version and exchange type stand at octets 17 and 18 of the header.
func openings() (out [][]expr.Any) {
	for port, at := range map[uint16]uint32{500: 8, 4500: 8 + 4} {
		for _, begins := range [][]byte{{0x20, 34}, {0x10, 2}} {
			header := equals(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: at + 17, Len: 2}, begins)
			if at > 8 {
				marker := equals(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 8, Len: 4}, make([]byte, 4))
				header = slices.Concat(marker, header)
			}
			for _, end := range [][]expr.Any{sport(port), dport(port)} {
				out = append(out, slices.Concat(proto(udp), end, header))
			}
		}
	}
	return out
}

// openVPN match, one by one, what opens OpenVPN: a packet to port 1194 that begins with 0x38 (P_CONTROL_HARD_RESET_CLIENT_V2, key 0). On TCP
// its length of two octets stands before it, behind a header of 20 octets, or of 32 with time stamps (RFC 7323).
func openVPN() (out [][]expr.Any) {
	octet := func(at uint32, is []byte) []expr.Any {
		return equals(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: at, Len: uint32(len(is))}, is)
	}
	out = append(out, slices.Concat(proto(udp), dport(1194), octet(8, []byte{0x38})))
	for _, header := range []uint32{20, 32} {
		words := masked(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 12, Len: 1}, []byte{0xf0}, []byte{byte(header << 2)})
		out = append(out, slices.Concat(proto(tcp), dport(1194), words, octet(header, []byte{0, 14, 0x38})))
	}
	return out
}

// initiation matches what opens WireGuard: type 1 behind UDP's header, three octets of zero, and 148 octets in all.
func initiation() []expr.Any {
	return slices.Concat(proto(udp),
		equals(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 4, Len: 2}, []byte{0, 8 + 148}),
		equals(&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 8, Len: 4}, []byte{1, 0, 0, 0}))
}

func oneIn(n uint32) []expr.Any {
	return equals(&expr.Numgen{Register: 1, Modulus: n, Type: unix.NFT_NG_RANDOM}, make([]byte, 4))
}

func verdict(k expr.VerdictKind) []expr.Any {
	return []expr.Any{&expr.Verdict{Kind: k}}
}

// toAddress translates a flow's IPv4 source or destination.
func toAddress(what expr.NATType, to netip.Addr) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: to.AsSlice()},
		&expr.NAT{Type: what, Family: unix.NFPROTO_IPV4, RegAddrMin: 1}}
}

func toAddrPort(what expr.NATType, to netip.AddrPort) []expr.Any {
	return []expr.Any{
		&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: binary.BigEndian.AppendUint16(nil, to.Port())},
		&expr.NAT{Type: what, Family: unix.NFPROTO_IPV4, RegAddrMin: 1, RegProtoMin: 2}}
}

// damage inverts a byte of an IPv4 packet of GRE version 1 that is long enough to have it: 40 bytes into GRE, where PPP has its data.
func damage() []expr.Any {
	const offset = 20 + 40
	network := expr.PayloadBaseNetworkHeader
	d := proto(gre)
	d = append(d, masked(&expr.Payload{DestRegister: 1, Base: network, Offset: 20 + 1, Len: 1}, []byte{7}, []byte{1})...)
	return append(d,
		&expr.Payload{DestRegister: 1, Base: network, Offset: 2, Len: 2}, // total length
		&expr.Cmp{Op: expr.CmpOpGt, Register: 1, Data: binary.BigEndian.AppendUint16(nil, offset)},
		&expr.Payload{DestRegister: 1, Base: network, Offset: offset, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{0xff}, Xor: []byte{0xff}},
		&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: network, Offset: offset, Len: 1})
}

// rewrite overwrites octets 4 to 7 of UDP's payload: in IKE, the second half of the initiator's SPI.
func rewrite() []expr.Any {
	return append(proto(udp),
		&expr.Immediate{Register: 1, Data: []byte{0xde, 0xad, 0xbe, 0xef}},
		&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 8 + 4, Len: 4,
			CsumType: expr.CsumTypeInet, CsumOffset: 6})
}
