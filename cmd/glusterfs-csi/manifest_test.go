// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// TestAPrintedVolumeIsForItsClaimAlone: if that cannot be made at once, no other that waits for a volume without a class gets the data.
func TestAPrintedVolumeIsForItsClaimAlone(t *testing.T) {
	printed := func(madeFor *volume.MadeFor) (text string, claimRef, claim map[string]string) {
		id := volume.ID{Volume: gluster.Volume{Cluster: "pi", Name: "gv0"}, ID: "pvc-1"}
		text, err := manifest(id, volume.Record{ID: "pvc-1", Name: "pvc-1", MadeFor: madeFor})
		if err != nil {
			t.Fatal(err)
		}
		var objects [2]struct {
			Metadata map[string]string `json:"metadata"`
			Spec     struct {
				ClaimRef map[string]string `json:"claimRef"`
			} `json:"spec"`
		}
		for i, document := range strings.Split(text, "---\n") {
			if err := yaml.Unmarshal([]byte(document), &objects[i]); err != nil {
				t.Fatal(err)
			}
		}
		return text, objects[0].Spec.ClaimRef, objects[1].Metadata
	}
	text, ref, claim := printed(&volume.MadeFor{Namespace: "shop", Claim: "data"})
	if ref["kind"] != "PersistentVolumeClaim" || ref["namespace"] != "shop" || ref["name"] != "data" || claim["namespace"] != "shop" || claim["name"] != "data" {
		t.Errorf("the PersistentVolume is for %v:\n%s", ref, text)
	}
	if text, ref, _ := printed(nil); ref != nil || !strings.Contains(text, "spec.claimRef") {
		t.Errorf("where nobody knows the claim:\n%s", text)
	}
}
