// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/install"
)

// upgrade is docs/releases.md: an earlier version whose volumes are in use is updated, and what was promised of the way back is so.
func upgrade(s *step) {
	const count = 20
	if s.isInstalled() {
		s.Fatal("a driver is installed, and the story begins with an earlier one")
	}
	s.install(*from)
	n := s.namespace("story-16")
	n.apply("11-script.yaml")
	n.template("16-writers.yaml", "COUNT", fmt.Sprint(count))
	n.rolledOut(n.name, "statefulset/writers")
	r := recorders{n}
	r.goOn(r.pods())

	s.part("controller_and_node_plugins", func(s *step) {
		r.in(s).undisturbedBy(func() { s.install(repository) })
		r.in(s).areListed(count)
	})
	s.part("old_mounters_serve_on", func(s *step) { r.in(s).aPodMoreOnEachNode("beside-the-old") })
	s.part("mounters", func(s *step) { r.in(s).repairedAfterMounters() })
	s.part("mounters_of_this_version", func(s *step) {
		r.in(s).undisturbedBy(func() {
			for _, node := range s.Nodes() {
				s.replaceMounter(node)()
			}
		})
		r.in(s).aPodMoreOnEachNode("beside-the-new")
	})
	s.part("back_and_forth", func(s *step) { r.in(s).goBack(count) })
}

// install applies a version's manifests and waits for its controller and node plugins, as docs/install.md tells operators to.
func (s *step) install(version string) {
	s.Helper()
	dir := s.TempDir()
	if err := install.Edit(s.Cluster, version, dir); err != nil {
		s.Fatal(err)
	}
	began := time.Now()
	s.kubectl("apply", "-k", filepath.Join(dir, "base"))
	s.rolledOut(driverNamespace, "daemonset/glusterfs-csi-node")
	s.rolledOut(driverNamespace, "deployment/glusterfs-csi-controller")
	s.isRegistered()
	s.Logf("%s is there after %s", s.kubectl("-n", driverNamespace, "get", "daemonset/glusterfs-csi-node",
		"-o", "jsonpath={.spec.template.spec.containers[0].image}"), seconds(time.Since(began)))
}

// areListed fails unless the controller knows so many volumes of this namespace.
func (r recorders) areListed(count int) {
	r.Helper()
	list := r.kubectl("-n", driverNamespace, "exec", "deploy/glusterfs-csi-controller", "--", "glusterfs-csi", "volume", "list")
	for name, claim := range r.claims() {
		if !strings.Contains(list, claim.Spec.VolumeName) {
			r.Errorf("claim %s has volume %s, which is not listed:\n%s", name, claim.Spec.VolumeName, list)
		}
	}
	if have := len(r.claims()); have < count {
		r.Errorf("%d claims, not %d", have, count)
	}
}

// aPodMoreOnEachNode has a new pod on each node with a volume of its own, which it writes to, and takes both away.
func (r recorders) aPodMoreOnEachNode(name string) {
	r.Helper()
	r.undisturbedBy(func() {
		r.makeClaims(len(r.Nodes()))
		r.runOnEach(len(r.Nodes()))
		for i := range r.Nodes() {
			r.sh(claimName(i), "echo "+name+" >/data/file && sync && cat /data/file")
			r.kubectl("-n", r.name, "delete", "pod/"+claimName(i), "persistentvolumeclaim/"+claimName(i), "--wait=false")
			r.gone("claim", claimName(i))
		}
	})
}

// repairedAfterMounters replaces each node's mounter of the earlier version, whose clients end with it: each pod goes on, and nothing
// that was acknowledged is lost.
func (r recorders) repairedAfterMounters() {
	r.Helper()
	before, restarted := r.troubles()
	for _, node := range r.Nodes() {
		r.replaceMounter(node)()
	}
	r.goOn(r.pods())
	after, _ := r.troubles()
	total := 0
	for id, count := range after {
		total += count - before[id]
	}
	r.Logf("%d errors in %d pods as the clients of the earlier mounters ended", total, len(after))
	r.areTheSame(r.pods(), restarted)
	r.areComplete()
}

// goBack installs the earlier version over this one, and this one again: pods go on, a volume that was deleted in between has kept its
// data, and all are found again.
func (r recorders) goBack(count int) {
	r.Helper()
	r.makeClaims(1)
	deleted := r.volume(claimName(0)).Name
	r.undisturbedBy(func() { r.install(*from) })
	r.kubectl("-n", r.name, "delete", "persistentvolumeclaim", claimName(0), "--wait=false")
	r.gone("claim", claimName(0))
	r.gone("volume", deleted)
	r.undisturbedBy(func() { r.install(repository) })
	r.areListed(count)
	r.await(patience, "the volume that the earlier version could not delete is there", func(context.Context) error {
		list, err := r.tryKubectl("-n", driverNamespace, "exec", "deploy/glusterfs-csi-controller", "--", "glusterfs-csi", "volume", "list")
		if err == nil && !strings.Contains(list, deleted) {
			err = fmt.Errorf("%s is not in the list:\n%s", deleted, list)
		}
		return err
	})
	r.aPodMoreOnEachNode("after-the-way-back")
}
