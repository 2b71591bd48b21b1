// SPDX-License-Identifier: Apache-2.0

package oldkernel

import "golang.org/x/sys/unix"

const auditArch = unix.AUDIT_ARCH_X86_64
