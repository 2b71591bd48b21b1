// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package manager

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// quickLeases lets all of it happen in moments.
var quickLeases = leases{renewed: 100 * time.Millisecond, looked: 20 * time.Millisecond, lasts: 3 * time.Second}

// TestWhoRenewsItsLeaseIsSeenAndWhoDoesNotIsNot: by change alone, and whatever clock has made the stamp.
func TestWhoRenewsItsLeaseIsSeenAndWhoDoesNotIsNot(t *testing.T) {
	c := twoControllers(t)
	c.production.leases, c.test.leases = quickLeases, quickLeases
	if isThere, err := c.test.Watch(t.Context(), c.v, "production"); isThere || err != nil {
		t.Errorf("before it has run: %t, %v", isThere, err)
	}
	running, end := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		c.production.keepLease(running, c.v)
		close(ended)
	}()
	for { // until the first renewal has made it
		isThere, err := c.test.Watch(t.Context(), c.v, "production")
		if isThere {
			volumes.Wants(t, err, ErrRenewed)
			break
		}
		volumes.Must(t, err)
	}
	end()
	<-ended
	began := time.Now()
	if isThere, err := c.test.Watch(t.Context(), c.v, "production"); !isThere || err != nil || time.Since(began) < quickLeases.lasts {
		t.Errorf("when it has ended: %t, %v, after %s", isThere, err, time.Since(began))
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := c.test.Watch(stopped, c.v, "production"); !errors.Is(err, context.Canceled) {
		t.Errorf("who asks has gone: %v", err)
	}
}

// TestWhatAKubernetesClusterHadIsTakenOver: volumes and trash, with those of a third one left, and again without effect.
func TestWhatAKubernetesClusterHadIsTakenOver(t *testing.T) {
	c := twoControllers(t)
	volumes.Must(t, c.create(c.production, "pvc-1", "pvc-1"), c.create(c.production, "pvc-2", "pvc-2"), c.create(c.test, "pvc-3", "pvc-3"))
	if _, err := c.production.Expand(volumes.Background, volume.ID{Volume: c.v, ID: "pvc-1"}, 1<<30+1, 0); err != nil { // it has attributes
		t.Fatal(err)
	}
	c.delete(c.production, "pvc-2")
	before := c.trash()["pvc-2"]
	for _, from := range []string{"production", "production", "nobody"} {
		done, err := c.test.TakeOver(volumes.Background, c.v, from)
		volumes.Must(t, err)
		t.Logf("from %s: %+v", from, done)
	}
	c.has(c.test, "pvc-1", "pvc-3")
	c.has(c.production)
	r, err := c.test.Get(volumes.Background, volume.ID{Volume: c.v, ID: "pvc-1"})
	if err != nil || r.Kubernetes != "test" || r.Capacity != 1<<30+1 {
		t.Errorf("it is %+v, %v", r, err)
	}
	after := c.trash()["pvc-2"]
	if after.Kubernetes() != "test" || after.Name != before.Name || !after.Due(0).Equal(before.Due(0)) {
		t.Errorf("the entry was %s of %s, due %s, and is %s of %s, due %s", before.Name, before.Kubernetes(), before.Due(0), after.Name, after.Kubernetes(), after.Due(0))
	}

	// A later deletion is of who has deleted then.
	if _, err := c.test.Restore(volumes.Background, c.v, after.Name); err != nil {
		t.Fatal(err)
	}
	c.has(c.test, "pvc-1", "pvc-2", "pvc-3")
	c.delete(c.production, "pvc-2")
	if of := c.trash()["pvc-2"].Kubernetes(); of != "production" {
		t.Errorf("what production deleted then is of %q", of)
	}
}

func TestNothingIsTakenOverByWhoKnowsNotWhoItIs(t *testing.T) {
	c := twoControllers(t)
	volumes.Must(t, c.create(c.production, "pvc-1", "pvc-1"))
	_, err := c.production.TakeOver(volumes.Background, c.v, "production")
	volumes.Wants(t, err, volume.ErrInvalid, "nothing to take over")
	c.test.SetKubernetes(nil)
	_, err = c.test.TakeOver(volumes.Background, c.v, "production")
	volumes.Wants(t, err, volume.ErrInvalid, "which Kubernetes cluster this is")
	c.has(c.production, "pvc-1")
}
