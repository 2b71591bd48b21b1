// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package manager

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

// controllers are of two Kubernetes clusters, on one Gluster volume.
type controllers struct {
	t                *testing.T
	v                gluster.Volume
	production, test *Manager
}

// twoControllers are one that keeps what it deletes for a day, and one that keeps it for a moment. Each lets all volumes
// have 3 GiB together.
func twoControllers(t *testing.T) controllers {
	t.Helper()
	c, name, _ := volumes.NewGlusterVolume(t, testcluster.VolumeOptions{})
	both := controllers{t: t}
	for id, m := range map[string]**Manager{"production": &both.production, "test": &both.test} {
		*m, both.v = managerOn(t, c, name, "3Gi")
		(*m).SetKubernetes(func(context.Context) (string, error) { return id, nil })
	}
	both.production.SetRetention(24 * time.Hour)
	both.test.SetRetention(10 * time.Millisecond)
	return both
}

func (c controllers) create(m *Manager, name, path string) error {
	spec := volumes.Spec(name)
	spec.Path = path
	_, err := m.Create(volumes.Background, c.v, spec)
	return err
}

func (c controllers) delete(m *Manager, name string) {
	c.t.Helper()
	volumes.Must(c.t, m.Delete(volumes.Background, volume.ID{Volume: c.v, ID: name}))
}

// has fails the test unless ListVolumes of a controller would have these.
func (c controllers) has(m *Manager, want ...string) {
	c.t.Helper()
	var all []string
	for after, first := "", true; first || after != ""; first = false {
		page, next, err := m.List(volumes.Background, after, 1)
		volumes.Must(c.t, err)
		for _, one := range page {
			all = append(all, one.Record.ID)
		}
		after = next
	}
	if slices.Sort(all); !slices.Equal(all, want) {
		c.t.Errorf("the list is %q, want %q", all, want)
	}
}

// trash is whose the entries are, by the IDs of their volumes.
func (c controllers) trash() map[string]store.TrashEntry {
	c.t.Helper()
	entries, err := c.production.Trash(volumes.Background, c.v)
	volumes.Must(c.t, err)
	all := map[string]store.TrashEntry{}
	for _, e := range entries {
		all[e.Record.ID] = e
	}
	return all
}

// reapsUntil has a controller look at the trash until an entry is gone.
func (c controllers) reapsUntil(m *Manager, id string) {
	c.t.Helper()
	testcluster.Eventually(c.t, time.Minute, func() error {
		if _, err := m.maintain(volumes.Background, c.v, true); err != nil {
			return err
		}
		if _, there := c.trash()[id]; there {
			return errors.New("it is still in the trash: " + id)
		}
		return nil
	})
}

// What one deleted to keep it for a day was removed by the other after a minute, for good, since that keeps nothing for
// longer.
func TestTheReaperOfAnotherKubernetesClusterObeysWhoDeleted(t *testing.T) {
	c := twoControllers(t)
	for name, m := range map[string]*Manager{"pvc-dear": c.production, "pvc-cheap": c.test} {
		volumes.Must(t, c.create(m, name, name))
	}
	c.delete(c.production, "pvc-dear")
	c.delete(c.test, "pvc-cheap")
	if _, err := c.test.maintain(volumes.Background, c.v, true); err != nil { // sees both
		t.Fatal(err)
	}
	c.reapsUntil(c.test, "pvc-cheap")
	dear, there := c.trash()["pvc-dear"]
	if !there {
		t.Fatal("what was to be kept for a day is gone")
	}
	if due := dear.Due(0); dear.Kubernetes() != "production" || !due.Equal(dear.Deleted.Add(24*time.Hour)) {
		t.Errorf("it is of %q, and due at %s, deleted at %s", dear.Kubernetes(), due, dear.Deleted)
	}
	if _, err := c.test.Restore(volumes.Background, c.v, dear.Name); err != nil { // by hand, whoever does it
		t.Error(err)
	}
	c.has(c.production, "pvc-dear")
	c.has(c.test)

	// The other way round: what is due by who deleted it goes, whoever looks.
	volumes.Must(t, c.create(c.test, "pvc-cheap", "pvc-cheap"))
	c.delete(c.test, "pvc-cheap")
	c.reapsUntil(c.production, "pvc-cheap")
}

