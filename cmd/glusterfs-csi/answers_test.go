// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package main

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// TestTheTrashKnowsTheClaim: from its creation through the trash and back, a volume keeps what its claim asked for.
func TestTheTrashKnowsTheClaim(t *testing.T) {
	p := newPlace(t)
	controller := p.serve()
	id := create(t, controller, "pvc-known",
		"csi.storage.k8s.io/pvc/name", "data", "csi.storage.k8s.io/pvc/namespace", "shop", "csi.storage.k8s.io/pv/name", "pvc-known", "consistency", "strict")
	remove(t, controller, id)
	entry := p.entries()[0]
	isKnown := func(m *answers.MadeFor) {
		t.Helper()
		if m == nil || m.Namespace != "shop" || m.Claim != "data" || !slices.Equal(m.AccessModes, []string{"ReadWriteMany"}) || m.Parameters["uid"] != "1001" {
			t.Errorf("it was made for %+v", m)
		}
	}
	isKnown(entry.MadeFor)
	var restored answers.Volume
	if err := json.Unmarshal([]byte(p.must("trash", "restore", entry.Entry, "-o", "json")), &restored); err != nil {
		t.Fatal(err)
	}
	isKnown(restored.MadeFor)
	if restored.ID != id || restored.Name != "pvc-known" || restored.Attributes["path"] != "shop/pvc-known" || restored.Attributes["consistency"] != "strict" {
		t.Errorf("restored: %+v", restored)
	}
	remove(t, controller, id)
	matches(t, p.must("trash", "restore", p.entries()[0].Entry, "-o", "yaml"), `(?s)consistency: strict.*kind: PersistentVolumeClaim.*name: data\n +namespace: shop`)
	remove(t, controller, id)
	p.must("trash", "purge", "--all", "--yes")
}
