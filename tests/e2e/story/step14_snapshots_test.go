// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/install"
)

// snapshots is docs/install.md on snapshots, and the database of a shop: it is snapshotted, lost, restored and cloned while it takes
// orders.
func snapshots(s *step) {
	g := s.gv0()
	s.turnSnapshotsOn()
	n := s.namespace("story-14")
	n.kubectl("-n", n.name, "apply", "--dry-run=server", "-f", filepath.Join(examples, "snapshot.yaml"))
	n.template("14-database.yaml", "NAME", "shop", "SOURCE", "null")
	n.ready("shop")

	var atNoon string
	if !s.part("snapshot", func(s *step) { atNoon = n.in(s).snapshot() }) {
		s.FailNow()
	}
	s.part("restored", func(s *step) {
		n := n.in(s)
		n.takesMoreThan("shop", atNoon)
		n.kubectl("-n", n.name, "delete", "pod,persistentvolumeclaim", "shop", "--wait=false")
		n.gone("claim", "shop")
		n.finds("restored", "{apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: noon}", atNoon)
	})
	s.part("cloned_in_use", func(s *step) {
		n := n.in(s)
		n.takesMoreThan("restored", atNoon)
		orders, goOn := n.hold("restored")
		n.finds("clone", "{kind: PersistentVolumeClaim, name: restored}", orders)
		goOn()
		n.takesMoreThan("restored", orders)
		n.takesMoreThan("clone", orders)
	})
	s.part("deleted", func(s *step) { n.in(s).deleteSnapshot(g.in(s)) })
	s.part("rights", func(s *step) {
		s.neverForbidden(driverNamespace, "glusterfs-csi-controller", "provisioner")
		s.neverForbidden(driverNamespace, "glusterfs-csi-controller", "snapshotter")
		s.neverForbidden("kube-system", "snapshot-controller", "snapshot-controller")
	})
}

// turnSnapshotsOn runs the commands of docs/install.md, until the step ends.
func (s *step) turnSnapshotsOn() {
	s.Helper()
	dir := s.edit()
	ctx, cancel := s.context(2 * patience)
	defer cancel()
	s.Cleanup(func() {
		s.kubectl("apply", "-k", filepath.Join(dir, "base"))
		s.rolledOut(driverNamespace, "deployment/glusterfs-csi-controller")
		s.kubectl("delete", "clusterrole,clusterrolebinding", "glusterfs-csi-snapshots")
		s.kubectl("delete", "-k", filepath.Join(dir, "snapshot-controller"))
	})
	began := time.Now()
	if err := install.TurnSnapshotsOn(ctx, s.Cluster, dir); err != nil {
		s.Fatal(err)
	}
	s.Logf("snapshots are on after %s", seconds(time.Since(began)))
}

// snapshot makes a snapshot of the shop between two orders, and returns how many it has then.
func (n *namespace) snapshot() (orders string) {
	n.Helper()
	orders, goOn := n.hold("shop")
	defer goOn()
	n.apply("14-snapshot.yaml")
	took := n.await(patience, "the snapshot is ready to use", func(context.Context) error {
		ready, err := n.tryKubectl("-n", n.name, "get", "volumesnapshot", "noon", "-o", "jsonpath={.status.readyToUse}")
		if err == nil && ready != "true" {
			status, _ := n.tryKubectl("-n", n.name, "get", "volumesnapshot", "noon", "-o", "jsonpath={.status}")
			err = fmt.Errorf("its status is %s", status)
		}
		return err
	})
	n.Logf("a snapshot of %s orders was ready after %s: %s", orders, seconds(took),
		n.kubectl("-n", n.name, "get", "volumesnapshot", "noon", "--no-headers"))
	return orders
}

// hold takes the database's lock, so that no order is half written, and returns how many there are. They go on after goOn.
func (n *namespace) hold(pod string) (orders string, goOn func()) {
	n.Helper()
	orders = n.sh(pod, `rm -f /notes/held /notes/go-on
		( {
			printf '%s\n' '.timeout 60000' 'BEGIN IMMEDIATE;' '.once /notes/held' 'SELECT count(*) FROM orders;'
			until test -e /notes/go-on; do sleep 0.1; done
		} | sqlite3 -bail /data/shop.db ) >/notes/lock 2>&1 </dev/null &
		until test -s /notes/held; do kill -0 $! || { cat /notes/lock; exit 1; }; sleep 0.1; done
		cat /notes/held`)
	return orders, func() { n.sh(pod, "touch /notes/go-on") }
}

// takesMoreThan waits until the shop has taken more orders than this, and fails if one could not be written.
func (n *namespace) takesMoreThan(pod, orders string) {
	n.Helper()
	n.await(patience, fmt.Sprintf("%s takes more than %s orders", pod, orders), func(context.Context) error {
		have, err := n.try(pod, "sqlite3 -cmd '.timeout 60000' /data/shop.db 'SELECT count(*) FROM orders'")
		if err != nil {
			return err
		}
		if number(have) <= number(orders) {
			return fmt.Errorf("it has %s", have)
		}
		return nil
	})
	if noted := n.sh(pod, "cat /notes/errors 2>/dev/null || true"); noted != "" {
		n.Errorf("%s has lost orders: %s", pod, noted)
	}
}

// number is -1 for what is none.
func number(text string) int {
	i, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return i
}

// finds fails unless a shop that starts with a claim of this source finds an intact database with just these orders.
func (n *namespace) finds(name, source, orders string) {
	n.Helper()
	began := time.Now()
	n.template("14-database.yaml", "NAME", name, "SOURCE", source)
	n.volume(name)
	bound := time.Since(began)
	n.ready(name)
	n.Logf("claim %s was bound after %s, its pod ready after %s", name, seconds(bound), seconds(time.Since(began)))
	n.prints(name, "cat /notes/found", "ok\n"+orders+"|"+orders)
}

// deleteSnapshot deletes the snapshot, of which nothing is left in the cluster then, and in the trash what there was on the volume. The
// claim that was made of it goes on.
func (n *namespace) deleteSnapshot(g gv0) {
	n.Helper()
	content := n.kubectl("-n", n.name, "get", "volumesnapshot", "noon", "-o", "jsonpath={.status.boundVolumeSnapshotContentName}")
	handle := n.kubectl("get", "volumesnapshotcontent", content, "-o", "jsonpath={.status.snapshotHandle}")
	id := handle[strings.LastIndex(handle, "/")+1:]
	const found = "find .glusterfs-csi/snapshots -name '*%s*'"
	if g.run(fmt.Sprintf(found, id)) == "" {
		n.Errorf("there is nothing of snapshot %s on %s", handle, cluster.Volume)
	}
	n.kubectl("-n", n.name, "delete", "volumesnapshot", "noon", "--wait=false")
	n.await(patience, "the snapshot's content is gone", func(context.Context) error {
		left, err := n.tryKubectl("get", "volumesnapshotcontents", "-o", "name")
		if err == nil && strings.Contains(left, content) {
			err = errors.New("it is still there")
		}
		return err
	})
	if left := g.run(fmt.Sprintf(found, id)); left != "" {
		n.Errorf("left of snapshot %s: %s", handle, left)
	}
	n.takesMoreThan("restored", "0")
}

// neverForbidden fails if the API server has refused a container anything.
func (s *step) neverForbidden(namespace, deployment, container string) {
	s.Helper()
	for line := range strings.Lines(s.kubectl("-n", namespace, "logs", "deployment/"+deployment, "-c", container)) {
		if strings.Contains(line, "forbidden") {
			s.Errorf("the %s lacks a right: %s", container, line)
		}
	}
}
