// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package repair

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/clients"
)

// dies binds a new directory of a client and kills that. It returns where, and the ID of the mount.
func dies(t *testing.T, c *client.Client, dir string) (target string, id int) {
	t.Helper()
	clients.MakeFile(t, c, dir)
	target = clients.Bind(t, c, "/"+dir, 0)
	at, err := mount.At(target)
	if err != nil || len(at) != 1 {
		t.Fatalf("%d mounts, %v", len(at), err)
	}
	clients.Kill(t, c)
	return target, at[0].ID
}

// round is one of r, which may say that mounts are stale.
func round(t *testing.T, h *client.Host, r *Repairer) mount.Report {
	t.Helper()
	h.Adopt(t.Context())
	report, err := r.repair(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// rememberedOf is what is on disk of the client whose mount this was.
func rememberedOf(t *testing.T, h *client.Host, dir string, id int) (e statedir.Ended, isThere bool) {
	t.Helper()
	all, _ := h.StateDir().Ended() // which may say that something else cannot be read
	i := slices.IndexFunc(all, func(e statedir.Ended) bool { return slices.Contains(e.Mounts["/"+dir], id) })
	if i < 0 {
		return e, false
	}
	return all[i], true
}

// As on a disk that is full for a while.
func TestWhatCannotBeWrittenOfADeadClientIsWrittenLater(t *testing.T) {
	h := clients.SharedHost(t)
	r := New(h, nil)
	_, id := dies(t, clients.Ensure(t, h, gv0), "unwritten")
	inTheWay := filepath.Join(h.StateDir().StateDir(), "ended")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if report := round(t, h, r); report.Repaired() != 1 {
		t.Errorf("repaired: %+v", report)
	}
	for start := range r.unseen {
		t.Errorf("%s is about to be discarded", start)
	}
	if err := os.Remove(inTheWay); err != nil {
		t.Fatal(err)
	}
	round(t, h, r)
	if e, isThere := rememberedOf(t, h, "unwritten", id); !isThere || e.Repaired.IsZero() {
		t.Errorf("of mount %d is remembered %+v", id, e)
	}
	if round(t, h, r); len(r.unseen) != 1 {
		t.Errorf("what is written is not settled: %v", r.unseen)
	}
}

func TestWhatCannotBeReadOfOneClientIsInTheWayOfNoOther(t *testing.T) {
	h := clients.SharedHost(t)
	r := New(h, nil)
	_, id := dies(t, clients.Ensure(t, h, gv0), "unreadable")
	if err := os.MkdirAll(filepath.Join(h.StateDir().StateDir(), "ended", "1-1.json"), 0o700); err != nil {
		t.Fatal(err)
	}
	round(t, h, r)
	if e, isThere := rememberedOf(t, h, "unreadable", id); !isThere || e.Repaired.IsZero() || r.unremembered == "" {
		t.Errorf("of mount %d is remembered %+v; said is %q", id, e, r.unremembered)
	}
}

func TestAClientWhoseMountsAreStillDeadIsNotRepairedWithAnother(t *testing.T) {
	h := clients.SharedHost(t)
	r := New(h, nil)
	stays, other := clients.Ensure(t, h, gv0), clients.Ensure(t, h, gv0, "acl")
	_, repaired := dies(t, other, "repaired")
	_, left := dies(t, stays, "left")
	if err := os.RemoveAll(filepath.Join(clients.Ensure(t, h, gv0).Mountpoint(), "left")); err != nil { // through the next client
		t.Fatal(err)
	}
	if report := round(t, h, r); report.Repaired() != 1 || len(report.Stale) != 1 {
		t.Errorf("there are %+v", report)
	}
	for dir, id := range map[string]int{"repaired": repaired, "left": left} {
		e, isThere := rememberedOf(t, h, dir, id)
		if !isThere || e.Repaired.IsZero() != (dir == "left") {
			t.Errorf("of %s is remembered %+v", dir, e)
		}
	}
}
