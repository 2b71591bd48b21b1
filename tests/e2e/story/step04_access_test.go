// SPDX-License-Identifier: Apache-2.0

package story

import (
	"path/filepath"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

const readOnly = "Read-only file system"

// accessModes is every way in which a pod may have a volume.
func accessModes(s *step) {
	n := s.namespace("story-04")
	n.apply("04-modes.yaml")
	n.apply("04-workloads.yaml")
	n.ready("first", "beside", "far", "reader", "ephemeral", "set-0", "set-1", "parts")

	s.part("ReadWriteMany", func(s *step) {
		n := n.in(s)
		n.sh("first", "echo from here >/rwx/here")
		n.sh("far", "echo from there >/rwx/there")
		n.prints("first", "cat /rwx/there", "from there")
		n.prints("far", "cat /rwx/here", "from here")
	})
	s.part("ReadWriteOnce", func(s *step) {
		n := n.in(s)
		n.sh("first", "echo on one node >/rwo/file")
		n.prints("beside", "cat /rwo/file", "on one node")
	})
	s.part("ReadOnlyMany", func(s *step) {
		n := n.in(s)
		n.refuses("first", "touch /rox/file", readOnly)
		n.refuses("far", "touch /rox/file", readOnly)
	})
	s.part("read_only_mounts", func(s *step) {
		n := n.in(s)
		for pod, dir := range map[string]string{"reader": "/rwx", "far": "/rwx-by-mount"} {
			n.prints(pod, "cat "+dir+"/here", "from here")
			n.refuses(pod, "touch "+dir+"/file", readOnly)
			n.refuses(pod, "rm "+dir+"/here", readOnly)
		}
		n.sh("far", "touch /rwx/file")
	})
	s.part("ReadWriteOncePod", func(s *step) { readWriteOncePod(n.in(s)) })
	s.part("generic_ephemeral", func(s *step) { genericEphemeral(n.in(s)) })
	s.part("statefulset", func(s *step) { statefulSet(n.in(s)) })
	s.part("subpath", func(s *step) { subPath(n.in(s)) })
	s.part("static", static)
}

func readWriteOncePod(n *namespace) {
	n.sh("first", "echo of one pod >/rwop/file")
	n.apply("04-second.yaml") // now, so that it is the second
	n.says("Pod", "second", "0/2 nodes are available", "ReadWriteOncePod")
	if n.isReady("second") {
		n.Error("a second pod has the ReadWriteOncePod volume")
	}
	n.deletePod("first")
	n.ready("second")
	n.prints("second", "cat /rwop/file", "of one pod")
}

func genericEphemeral(n *namespace) {
	n.sh("ephemeral", "touch /scratch/file")
	volume := n.volume("ephemeral-scratch")
	n.deletePod("ephemeral")
	n.gone("claim", "ephemeral-scratch")
	n.gone("volume", volume.Name)
}

func statefulSet(n *namespace) {
	if path(n.volume("data-set-0")) == path(n.volume("data-set-1")) {
		n.Error("both replicas have the same directory")
	}
	n.prints("set-0", "cat /data/starts", "set-0")
	n.prints("set-1", "cat /data/starts", "set-1")
	uid := n.pod("set-0").UID
	n.kubectl("-n", n.name, "delete", "pod", "set-0")
	n.replaced("set-0", uid)
	n.prints("set-0", "cat /data/starts", "set-0\nset-0")
}

func subPath(n *namespace) {
	n.prints("parts", "cat /etc/app.conf", "made before")
	n.sh("parts", "echo changed in place >/etc/app.conf; echo a line >/logs/app.log")
	n.prints("parts", "cat /all/conf/app.conf /all/var/log/app.log", "changed in place\na line")
	n.prints("parts", "ls /logs", "app.log")
	n.deletePod("parts") // kubelet takes the parts away again
}

// static is deploy/examples/static.yaml: a directory that was there before, never deleted.
func static(s *step) {
	g := s.gv0()
	const dir = "projects/old data"
	g.run("mkdir -p '" + dir + "'; echo from long ago >'" + dir + "/file'; chmod 0777 '" + dir + "'")
	s.Cleanup(func() { g.run("rm -r '" + dir + "'; rmdir -p projects") })
	example := filepath.Join(examples, "static.yaml")
	n := &namespace{step: s, name: "default"}
	s.Cleanup(func() {
		s.kubectl("-n", n.name, "delete", "pod", "old-data", "--ignore-not-found")
		s.kubectl("delete", "--ignore-not-found", "-f", example)
		if !g.exists(dir + "/file") {
			s.Error("the data of the static volume went with its objects")
		}
	})
	s.kubectl("apply", "-f", example)
	n.apply("04-static.yaml")
	n.ready("old-data")
	n.prints("old-data", "cat /data/file", "from long ago")
	n.sh("old-data", "echo more >>/data/file")
	if have := g.run("cat '" + dir + "/file'"); have != "from long ago\nmore" {
		s.Errorf("on %s the file holds %q", cluster.Volume, have)
	}
}
