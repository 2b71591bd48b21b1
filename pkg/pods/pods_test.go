// SPDX-License-Identifier: Apache-2.0

package pods

import "testing"

func TestThePodOfAProcess(t *testing.T) {
	const uid = "6e1f0c1a-22b4-4f0e-9d6a-0123456789ab"
	const other = "00000000-0000-4000-8000-000000000000"
	for name, test := range map[string]struct{ cgroup, want string }{
		"v2, systemd":                            {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6e1f0c1a_22b4_4f0e_9d6a_0123456789ab.slice/cri-containerd-77.scope\n", uid},
		"v2, systemd, guaranteed":                {"0::/kubepods.slice/kubepods-pod6e1f0c1a_22b4_4f0e_9d6a_0123456789ab.slice/crio-77.scope\n", uid},
		"v2, cgroupfs":                           {"0::/kubepods/besteffort/pod" + uid + "/77\n", uid},
		"v2, cgroupfs, guaranteed":               {"0::/kubepods/pod" + uid + "/77\n", uid},
		"v2, seen from another control group":    {"0::/../../kubepods-burstable-pod6e1f0c1a_22b4_4f0e_9d6a_0123456789ab.slice/cri-containerd-77.scope\n", uid},
		"v2, seen from another one, cgroupfs":    {"0::/../../pod" + uid + "/77\n", uid},
		"v1, cgroupfs":                           {"12:pids:/kubepods/burstable/pod" + uid + "/77\n11:memory:/kubepods/burstable/pod" + uid + "/77\n", uid},
		"v1, systemd":                            {"12:pids:/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod6e1f0c1a_22b4_4f0e_9d6a_0123456789ab.slice/docker-77.scope\n", uid},
		"v1 and v2, in no group of some":         {"3:cpu:/\n2:name=systemd:/kubepods/pod" + uid + "/77\n0::/\n", uid},
		"kubelet within a slice":                 {"0::/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod6e1f0c1a_22b4_4f0e_9d6a_0123456789ab.slice/77\n", uid},
		"a static pod":                           {"0::/kubepods/burstable/pod0123456789abcdef0123456789abcdef/77\n", "0123456789abcdef0123456789abcdef"},
		"the container's own groups below it":    {"0::/kubepods/pod" + uid + "/77/kubepods/pod" + other + "/x\n", uid},
		"the pod's own group":                    {"0::/kubepods/pod" + uid, uid},
		"a service of the host":                  {"0::/system.slice/podman.service\n", ""},
		"a name that is no UID":                  {"0::/kubepods/podinfo/77\n", ""},
		"nothing":                                {"", ""},
		"what is no list of control groups":      {"pod" + uid + "\n", ""},
		"a controller's name that looks like it": {"1:name=/pod" + uid + ":/\n", ""},
	} {
		if got := Of(test.cgroup).Pod; got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestTheContainerOfAProcess(t *testing.T) {
	const pod = "0::/kubepods/pod6e1f0c1a-22b4-4f0e-9d6a-0123456789ab"
	const id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for name, test := range map[string]struct{ cgroup, group, id string }{
		"cgroupfs":                 {pod + "/" + id + "\n", id, id},
		"systemd":                  {pod + "/cri-containerd-" + id + ".scope\n", "cri-containerd-" + id + ".scope", id},
		"its own groups below it":  {pod + "/crio-" + id + ".scope/system.slice/x.service\n", "crio-" + id + ".scope", id},
		"the pod's own group":      {pod + "\n", "", ""},
		"a name in another form":   {pod + "/x y\n", "x y", "x y"},
		"a service of the host":    {"0::/system.slice/" + id + "\n", "", ""},
		"v1, below several groups": {"9:cpu:/\n8:pids:" + pod[3:] + "/" + id + "\n", id, id},
	} {
		c := Of(test.cgroup)
		if c.Group != test.group || c.ID() != test.id {
			t.Errorf("%s: %+v with the ID %q, want %q", name, c, c.ID(), test.id)
		}
	}
}
