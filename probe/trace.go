package probe

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"vpncheck/probe/wire"
)

// A Tracer is a Probe that the witnesses can ask about: it makes single packets in the form that decided, on the same addresses and ports.
type Tracer interface {
	Probe
	// Trace readies packets for the stage at which a finding failed. It opens what it needs in a conversation of their own.
	Trace(c *Conversation, o Observation, failed Finding) (*Trace, error)
}

// A Trace makes packets that are whole in themselves: nothing need have been answered before.
type Trace struct {
	// Flow is where they leave; nil if they are attempts to connect to a TCP port.
	Flow *Flow
	Port uint16
	Next func() Question
}

// Stages of a witness's exchanges, which are in no observation.
const (
	StageHop   = "hop"
	StageTrain = "train"
)

// A tracing is one protocol's packets for the witnesses, under way.
type tracing struct {
	*Trace
	c        *Conversation
	control  bool
	why      string // why there are no packets
	connects sync.WaitGroup
}

// say sends a packet, with a TTL if it is not 0. Nothing is waited for.
func (t *tracing) say(ctx context.Context, stage string, ttl uint8) {
	if t.Flow == nil {
		t.connect(ctx, stage, ttl)
		return
	}
	q := t.Next()
	q.Stage, q.Flow, q.TTL = stage, 1, ttl
	t.Flow.Say(ctx, q)
}

// close ends the packets. What came of them is in the observation.
func (t *tracing) close(ctx context.Context) Observation {
	if t.Flow != nil {
		t.Flow.Close()
	}
	t.connects.Wait()
	return t.c.Finish(ctx)
}

// connectWait is how long an attempt to connect lasts: before the kernel would send its SYN again.
const connectWait = 900 * time.Millisecond

// connect tries to open a TCP connection with a limited TTL, from a port by which a router's answer can be told.
func (t *tracing) connect(ctx context.Context, stage string, ttl uint8) {
	c := t.c
	if !c.path.clear(ctx) {
		return
	}
	n := c.path.number()
	sent := wire.Sighting{
		State: wire.Seen, At: time.Now(), Where: "tcp", Proto: protoTCP, TTL: &ttl, Dst: netip.AddrPortFrom(c.path.Server, t.Port),
		Src: netip.AddrPortFrom(c.path.Local, uint16(49152+rand.N(16384))),
	}
	c.begin(n, Exchange{Stage: stage, Flow: 1, Sent: sent})
	t.connects.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, connectWait)
		defer cancel()
		conn, err := c.path.net.DialTTL(ctx, sent.Src, sent.Dst, ttl)
		switch {
		case err == nil:
			conn.Close()
			back := wire.Sighting{State: wire.Seen, At: time.Now(), Where: "tcp", Proto: protoTCP, Src: sent.Dst, Dst: sent.Src}
			c.returned(n, back, [wire.NonceSize]byte{})
		case neverLeft(err):
			c.edit(n, func(e *Exchange) { e.Sent.State, e.SendErr = wire.Absent, err.Error() })
		}
	})
}

// neverLeft says whether an attempt to connect failed before it sent anything.
func neverLeft(err error) bool {
	for _, e := range []error{errors.ErrUnsupported, syscall.EADDRINUSE, syscall.EADDRNOTAVAIL, syscall.EPERM, syscall.EACCES, syscall.EINVAL} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// stockUDP is UDP to a port of the server's, from the same port if that can be had.
func (c *Conversation) stockUDP(port uint16, carrier wire.Carrier, read func(wire.Sighting) (wire.Tag, bool)) (*Flow, error) {
	f, err := c.UDP(port, port, carrier, read)
	if err != nil {
		return c.UDP(0, port, carrier, read)
	}
	return f, nil
}

// pulse is the control as a witness's protocol, for comparison. It is never judged.
type pulse struct{}

func (pulse) Info() Info { return Info{ID: "control", Carriers: []wire.Carrier{wire.CarrierControl}} }

func (pulse) Observe(context.Context, *Path) (Observation, error) { return Observation{}, nil }

func (pulse) Changes(Observation, Exchange) []Change { return nil }

func (pulse) Reason(Observation, Stage, Verdict, Circumstances) (Reason, []Evidence) { return "", nil }

// Trace implements Tracer.
func (pulse) Trace(c *Conversation, _ Observation, _ Finding) (*Trace, error) {
	f, err := c.UDP(0, c.path.facts.Server.Control, wire.CarrierControl, func(s wire.Sighting) (wire.Tag, bool) {
		t, err := wire.ParseTag(s.Bytes)
		return t, err == nil
	})
	return &Trace{Flow: f, Next: func() Question {
		return Question{DF: true, Payload: func(t wire.Tag) []byte { return t.Append(nil) }}
	}}, err
}
