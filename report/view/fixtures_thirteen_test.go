package view

import (
	"fmt"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

// modern are the six others, which a world has if it says so.
var modern = []toy{
	whole("ikev2", "IKEv2 (UDP 500)", wire.CarrierIKE),
	whole("l2tp-ipsec", "L2TP/IPsec (UDP 500)", wire.CarrierIKE),
	overTCP("sstp", "SSTP", 443, wire.CarrierSSTP),
	modernUDP("openvpn-udp", "OpenVPN over UDP (1194)", 1194, wire.CarrierOpenVPNUDP),
	overTCP("openvpn-tcp", "OpenVPN over TCP (1194)", 1194, wire.CarrierOpenVPNTCP),
	modernUDP("wireguard", "WireGuard (UDP 51820)", 51820, wire.CarrierWireGuard),
}

func whole(id, title string, carrier wire.Carrier) toy { return modernUDP(id, title, 500, carrier) }

func modernUDP(id, title string, port uint16, carrier wire.Carrier) toy {
	return made(id, title, wire.IPProtoUDP, probe.Stage{ID: "talk", Title: "the talk on UDP " + fmt.Sprint(port), Carrier: carrier, Rounds: 4, Port: port},
		[]probe.Part{{ID: "own", Title: "as clients send it"}})
}

// overTCP has its port in the address alone: Stage.Port is UDP's.
func overTCP(id, title string, port uint16, carrier wire.Carrier) toy {
	t := made(id, title, 6, probe.Stage{ID: "talk", Title: "the talk on TCP " + fmt.Sprint(port), Carrier: carrier, Rounds: 4},
		[]probe.Part{{ID: "own", Title: "as clients send it"}})
	t.tcp = port
	return t
}

// thirteenWorlds are golden files with all that vpncheck speaks.
var thirteenWorlds = map[string]world{
	"thirteen":           {nat: true, helper: true, ipsec: &ipsec{modern: true}},
	"thirteen-no-helper": {nat: true, v1Back: true, ipsec: &ipsec{modern: true}},
	"thirteen-ike-out":   {nat: true, helper: true, ipsec: &ipsec{modern: true, drop: []string{"ike", "ikev2", "l2tp-ipsec"}}},
	"thirteen-only-443":  {nat: true, reset: true, greOut: true, udpFiltered: true, ipsec: &ipsec{modern: true, drop: []string{"esp", "ah", "openvpn-tcp"}}},
	"thirteen-all-fail":  {nat: true, reset: true, greOut: true, udpFiltered: true, ipsec: &ipsec{modern: true, drop: []string{"esp", "ah", "openvpn-tcp", "sstp"}}},
}
