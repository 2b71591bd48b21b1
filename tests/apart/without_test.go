// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package apart

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// Where a mounter sees no hierarchy of control groups its clients are what they were: children in its container, which the next one repairs.
func TestWithoutControlGroupsClientsEndWithTheContainer(t *testing.T) {
	n := newNode(t)
	n.pods.noSys = true
	i := newImage(t, "10.3-1")
	first := n.startMounter("first", i)
	p := n.publish("volume")
	if all := n.listed(); len(all) != 1 || all[0].Group != "" || all[0].Program != "" || all[0].Outdated {
		t.Errorf("it is %+v", all)
	}
	log, err := os.ReadFile(first.log)
	if said := strings.Count(string(log), "Clients end with this container"); err != nil || said != 1 {
		t.Errorf("the mounter says so %d times, %v:\n%s", said, err, log)
	}
	first.kill()
	n.eventually(func() error { return gone(p.pid) })

	// The next one may have them.
	n.pods.noSys = false
	n.startMounter("second", i)
	p.goesOn()
	if all := n.listed(); len(all) != 1 || all[0].Group == "" || all[0].Program == "" {
		t.Errorf("after the repair it is %+v", all)
	}
}

// A mounter that cannot copy its image's programs starts clients that end with its container: one that went on would run what is in the image, and keep
// what the container has mounted. Those of an earlier mounter are what they were.
func TestWhereProgramsCannotBeCopiedNewClientsEndWithTheContainer(t *testing.T) {
	n := newNode(t)
	first := n.startMounter("first", newImage(t, "10.3-1"))
	p := n.publish("volume")
	first.kill()
	i := newImage(t, "10.3-2")
	i.lists(t, "/usr/lib/that-is-not-there")
	second := n.startMounter("second", i)
	other := n.publish("other", "acl")
	for _, c := range n.listed() {
		if c.PID == p.pid && (c.Group == "" || c.Program == "" || c.Outdated) || c.PID == other.pid && (c.Group != "" || c.Program != "") {
			t.Errorf("there is %+v", c)
		}
	}
	log, err := os.ReadFile(second.log)
	if said := strings.Contains(string(log), "that-is-not-there"); err != nil || !said {
		t.Errorf("the mounter says why: %t, %v:\n%s", said, err, log)
	}
	second.kill()
	n.eventually(func() error { return gone(other.pid) })
	p.isUndisturbed()
	n.startMounter("third", newImage(t, "10.3-2"))
	other.goesOn()
	p.isUndisturbed()
}

// Somebody may remove the programs while the mounter runs: they are copied again, and where they cannot be, a client is started all the same.
func TestAClientIsStartedWhereItsProgramsWereRemoved(t *testing.T) {
	n := newNode(t)
	i := newImage(t, "10.3-1")
	n.startMounter("mounter", i)
	if err := os.RemoveAll(n.path("state/programs")); err != nil {
		t.Fatal(err)
	}
	p := n.publish("volume")
	if c := n.clients()[p.pid]; c.Group == "" || !strings.HasPrefix(c.Program, "10.3-1-") {
		t.Errorf("of programs that were copied again: %+v", c)
	}
	p.isUndisturbed()
	if err := errors.Join(os.Rename(n.path("state/programs"), n.path("aside")), os.WriteFile(n.path("state/programs"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	other := n.publish("other", "acl")
	if c := n.clients()[other.pid]; c.Group != "" || c.Program != "" || !c.Outdated {
		t.Errorf("without programs: %+v", c)
	}
	other.isUndisturbed()
	if err := errors.Join(os.Remove(n.path("state/programs")), os.Rename(n.path("aside"), n.path("state/programs"))); err != nil {
		t.Fatal(err)
	}
	n.command("replace", "--outdated")
	for _, c := range n.listed() {
		if c.Group == "" || c.Program == "" || c.Outdated {
			t.Errorf("after it was replaced: %+v", c)
		}
	}
}
