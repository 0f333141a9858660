//go:build !linux

package netlab

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
)

var errLinux = errors.New("the lab needs Linux network namespaces: run the demo on Linux or in a Linux VM")

// Main does nothing here: there are no helpers without a lab.
func Main() {}

// Enter returns an error that says that there is no lab on this system.
func Enter() error { return errLinux }

// Available returns an error that says that there is no lab on this system.
func Available() error { return errLinux }

// A Lab cannot be built on this system.
type Lab struct{}

// Build returns an error that says that there is no lab on this system.
func Build(context.Context, Router) (*Lab, error) { return nil, errLinux }

func (*Lab) Addr(Host) netip.Addr                { return netip.Addr{} }
func (*Lab) Addr6(Host) netip.Addr               { return netip.Addr{} }
func (*Lab) WAN() netip.Addr                     { return netip.Addr{} }
func (*Lab) Second() netip.Addr                  { return serverAddrs[1].public }
func (*Lab) Inside(public netip.Addr) netip.Addr { return public }
func (*Lab) Start(Host, *exec.Cmd) error         { return errLinux }
func (*Lab) Do(Host, func() error) error         { return errLinux }
func (*Lab) Close() error                        { return nil }
