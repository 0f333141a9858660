package netlab

import (
	"encoding/binary"
	"net/netip"

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
	return equals(&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1}, ifname(name))
}

func ifname(s string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, s)
	return b
}

func v4() []expr.Any {
	return equals(&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, []byte{unix.NFPROTO_IPV4})
}

func proto(p byte) []expr.Any {
	return equals(&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1}, []byte{p})
}

func sport(p uint16) []expr.Any { return port(0, p) }
func dport(p uint16) []expr.Any { return port(2, p) }

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
