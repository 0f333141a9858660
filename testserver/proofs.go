package testserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"vpncheck/probe/wire"
)

const (
	proofsEvery = 10 * time.Second // how often they may be written: each packet of a busy server is one
	proofFor    = 24 * time.Hour   // DESIGN, law 7
	proofSkew   = 5 * time.Minute  // a clock that was set back makes no proof of what is still to come
)

// ProofRecord is the last arrival of a carrier, from anyone (DESIGN, law 7). From is only for the administrator's eyes.
type ProofRecord struct {
	At   time.Time  `json:"at"`
	From netip.Addr `json:"from"`
}

func (s *State) openProofs() error {
	s.proofs = make(map[wire.Carrier]ProofRecord)
	for _, file := range []string{identityFile, proofsFile, sentToFile} { // what a crash left behind
		leftover, _ := filepath.Glob(filepath.Join(s.dir, file+".*.tmp"))
		for _, path := range leftover {
			os.Remove(path)
		}
	}
	err := readJSON(filepath.Join(s.dir, proofsFile), &s.proofs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; remove it to begin without proofs", err)
	}
	if s.proofs == nil { // the file says null
		s.proofs = make(map[wire.Carrier]ProofRecord)
	}
	return nil
}

// arrived remembers a proof. The carriers are the responders' own, so there are only few.
func (s *State) arrived(c wire.Carrier, from netip.Addr, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.proofs[proofName(c, from)] = ProofRecord{At: at.UTC(), From: from}
	s.dirty = true
}

// proofName is what a carrier's proof goes by: a provider's firewall may let a carrier pass in one family and not in the other.
func proofName(c wire.Carrier, from netip.Addr) wire.Carrier {
	if from.Is6() {
		return c + "-ipv6"
	}
	return c
}

// recent returns a carrier's last arrival over the family of an address, if it proves that the carrier arrives today.
func (s *State) recent(c wire.Carrier, family netip.Addr) (ProofRecord, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.proofs[proofName(c, family)]
	age := s.now().Sub(p.At)
	return p, ok && age < proofFor && age > -proofSkew
}

// Proofs returns the last arrival of every carrier that ever arrived, by proofName.
func (s *State) Proofs() map[wire.Carrier]ProofRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	proofs := make(map[wire.Carrier]ProofRecord, len(s.proofs))
	for c, p := range s.proofs {
		proofs[c] = p
	}
	return proofs
}

// proof is what a session is told of a carrier's last arrival.
func (s *State) proof(c wire.Carrier, client netip.Addr) *wire.Proof {
	p, ok := s.recent(c, client)
	if !ok {
		return nil
	}
	return &wire.Proof{At: p.At, Own: p.From == client}
}

// dropped notes that this machine's own firewall stopped a packet of a carrier. The carriers are the responders' own.
func (s *State) dropped(c wire.Carrier, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.drops == nil {
		s.drops = make(map[wire.Carrier]time.Time)
	}
	s.drops[c] = at
}

func (s *State) lastDropped(c wire.Carrier) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.drops[c]
}

// Save writes the proofs if there are new ones.
func (s *State) Save() error {
	s.mu.Lock()
	dirty := s.dirty
	s.dirty = false
	s.mu.Unlock()
	if !dirty {
		return nil
	}
	if err := writeJSON(filepath.Join(s.dir, proofsFile), s.Proofs()); err != nil {
		s.mu.Lock()
		s.dirty = true
		s.mu.Unlock()
		return err
	}
	return nil
}
