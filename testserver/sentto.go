package testserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"vpncheck/probe/wire"
)

const (
	sentToFile = "sent-to.json"
	// sentToFor is how long what comes from an address that this machine has itself sent packets to proves nothing, on the carriers without
	// ports: it may be an answer, and a firewall that lets answers in lets everything in from there. Linux remembers such a flow for 600 seconds.
	sentToFor  = 15 * time.Minute
	sentToMost = 256 // addresses
)

// portless are the carriers on which a firewall cannot tell a question from an answer.
var portless = []wire.Carrier{wire.CarrierGRE, wire.CarrierGREv1, wire.CarrierESP, wire.CarrierAH}

// openSentTo reads which addresses this machine has lately sent packets to, of its own accord: a restart changes nothing about a firewall.
func (s *State) openSentTo() error {
	err := readJSON(filepath.Join(s.dir, sentToFile), &s.sentTo)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; remove it to begin without", err)
	}
	return nil
}

// SentTo says that this machine sends, or has just sent, packets of its own accord to these addresses. An error is of writing that down.
func (s *Server) SentTo(addrs ...netip.Addr) error { return s.cfg.State.noteSentTo(addrs) }

func (s *State) noteSentTo(addrs []netip.Addr) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	next := make(map[netip.Addr]time.Time)
	for addr, at := range s.sentTo {
		if lately(now, at) {
			next[addr] = at
		}
	}
	for _, addr := range addrs {
		if addr.IsValid() && len(next) < sentToMost {
			next[addr.Unmap().WithZone("")] = now.UTC()
		}
	}
	s.sentTo = next
	return writeJSON(filepath.Join(s.dir, sentToFile), next)
}

// provesNothing says whether a packet of a carrier may have come only because this machine has sent one there.
func (s *State) provesNothing(c wire.Carrier, from netip.Addr) bool {
	if !slices.Contains(portless, c) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.sentTo[from.Unmap().WithZone("")]
	return ok && lately(s.now(), at)
}

// lately is also true of what is soon to come: the clock was set back a little.
func lately(now, at time.Time) bool { return now.Sub(at).Abs() < sentToFor }
