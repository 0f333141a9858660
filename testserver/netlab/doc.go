// Package netlab builds small internets out of network namespaces, with the kernel's own NAT: for vpncheck's demo and for its tests.
//
//	laptop            home                      isp                        server
//	eth0 ─────────── lan0  wan0 ───────────── home0  srv0 ────────────────── eth0
//	192.168.1.11     .1.1  203.0.113.2/26     .1     198.51.100.1/24         198.51.100.10
//	                       100.64.0.2/24      .1     (with a second NAT)     198.51.100.11 (the second address)
//	                                          nbr0 ───── eth0 neighbour
//	                                          203.0.113.65/26   203.0.113.77
//
//	IPv6, never translated:
//	2001:db8:1::11   ::1   2001:db8:2::2      ::1    2001:db8:5::1           2001:db8:5::10
//	                                          2001:db8:3::1     2001:db8:3::77
//
// In a router without NAT the laptop has a public address, 192.0.2.66/27, and the home router (192.0.2.65) has no firewall. Otherwise the
// home router lets new flows out and their answers in, and drops what comes to it unasked from outside. The isp drops what has a private
// source, and the server knows the way to the isp only: a packet that leaks out untranslated is never answered.
//
// Where it matters who spoke first, a second laptop, 192.168.1.12, is on a wire of its own at lan1, and [Router.Earlier] says what it said.
//
// In a router with ServerNAT the server has 10.0.0.10 and 10.0.0.11 only, and the isp makes public addresses of them, and back.
//
// What the kernel cannot play, a bump in the wire does: then eth0 of the laptop and lan0 of the home router are TUN devices, and this
// process carries each packet between them through the router's own [Edit].
//
//	laptop eth0 (TUN) ── Edit ── lan0 (TUN) home
//
// A namespace belongs to one thread of this process, and has no name: when the process ends, however it ends, everything is gone.
//
// Start reading at [Routers], the table of all routers, and [Build].
package netlab
