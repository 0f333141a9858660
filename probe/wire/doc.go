// Package wire turns bytes into structs and structs into bytes, one protocol a file, with no socket and no clock near it. Both ends
// of vpncheck share it. Start with sighting.go for the words, link.go for what the two ends tell each other.
package wire
