// Package testserver is the far end of vpncheck: an echo server that an administrator leaves open to the whole internet. A client
// holds a TLS link with it, declares conversations, and sends the genuine packets of VPN protocols; the server answers those that
// carry a valid token and reports over the link what it saw of each. To a stranger it is silent.
//
// Start with server.go for what is opened, link.go for a session's life, host.go for what a responder may touch; then one file
// per protocol. Who may be answered, and how much, is decided in testserver/gate alone.
package testserver
