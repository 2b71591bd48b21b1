// SPDX-License-Identifier: Apache-2.0

package story

import (
	"path/filepath"
	"strings"
)

// examined asks every node and the controller, by the exec of real kubelets. What it finds of this gv0 is no fault of the driver:
// two replicas without quorum, and quota that is off.
func examined(s *step) {
	plugin := s.plugin()
	output, code := s.runPlugin(plugin, "doctor")
	if code != 0 && code != 3 {
		s.Errorf("exit %d\n%s", code, output)
	}
	for _, line := range []string{"✔ fuse", "✔ kubelet", "✔ server", "✔ brick", "✔ registration"} {
		if !strings.Contains(output, line) {
			s.Errorf("there is no %q in\n%s", line, output)
		}
	}
	if strings.Contains(output, "ask ") {
		s.Errorf("somebody could not be asked:\n%s", output)
	}
	output, code = s.runPlugin(plugin, "dump", "--file", filepath.Join(s.TempDir(), "dump.tar.gz"))
	if code != 0 {
		s.Errorf("the bundle: exit %d\n%s", code, output)
	}
	for _, node := range s.Nodes() {
		for _, of := range []string{"glusterfs-csi-node-", "glusterfs-csi-mounter-"} {
			if !strings.Contains(output, "nodes/"+node.Name+"/"+of) {
				s.Errorf("there is nothing of %s* on %s in\n%s", of, node.Name, output)
			}
		}
	}
	for _, file := range []string{"mountinfo", "metrics", "goroutines", "mounter.log", "provisioner.log", "doctor.json"} {
		if !strings.Contains(output, file) {
			s.Errorf("there is no %s in\n%s", file, output)
		}
	}
}

// undeleted brings a namespace that was deleted back to running pods with their data, by `kubectl glusterfs undelete`
// and the exec of a real kubelet.
func undeleted(s *step) {
	plugin := s.plugin()
	n := s.namespace("story-06-back")
	n.apply("06-namespace.yaml")
	n.rolledOut(n.name, "deployment/users")
	pod := n.pods("users")[0].Name
	n.sh(pod, "echo kept >/data/kept")
	volume := n.volume("data")
	s.kubectl("delete", "namespace", n.name)
	n.gone("volume", volume.Name)

	output, code := s.runPlugin(plugin, "trash", "-A")
	if code != 0 || !strings.Contains(output, n.name+"/data") {
		s.Errorf("the trash: exit %d\n%s", code, output)
	}
	if output, code = s.runPlugin(plugin, "undelete", "--namespace-all", "-n", n.name); code != 3 || !strings.Contains(output, "kubectl create namespace "+n.name) {
		s.Errorf("without the namespace: exit %d\n%s", code, output)
	}
	s.kubectl("create", "namespace", n.name)
	if output, code = s.runPlugin(plugin, "undelete", "--namespace-all", "-n", n.name, "--since", "1h", "--wait"); code != 0 {
		s.Fatalf("exit %d\n%s", code, output)
	}
	if back := n.volume("data"); back.Name != volume.Name || back.Spec.CSI.VolumeHandle != volume.Spec.CSI.VolumeHandle || back.Spec.StorageClassName != volume.Spec.StorageClassName {
		s.Errorf("the volume was %+v and is %+v", volume.Spec, back.Spec)
	}
	n.apply("06-namespace.yaml")
	n.rolledOut(n.name, "deployment/users")
	n.prints(n.pods("users")[0].Name, "cat /data/kept", "kept")
	if output, code = s.runPlugin(plugin, "undelete", "data", "-n", n.name); code != 0 || !strings.Contains(output, "there") {
		s.Errorf("twice: exit %d\n%s", code, output)
	}
}
