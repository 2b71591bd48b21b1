// SPDX-License-Identifier: Apache-2.0

package repair

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// podForm is how kubelet names a pod's control group: pod<UID> by its driver cgroupfs, and kubepods-burstable-pod<UID>.slice, with
// underscores in the UID, by its driver systemd. The UID of a static pod is a hash.
var podForm = regexp.MustCompile(`(?:^|[/-])pod([0-9a-f]{32}|[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})(?:\.slice)?(?:/|$)`)

// podOf returns the UID of the pod that a process is in, by the text of its /proc/PID/cgroup, or "". Below the pod's own group a
// container may have made others with any name, so the first one on the way counts.
func podOf(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		const parts = 3 // hierarchy, controllers, path
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", parts)
		if len(fields) != parts {
			continue
		}
		if match := podForm.FindStringSubmatch(fields[parts-1]); match != nil {
			return strings.ReplaceAll(match[1], "_", "-")
		}
	}
	return ""
}

// podOfProcess is podOf for a process of this host; "" where it has ended.
func podOfProcess(pid int) string {
	cgroup, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return ""
	}
	return podOf(string(cgroup))
}
