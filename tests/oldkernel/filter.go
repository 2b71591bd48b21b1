// SPDX-License-Identifier: Apache-2.0

package oldkernel

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// moveMountBeneath is MOVE_MOUNT_BENEATH of linux/mount.h, which x/sys lacks.
const moveMountBeneath = 0x200

// The offsets of struct seccomp_data's fields, in bytes. The fifth argument has
// eight; its flags are in the first four, both architectures being little-endian.
const (
	offsetNumber = 0
	offsetArch   = 4
	offsetArg5   = 16 + 4*8
)

// restrict makes k's system calls all that this process and its children will
// ever have again. All of its threads are included.
//
// no_new_privs stays unset, since set-user-ID programs are among the children;
// that is why this needs CAP_SYS_ADMIN.
func restrict(k Kernel) error {
	filter := program(k)
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("install the seccomp filter: %w", errno)
	}
	return nil
}

// program returns the filter in classic BPF. A jump's distance is counted from
// the next instruction on. 32-bit programs number their calls differently; they
// pass unfiltered.
func program(k Kernel) []unix.SockFilter {
	const (
		load  = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS
		ifEq  = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ifGe  = unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K
		ifAny = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret   = unix.BPF_RET | unix.BPF_K
	)
	return []unix.SockFilter{
		0: {Code: load, K: offsetArch},
		1: {Code: ifEq, K: auditArch, Jf: 5},
		2: {Code: load, K: offsetNumber},
		3: {Code: ifGe, K: uint32(k), Jt: 4},
		4: {Code: ifEq, K: unix.SYS_MOVE_MOUNT, Jf: 2},
		5: {Code: load, K: offsetArg5},
		6: {Code: ifAny, K: moveMountBeneath, Jt: 2},
		7: {Code: ret, K: unix.SECCOMP_RET_ALLOW},
		8: {Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)},
		9: {Code: ret, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EINVAL)},
	}
}
