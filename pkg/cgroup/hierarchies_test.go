// SPDX-License-Identifier: Apache-2.0

package cgroup

import (
	"slices"
	"testing"
)

func TestTheBaseIsWhereTheGroupOfAllPodsIs(t *testing.T) {
	for path, want := range map[string]string{
		"/":                                   "/",
		"/system.slice/glusterfs-csi.service": "/",
		"/kubepods/burstable/pod6e1f0c1a-22b4-4f0e-9d6a-0123456789ab/77":                                                  "/",
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6e1f0c1a.slice/cri-containerd-77.scope":           "/",
		"/nodes/pi-worker1/kubepods/pod6e1f0c1a/77":                                                                       "/nodes/pi-worker1",
		"/nodes.slice/nodes-kubepods.slice/nodes-kubepods-pod6e1f0c1a.slice/77":                                           "/nodes.slice",
		"/kubelet/kubepods/pod6e1f0c1a/77/kubepods/x":                                                                     "/kubelet",
		"/docker/0123456789abcdef0123456789abcdef/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice": "/docker/0123456789abcdef0123456789abcdef/kubelet.slice",
	} {
		if got := baseOf(path); got != want {
			t.Errorf("of %s it is %s, not %s", path, got, want)
		}
	}
}

func TestALineOfAProcessesControlGroups(t *testing.T) {
	for line, want := range map[string]struct {
		hierarchy
		path string
		ok   bool
	}{
		"0::/kubepods/pod1/77":          {hierarchy{v2: true}, "/kubepods/pod1/77", true},
		"4:cpu,cpuacct:/a:b":            {hierarchy{controllers: []string{"cpu", "cpuacct"}}, "/a:b", true},
		"1:name=systemd:/init.scope":    {hierarchy{controllers: []string{"name=systemd"}}, "/init.scope", true},
		"9:memory:/":                    {hierarchy{controllers: []string{"memory"}}, "/", true},
		"3::/of version 1 with no name": {hierarchy{v2: true}, "/of version 1 with no name", false},
		"":                              {},
		"0:":                            {},
	} {
		h, path, ok := parseLine(line)
		if ok != want.ok || ok && (h.v2 != want.v2 || !slices.Equal(h.controllers, want.controllers) || path != want.path) {
			t.Errorf("%q is %+v %q %t", line, h, path, ok)
		}
	}
}
