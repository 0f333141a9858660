package report

import (
	"fmt"
	"strings"

	"vpncheck/probe"
)

// ipsecEvidence makes the sentences about ports, forms and NAT detection.
var ipsecEvidence = map[probe.Reason]func(a args, fa facts) string{
	probe.EvPort:      sayPort,
	probe.EvStandsIn:  sayStandsIn,
	probe.EvOtherPart: sayOtherPart,
	probe.EvNATFound:  sayNATFound,
	probe.EvICV:       sayICV,
	probe.EvLater:     sayLater,
	probe.EvAtNIC:     sayAtNIC,
}

func sayPort(a args, _ facts) string {
	if a.text("over", 10) == "tcp" {
		return fmt.Sprintf("The server's TCP port is %.0f.", a.count("port"))
	}
	return fmt.Sprintf("The server's UDP port is %.0f.", a.count("port"))
}

func sayStandsIn(a args, fa facts) string {
	form, why, hint := "in another form", "", ""
	if part := a.text("part", 60); part != "" {
		form = "in the form \"" + part + "\""
	}
	if w := a.text("why", 200); w != "" {
		why = " (" + strings.TrimRight(w, ". ") + ")"
	}
	if h := a.text("hint", 300); h != "" && !fa.told[h] {
		hint = " To add it: " + strings.TrimRight(h, ". ") + "."
	}
	return "Tested " + form + " instead of the one that VPN clients use, which could not be tried here" + why + "." + hint
}

func sayOtherPart(a args, _ facts) string {
	if part := a.text("part", 60); part != "" {
		return "Another form of it gets through: " + part + "."
	}
	return "Another form of it gets through."
}

func sayNATFound(a args, _ facts) string {
	client, server := a.yes("client"), a.yes("server")
	switch {
	case client && server:
		return "IKE's own detection found a NAT at both ends. " + windowsNAT
	case server:
		return "IKE's own detection found a NAT at the server's end. " + windowsNAT
	case client:
		return "IKE's own detection found a NAT at this end, and none at the server's."
	}
	return "IKE's own detection found no NAT on the way."
}

// windowsNAT is what Windows makes of a server behind a NAT (error 809).
const windowsNAT = "Windows does not connect by L2TP/IPsec to a server behind a NAT, unless AssumeUDPEncapsulationContextOnSendRule is 2 in its registry."

func sayICV(a args, _ facts) string {
	n := ""
	if c := a.count("count"); c > 0 {
		n = " of " + count(c, "packet", "packets")
	}
	if a.yes("valid") {
		return "At the server the signature (ICV)" + n + " was valid: nothing that it covers was changed on the way."
	}
	return "At the server the signature (ICV)" + n + " was not valid any more: something that it covers was changed on the way."
}

func sayAtNIC(a args, _ facts) string {
	return fmt.Sprintf("%s reached this laptop's network card%s, but no program.", plural(a.count("count"), "answer"), of(a.count("count"), a.count("tries")))
}

func sayLater(a args, fa facts) string {
	stage := "further messages"
	if id := a.text("stage", 60); id != "" {
		stage = fa.stage(id)
	}
	return capital(stage) + " did not get through afterwards. Behind a NAT, VPN clients are on UDP port 4500 by then, so this does not count."
}
