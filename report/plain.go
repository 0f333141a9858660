package report

import "strings"

// Plain says for people what an error of the network says for programmers: no "EOF", no "read tcp 192.0.2.1:5->192.0.2.2:443: ...".
func Plain(why string) string {
	switch {
	case strings.Contains(why, "EOF"), strings.Contains(why, "use of closed network connection"), strings.Contains(why, "broken pipe"):
		return "the connection was closed"
	case strings.Contains(why, "operation was canceled"), strings.Contains(why, "context canceled"):
		return "it was no longer waited for"
	case strings.Contains(why, "i/o timeout"), strings.Contains(why, "deadline exceeded"):
		return "no answer came in time"
	}
	for _, raw := range []string{"read tcp", "write tcp", "dial tcp", "read udp", "write udp", "dial udp"} {
		if i := strings.LastIndex(why, ": "); i >= 0 && strings.Contains(why, raw) {
			return why[i+2:]
		}
	}
	return why
}
