//go:build !linux && !darwin && !windows

package sock

import (
	"errors"
	"syscall"
)

var passingErrors = []error{syscall.ECONNREFUSED, syscall.EHOSTUNREACH, syscall.ENETUNREACH}

func asOnTheWire([]byte) {}

func setDF(syscall.Conn, bool, bool) error { return errors.ErrUnsupported }
