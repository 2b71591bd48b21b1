// SPDX-License-Identifier: Apache-2.0

package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

const fuseDevice = "/dev/fuse"

// fuse says whether a client could start here.
func (h Host) fuse() []answers.Finding {
	const check = "fuse"
	fd, err := unix.Open(fuseDevice, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err == nil {
		var st unix.Stat_t
		if err = unix.Fstat(fd, &st); err == nil && (st.Mode&unix.S_IFMT != unix.S_IFCHR || unix.Major(st.Rdev) != 10) {
			err = fmt.Errorf("it is not the kernel's device")
		}
		_ = unix.Close(fd)
	}
	if err != nil {
		f := answers.Fault(check, fuseDevice, "no client can start: "+err.Error(), "modprobe fuse; and for each boot: echo fuse > /etc/modules-load.d/fuse.conf")
		f.Where = "on the node"
		return []answers.Finding{f}
	}
	return []answers.Finding{answers.Well(check, fuseDevice, "it opens")}
}

// kernel says what a repair can do here.
func kernel() []answers.Finding {
	const check = "kernel"
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return nil
	}
	release := unix.ByteSliceToString(name.Release[:])
	major, minor := versionOf(release)
	switch at := major*1000 + minor; {
	case at < 5004:
		return []answers.Finding{answers.Fault(check, release, "it is older than Linux 5.4, for which the driver is written", "update the node's kernel")}
	case at < 5012:
		return []answers.Finding{answers.Warned(check, release, "dead mounts are repaired from above, one beneath the other; mounts are made by mount(8)'s means (Linux 6.5 does better)", "")}
	case at < 6005:
		return []answers.Finding{answers.Well(check, release, "dead mounts are repaired from above; from Linux 6.5 on from beneath, without a gap")}
	}
	return []answers.Finding{answers.Well(check, release, "dead mounts are repaired in place, without a gap")}
}

func versionOf(release string) (major, minor int) {
	parts := strings.FieldsFunc(release, func(r rune) bool { return r < '0' || r > '9' })
	if len(parts) < 2 {
		return 0, 0
	}
	major, _ = strconv.Atoi(parts[0])
	minor, _ = strconv.Atoi(parts[1])
	return major, minor
}

// kubelet says whether it works where the driver was told.
func (h Host) kubelet() []answers.Finding {
	const check = "kubelet"
	if h.KubeletDir == "" {
		return nil
	}
	for _, name := range []string{"pods", "plugins_registry"} {
		if info, err := os.Stat(filepath.Join(h.KubeletDir, name)); err != nil || !info.IsDir() {
			return []answers.Finding{answers.Fault(check, h.KubeletDir, "kubelet has no directory "+name+" here: it works elsewhere, so this driver is never asked for a mount (`driver name … not found`)",
				"helm upgrade … --set kubeletDir=DIR, with the --root-dir of the node's kubelet: pgrep -a kubelet")}
		}
	}
	return []answers.Finding{answers.Well(check, h.KubeletDir, "kubelet works here")}
}
