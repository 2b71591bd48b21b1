// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

const trash = ".glusterfs-csi/trash"

// reclaim is what becomes of the data of claims that are deleted.
func reclaim(s *step) {
	g := s.gv0()
	n := s.namespace("story-06")
	n.apply("06-reclaim.yaml")
	n.ready("user")
	n.sh("user", "for dir in trashed retained left; do echo data of $dir >/$dir/file; done")
	trashed, retained, left := n.volume("trashed"), n.volume("retained"), n.volume("left")

	s.part("in_use", func(s *step) { deleteInUse(n.in(s)) })
	s.part("deleted", func(s *step) { n.in(s).isTrashed(g.in(s), "trashed", trashed) })
	s.part("restored", func(s *step) { restore(n.in(s), g.in(s), trashed) })
	s.part("retained", func(s *step) { retain(n.in(s), g.in(s), retained) })
	s.part("onDelete_retain", func(s *step) { leave(n.in(s), g.in(s), left) })
	s.part("namespace_deleted", func(s *step) { deleteNamespace(s, g.in(s)) })
	s.part("undeleted", undeleted)
	s.part("examined", examined)
}

// deleteInUse deletes claims that a pod uses: they stay, with their data, until the pod goes.
func deleteInUse(n *namespace) {
	n.kubectl("-n", n.name, "delete", "persistentvolumeclaim", "trashed", "retained", "left", "--wait=false")
	n.sh("user", "echo and more >>/trashed/file")
	ctx, cancel := n.context(callTimeout)
	defer cancel()
	claim, err := n.api.CoreV1().PersistentVolumeClaims(n.name).Get(ctx, "trashed", metav1.GetOptions{})
	if err != nil {
		n.Fatal(err)
	}
	if claim.DeletionTimestamp == nil || !slices.Contains(claim.Finalizers, "kubernetes.io/pvc-protection") || claim.Status.Phase != corev1.ClaimBound {
		n.Errorf("the claim does not wait for its pod: deleted %v, finalizers %v, %s", claim.DeletionTimestamp, claim.Finalizers, claim.Status.Phase)
	}
	n.deletePod("user")
	for _, name := range []string{"trashed", "retained", "left"} {
		n.gone("claim", name)
	}
}

// isTrashed waits until the volume is gone and its data, with that of the pod's last moments, in the trash.
func (n *namespace) isTrashed(g gv0, claim string, volume *corev1.PersistentVolume) {
	n.Helper()
	n.gone("volume", volume.Name)
	if g.exists(path(volume)) {
		n.Errorf("%s is still on %s", path(volume), cluster.Volume)
	}
	if have, want := g.run("cat $(find '"+trash+"' -path '*/"+g.entry(volume)+"/*' -name file)"), "data of "+claim+"\nand more"; have != want {
		n.Errorf("in the trash its file holds %q, not %q", have, want)
	}
}

// entry is the trash entry of a deleted volume.
func (g gv0) entry(volume *corev1.PersistentVolume) string {
	g.s.Helper()
	id := volume.Spec.CSI.VolumeHandle[strings.LastIndex(volume.Spec.CSI.VolumeHandle, "/")+1:]
	var found []string
	for _, shard := range g.entries(trash) {
		for _, entry := range g.entries(trash + "/" + shard) {
			if strings.HasPrefix(entry, id+".") && !strings.HasSuffix(entry, ".json") { // its record is beside it
				found = append(found, entry)
			}
		}
	}
	if len(found) != 1 {
		g.s.Fatalf("the trash has %d entries of %s, not 1: %v", len(found), id, found)
	}
	return found[0]
}

// restore takes the data out of the trash as docs/install.md says, and uses it.
func restore(n *namespace, g gv0, volume *corev1.PersistentVolume) {
	admin := func(args ...string) string {
		return n.kubectl(append([]string{"-n", driverNamespace, "exec", "deploy/glusterfs-csi-controller", "--", "glusterfs-csi"}, args...)...)
	}
	name, _, _ := strings.Cut(g.entry(volume), "+") // what follows says for how long it is kept, and by whom
	entry := "pi/" + cluster.Volume + "/" + name
	if list := admin("trash", "list"); !strings.Contains(list, entry) {
		n.Fatalf("%s is not in the list:\n%s", entry, list)
	}
	n.Log(admin("trash", "restore", entry))
	if !strings.Contains(admin("volume", "list"), volume.Spec.CSI.VolumeHandle) {
		n.Errorf("%s is not among the volumes again", volume.Spec.CSI.VolumeHandle)
	}
	if !g.exists(path(volume) + "/file") {
		n.Errorf("%s is not where it was", path(volume))
	}
	n.template("06-restored.yaml", "HANDLE", volume.Spec.CSI.VolumeHandle)
	n.ready("reader")
	n.prints("reader", "cat /data/file", "data of trashed\nand more")
}

// retain keeps the volume, and its data, until the operator decides otherwise.
func retain(n *namespace, g gv0, volume *corev1.PersistentVolume) {
	n.Cleanup(func() {
		n.kubectl("patch", "persistentvolume", volume.Name, "-p", `{"spec": {"persistentVolumeReclaimPolicy": "Delete"}}`)
		n.gone("volume", volume.Name)
	})
	n.await(patience, "the retained volume is released", func(ctx context.Context) error {
		v, err := n.api.CoreV1().PersistentVolumes().Get(ctx, volume.Name, metav1.GetOptions{})
		if err == nil && v.Status.Phase != corev1.VolumeReleased {
			err = fmt.Errorf("it is %s", v.Status.Phase)
		}
		return err
	})
	if have := g.run("cat " + path(volume) + "/file"); have != "data of retained" {
		n.Errorf("its file holds %q", have)
	}
}

// leave gives the volume up and leaves the data where it is.
func leave(n *namespace, g gv0, volume *corev1.PersistentVolume) {
	n.Cleanup(func() { g.run("rm -r left") })
	n.gone("volume", volume.Name)
	if path(volume) != "left/left" {
		n.Errorf("its path is %s", path(volume))
	}
	if have := g.run("cat left/left/file"); have != "data of left" {
		n.Errorf("its file holds %q", have)
	}
}

// deleteNamespace takes everything with it, and nothing is left on the nodes.
func deleteNamespace(s *step, g gv0) {
	n := s.namespace("story-06-gone")
	n.apply("06-namespace.yaml")
	n.rolledOut(n.name, "deployment/users")
	pods, volume := n.pods("users"), n.volume("data")
	if on := nodesOf(pods); len(on) != len(s.Nodes()) {
		s.Errorf("the pods are on %v only", on)
	}
	s.kubectl("delete", "namespace", n.name)
	n.gone("volume", volume.Name)
	g.entry(volume)
	for _, node := range s.Nodes() {
		for _, p := range pods {
			s.hasNoMounts(node, string(p.UID))
		}
	}
}
