// SPDX-License-Identifier: Apache-2.0

// Package pods tells by its control groups which pod and container a process is in. It asks neither kubelet nor a container runtime.
package pods

import (
	"fmt"
	"os"
	"regexp"
	"strings"
)

// podForm is how kubelet names a pod's control group: pod<UID> by its driver cgroupfs, and kubepods-burstable-pod<UID>.slice, with
// underscores in the UID, by its driver systemd. The UID of a static pod is a hash.
var podForm = regexp.MustCompile(`(?:^|[/-])pod([0-9a-f]{32}|[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})(?:\.slice)?(?:/([^/]+)|$)`)

// containerForm is how runtimes name a container's own: its ID, alone or as cri-containerd-<ID>.scope.
var containerForm = regexp.MustCompile(`^(?:[a-z-]+-)?([0-9a-f]{12,64})(?:\.scope)?$`)

// Container is where a process is. The zero value is in no pod.
type Container struct {
	Pod   string // its UID
	Group string // the name of the container's control group below the pod's; "" of a process that is in no container
}

// ID is what the runtime calls the container, or the name of its group where that is in another form.
func (c Container) ID() string {
	if match := containerForm.FindStringSubmatch(c.Group); match != nil {
		return match[1]
	}
	return c.Group
}

// Of is where a process is, by the text of its /proc/PID/cgroup. Below its own group a container may have made others with any name, so the first
// pod on the way counts, and the first group below it.
func Of(cgroup string) Container {
	for line := range strings.Lines(cgroup) {
		const parts = 3 // hierarchy, controllers, path
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", parts)
		if len(fields) != parts {
			continue
		}
		if match := podForm.FindStringSubmatch(fields[parts-1]); match != nil {
			return Container{Pod: strings.ReplaceAll(match[1], "_", "-"), Group: match[2]}
		}
	}
	return Container{}
}

// OfProcess is Of for a process of this host; the zero value where it has ended.
func OfProcess(pid int) Container {
	cgroup, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return Container{}
	}
	return Of(string(cgroup))
}
