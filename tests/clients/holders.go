// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
)

// whoHas tells who keeps the file system of a client that was detached: each mount namespace that has a mount of it,
// and each process that has files of it. It is for the message of a test whose client does not end.
func whoHas(device mount.Device) string {
	found := append(mountedIn(device), opened(device)...)
	if len(found) == 0 {
		return "nobody is seen to have it"
	}
	return strings.Join(found, "\n\t")
}

// mountedIn describes each mount namespace that has mounts of the device, by the first process or thread in it.
func mountedIn(device mount.Device) (found []string) {
	tables, _ := filepath.Glob("/proc/[0-9]*/task/*/mountinfo")
	seen := map[string]bool{}
	for _, table := range tables {
		thread := filepath.Dir(table)
		namespace, err := os.Readlink(filepath.Join(thread, "ns/mnt"))
		if err != nil || seen[namespace] {
			continue // it has ended, or may not be looked at
		}
		data, _ := os.ReadFile(table)
		seen[namespace] = len(data) > 0
		var mounts []string
		for line := range strings.Lines(string(data)) {
			if fields := strings.Fields(line); len(fields) > 4 && fields[2] == fmt.Sprintf("%d:%d", device.Major, device.Minor) {
				mounts = append(mounts, fields[3]+" at "+fields[4])
			}
		}
		if len(mounts) > 0 {
			command, _ := os.ReadFile(filepath.Join(thread, "cmdline"))
			found = append(found, fmt.Sprintf("%s, of %s (%s), has %s", namespace, thread,
				strings.TrimSpace(strings.ReplaceAll(string(command), "\x00", " ")), strings.Join(mounts, ", ")))
		}
	}
	return found
}

// opened describes which processes have files and directories of the device. The file system is not asked.
func opened(device mount.Device) (found []string) {
	for _, pattern := range []string{"/proc/[0-9]*/fd/*", "/proc/[0-9]*/cwd", "/proc/[0-9]*/root"} {
		links, _ := filepath.Glob(pattern)
		for _, link := range links {
			var stat unix.Statx_t
			if unix.Statx(unix.AT_FDCWD, link, unix.AT_STATX_DONT_SYNC, 0, &stat) != nil ||
				(mount.Device{Major: stat.Dev_major, Minor: stat.Dev_minor}) != device {
				continue
			}
			path, _ := os.Readlink(link)
			found = append(found, fmt.Sprintf("%s is %s", link, path))
		}
	}
	return found
}
