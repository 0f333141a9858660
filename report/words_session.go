package report

import "vpncheck/probe"

// serverStopping is a server's reason to end a session (wire.Bye).
const serverStopping probe.Reason = "stopping"

// sessionWords explain why no session with the server could be opened.
var sessionWords = map[probe.Reason]Words{
	probe.UnknownHost: {
		Short:    "the name {server} is not known",
		Sentence: "The name of the test server ({server}) could not be turned into an address.{why}",
		Do:       "see that web pages open here; ask for the server's right name",
		Next:     "See that web pages open here. Ask whoever gave you the connection string whether the server's name is right.",
	},
	probe.NoAddress: {
		Short:    "{server} has no address of the kind asked for",
		Sentence: "The test server ({server}) has no address of the kind asked for (IPv4 or IPv6).{why}",
		Do:       "run the check without choosing between IPv4 and IPv6",
	},
	probe.NoRoute: {
		Short:    "this laptop has no way to the internet",
		Sentence: "This laptop knows no way to the test server ({server}).{why}",
		Do:       "connect this laptop to the network and run the check again",
	},
	probe.NothingListening: {
		Short:    "no test server listens at {server}",
		Sentence: "{server} was reached, but its address refused the connection: no test server listens there.{why}",
		Do:       "see that \"vpncheck serve\" runs there and that the port is right",
	},
	probe.NoAnswer: {
		Short: "the test server does not answer",
		Sentence: "The test server ({server}) does not answer. It may be off, its firewall may be closed, or something between here and " +
			"there stops the connection.{why}",
		Do: "see that web pages open here and that \"vpncheck serve\" runs there",
		Next: "See that web pages open here. Then see that \"vpncheck serve\" runs on the server, and that the firewall there and at its hosting " +
			"provider lets TCP port 443 in. Trying from another network tells which end it is.",
	},
	probe.WrongPin: {
		Short: "{server} is not the server of this connection string",
		Sentence: "Something answers at {server}, but it cannot prove that it is the server of your connection string. The server may have been set " +
			"up anew, or something on the way answers in its place.{why}",
		Do: "ask for a fresh connection string, or try another network",
		Next: "Ask the one who runs the test server for a fresh connection string. If the same one works from another network, then something in this " +
			"network answers in the server's place.",
	},
	probe.TLSIntercepted: {
		Short: "what answers at {server} shows another certificate",
		Sentence: "What answers at {server} shows a certificate that is not the test server's. Either this is another server, or something on the " +
			"way opens encrypted connections: security software does that, and company networks do.{why}",
		Do: "check the address; switch off HTTPS inspection, or use another network",
		Next: "See that the address and the port are those of the test server. If security software on this laptop inspects HTTPS (\"web shield\"), " +
			"switch that off for the check. In a company, ask those who run the network.",
	},
	probe.NotTLS: {
		Short: "what answers at {server} is not a test server",
		Sentence: "Something answers at {server}, but not as a vpncheck server does: it does not speak TLS. It may be another program, or a network " +
			"that wants you to sign in first.{why}",
		Do: "sign in to this network if it asks for it; check the address and port",
	},
	probe.AccessWrong: {
		Short:    "the server does not accept this connection string",
		Sentence: "The test server ({server}) was reached, but does not accept the code in your connection string.{why}",
		Do:       "copy the whole connection string again, or ask for a fresh one",
	},
	probe.AccessExpired: {
		Short:    "the connection string has expired",
		Sentence: "The test server ({server}) was reached, but the time of your connection string is over.{why}",
		Do:       "ask the one who runs the test server for a fresh connection string",
	},
	probe.NoCommonVersion: {
		Short:    "this vpncheck and the server are too far apart in age",
		Sentence: "This vpncheck and the one on {server} have no version in common that both can speak.{why}",
		Do:       "install the same version of vpncheck at both ends",
	},
	probe.Busy: {
		Short:    "the test server is busy with others",
		Sentence: "The test server ({server}) was reached, but is busy with others.{why}",
		Do:       "wait a minute and run the check again",
	},
	serverStopping: {
		Short:    "the test server is just being switched off",
		Sentence: "The test server ({server}) was reached, but is just being switched off.{why}",
		Do:       "wait a minute and run the check again",
	},
	probe.BadLink: {
		Short:    "the server answered something that makes no sense",
		Sentence: "The test server ({server}) was reached, but what it said afterwards makes no sense.{why}",
		Do:       "install the same version of vpncheck at both ends; then run it again",
	},
}
