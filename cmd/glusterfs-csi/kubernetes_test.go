// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// Two controllers of two Kubernetes clusters, on one Gluster volume, and the commands that are run beside each.
func TestCommandsKnowWhatIsAnotherKubernetesClusters(t *testing.T) {
	production, test := newPlace(t), newPlace(t)
	ofProduction := production.serve("--kubernetes-id", "production", "--trash-retention", "24h")
	ofTest := test.serve("--kubernetes-id", "test", "--trash-retention", "1h")
	remove(t, ofProduction, create(t, ofProduction, "pvc-dear"))
	remove(t, ofTest, create(t, ofTest, "pvc-cheap"))
	live := create(t, ofProduction, "pvc-live")
	matches(t, test.must("volume", "list"), `^VOLUME .* KUBERNETES\n`)
	matches(t, test.must("volume", "list"), `(?m)^`+live+` .* production$`)
	matches(t, test.must("trash", "list"), `(?m)^pi/gv0/pvc-dear\.\S+ .* production +yes$`)
	if strings.Contains(production.must("volume", "list"), "KUBERNETES") {
		t.Error("what is its own has a column that says nothing")
	}
	for p, others := range map[place]string{production: "pvc-cheap", test: "pvc-dear"} {
		for _, e := range p.entries() {
			kept := map[string]time.Duration{"pvc-dear": 24 * time.Hour, "pvc-cheap": time.Hour}[e.Name]
			if e.Others != (e.Name == others) || !e.Due.Equal(e.Deleted.Add(kept)) {
				t.Errorf("%s is of %s, another's: %t, due %s", e.Entry, e.Kubernetes, e.Others, e.Due)
			}
		}
	}
	var volumes []answers.Volume
	if err := json.Unmarshal([]byte(test.must("volume", "list", "-o", "json")), &volumes); err != nil || len(volumes) != 1 || !volumes[0].Others {
		t.Errorf("%+v, %v", volumes, err)
	}

	stdout, stderr, code := test.run("trash", "purge", "--all", "--yes")
	if code != 0 || !strings.Contains(stdout, "pvc-cheap") || strings.Contains(stdout, "pvc-dear") || !strings.Contains(stderr, "of other Kubernetes clusters, which are left: 1") {
		t.Errorf("it purges %q, says %q, and ends with %d", stdout, stderr, code)
	}
	dear := production.entries()
	if len(dear) != 1 || dear[0].Name != "pvc-dear" {
		t.Fatalf("left: %+v", dear)
	}
	matches(t, test.must("trash", "purge", dear[0].Entry), `^Purged pi/gv0/pvc-dear`) // by its name, whoever does it
	remove(t, ofProduction, live)
	matches(t, production.must("trash", "purge", "--all", "--yes"), `^Purged pi/gv0/pvc-live`)
}
