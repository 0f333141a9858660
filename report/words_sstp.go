package report

import (
	"cmp"
	"fmt"
	"strings"

	"vpncheck/probe"
)

const allow443 = "Look in your router for a firewall, parental control or other setting that blocks connections to TCP port 443, and allow them.{ifnone}"

const (
	askNetwork = "ask those who run this network, or use another internet connection"
	likeTheWeb = "No setting about a port helps against this, and SSTP looks like web traffic already. Ask who runs the network whether VPNs are allowed: a " +
		"company, a hotel, a school, the internet provider. Or use another internet connection, or a VPN of another kind, such as {instead}.{inspects}"
)

// sstpWords are said where a reason means something else for SSTP than for the protocol that the catalogue has in mind.
var sstpWords = map[probe.Reason]Words{
	probe.TCPReset: {
		Sentence: "Each try to open the SSTP connection was refused at once{tries}. The server stood ready and got none of them, so something on the " +
			"way refuses in its name: {who}.",
		Do: "allow TCP port 443 to your VPN server in your router's firewall", Next: allow443,
	},
	probe.TCPRefused: {
		Sentence: "Each try to open the SSTP connection was refused by an ICMP message{tries}. The server stood ready and got none of them: {who} " +
			"forbids the connection.",
		Do: "allow TCP port 443 to your VPN server in your router's firewall", Next: allow443,
	},
	probe.TCPPortDropped: {
		Do: "allow TCP port 443 to your VPN server in your router's firewall", Next: allow443,
	},
	probe.TCPContentDropped:     {Do: askNetwork, Next: likeTheWeb},
	probe.TCPContentBackDropped: {Do: askNetwork, Next: likeTheWeb},
	probe.TCPConnectOnly: {
		Do: askNetwork,
		Next: "In a hotel or a company, sign in first if the network asks for it. Else ask those who run it to let connections to your VPN server pass " +
			"without a proxy, or use another internet connection.",
	},
	probe.TLSIntercepted: {
		Short: "something on the way opens encrypted connections",
		Sentence: "Something on the way opens encrypted connections to TCP port 443 and shows a certificate of its own. Security software " +
			"does that, and proxies of companies do. Whether it would let SSTP to a real VPN server through cannot be told: it may only dislike this " +
			"test server's certificate. As a rule SSTP fails then, since it insists on the server's own.",
		Do: "switch off HTTPS inspection, or ask those who run this network",
		Next: "If security software on this laptop inspects HTTPS (\"web shield\"), switch that off and run the check again. In a company, ask those who " +
			"run the network to let connections to your VPN server pass without inspection.{signin}",
	},
}

// httpStatus takes up what a proxy answered. 407 is its own question for a name and a password, which no VPN client of this kind has an
// answer to.
func (fa facts) httpStatus(a args) {
	fa.fill["status"] = " with " + quoted(a)
	if a.count("status") == 407 {
		fa.fill["signin"] = " The proxy wants a name and a password (status 407), and Windows gives SSTP none: only those who run it can let SSTP pass."
	}
}

func quoted(a args) string {
	return "\"" + strings.TrimSpace(fmt.Sprintf("%.0f %s", a.count("status"), a.text("text", 60))) + "\""
}

func sayHTTP(a args, _ facts) string {
	who := "A proxy"
	if server := a.text("server", 60); server != "" {
		who += " that calls itself \"" + server + "\""
	}
	return fmt.Sprintf("%s answered in the server's place, with %s (%s).", who, quoted(a), count(max(1, a.count("tries")), "time", "times"))
}

func sayTLS(a args, _ facts) string {
	return "At the other end of TLS was not the server: " + strings.TrimRight(cmp.Or(Plain(a.text("why", 200)), "its certificate is another"), ".") + "."
}

func sayOtherPort(a args, fa facts) string {
	return fmt.Sprintf("%s was asked on TCP port %.0f, on which this test server listens. Real clients ask port 443, and what stands in their way there was not seen.",
		fa.title, a.count("port"))
}