func TestEachKubernetesClusterHasItsOwn(t *testing.T) {
	c := twoControllers(t)
	volumes.Must(t, c.create(c.production, "pvc-1", "shop/data"))
	err := c.create(c.test, "pvc-2", "shop/data") // by a template without ${pv.name}
	volumes.Wants(t, err, volume.ErrForeign, "shop/data", "volume pvc-1 of Kubernetes cluster production")
	volumes.Wants(t, c.create(c.test, "pvc-2", "shop/data/within"), volume.ErrNested, "volume pvc-1 of Kubernetes cluster production")
	volumes.Wants(t, c.create(c.test, "pvc-1", "shop/data"), volume.ErrIncompatible, "of Kubernetes cluster production", "this is test")
	volumes.Must(t, c.create(c.production, "pvc-1", "shop/data")) // a repetition

	volumes.Must(t, c.create(c.test, "pvc-2", "test/data"), c.create(c.production, "pvc-3", "shop/more"))
	c.has(c.production, "pvc-1", "pvc-3")
	c.has(c.test, "pvc-2")
	for _, m := range []*Manager{c.production, c.test} {
		all, err := m.ListOn(volumes.Background, c.v, "", 10)
		if err != nil || len(all) != 3 {
			t.Errorf("%d volumes, %v", len(all), err)
		}
		// The space is one, and each has promised 3 GiB of it to all.
		_, err = m.maintain(volumes.Background, c.v, true)
		volumes.Must(t, err)
		if available, _, err := m.Capacity(volumes.Background, c.v); available != 0 || err != nil {
			t.Errorf("%d bytes may be provisioned, %v", available, err)
		}
		volumes.Wants(t, c.create(m, "pvc-4", "pvc-4"), volume.ErrProvisioned)
	}

	c.delete(c.production, "pvc-1")
	c.delete(c.production, "pvc-3")
	for m, want := range map[*Manager][3]float64{c.production: {1, 1, 0}, c.test: {1, 0, 2}} {
		_, err := m.maintain(volumes.Background, c.v, true)
		volumes.Must(t, err)
		is := m.metrics
		got := [3]float64{m.show(t, is.volumes, c.v), m.show(t, is.othersVolumes, c.v), m.show(t, is.othersTrash, c.v)}
		if got != want {
			t.Errorf("volumes, others' volumes and others' trash are %v, want %v", got, want)
		}
		if age := m.show(t, is.trashAge, c.v); (age > 0) != (m == c.production) {
			t.Errorf("the oldest of its own is %f s old", age)
		}
	}
}

// What a driver made that did not say whose it is belongs to the first that changes it.
func TestWhatIsNobodysBelongsToTheFirstThatNeedsIt(t *testing.T) {
	c := twoControllers(t)
	c.production.SetKubernetes(nil)
	volumes.Must(t, c.create(c.production, "pvc-1", "pvc-1"), c.create(c.production, "pvc-2", "pvc-2"))
	c.production.SetKubernetes(func(context.Context) (string, error) { return "production", nil })
	c.has(c.production, "pvc-1", "pvc-2")
	c.has(c.test, "pvc-1", "pvc-2")
	for _, m := range []*Manager{c.production, c.test} { // and whoever is second changes it all the same, and has it not
		if _, err := m.Expand(volumes.Background, volume.ID{Volume: c.v, ID: "pvc-1"}, 1<<30+1, 0); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.test.Expand(volumes.Background, volume.ID{Volume: c.v, ID: "pvc-1"}, 1<<30+2, 0); err != nil {
		t.Fatal(err)
	}
	c.has(c.production, "pvc-1", "pvc-2")
	c.has(c.test, "pvc-2")
	c.delete(c.production, "pvc-1")
	c.delete(c.production, "pvc-2")
	if of := c.trash()["pvc-2"].Kubernetes(); of != "production" {
		t.Errorf("what production deleted is of %q", of)
	}
	entry := c.trash()["pvc-2"].Name
	if _, err := c.production.Restore(volumes.Background, c.v, entry); err != nil {
		t.Fatal(err)
	}
	c.has(c.test)
	c.has(c.production, "pvc-2")
}

// An API server that does not answer makes nothing that belongs to nobody.
func TestNothingIsMadeBeforeItIsKnownForWhom(t *testing.T) {
	c := twoControllers(t)
	silent := errors.New("the API server does not answer")
	c.test.SetKubernetes(func(context.Context) (string, error) { return "", silent })
	volumes.Wants(t, c.create(c.test, "pvc-1", "pvc-1"), silent)
	c.has(c.production)
}
