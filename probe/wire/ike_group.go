package wire

// Groups: Diffie-Hellman Group Num of version 2 (RFC 7296, section 3.3.2), Group Description of version 1 (RFC 2409, appendix A), the
// same registry.
const (
	GroupMODP1024   = 2
	GroupMODP2048   = 14
	GroupMODP3072   = 15
	GroupMODP4096   = 16
	GroupMODP6144   = 17
	GroupMODP8192   = 18
	GroupECP256     = 19
	GroupECP384     = 20
	GroupCurve25519 = 31
)

// IKEGroupLen is how many octets a public value of a group has, 0 for a group that we do not speak (RFC 2409, section 6.2; RFC 3526;
// RFC 5903, section 7; RFC 8031, section 2).
func IKEGroupLen(group uint16) int {
	switch group {
	case GroupMODP1024:
		return 128
	case GroupMODP2048:
		return 256
	case GroupMODP3072:
		return 384
	case GroupMODP4096:
		return 512
	case GroupMODP6144:
		return 768
	case GroupMODP8192:
		return 1024
	case GroupECP256:
		return 64
	case GroupECP384:
		return 96
	case GroupCurve25519:
		return 32
	}
	return 0
}
