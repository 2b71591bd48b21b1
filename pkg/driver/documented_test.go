// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/tests/documented"
)

func TestEveryParameterIsDocumented(t *testing.T) {
	// Keys with a slash are those that the sidecars add.
	added := func(key string) bool { return strings.Contains(key, "/") }
	documented.Compare(t, "StorageClass `parameters`", slices.DeleteFunc(slices.Collect(maps.Keys(setters)), added))
	documented.Compare(t, "VolumeSnapshotClass `parameters`", slices.Collect(maps.Keys(snapshotSetters)))
	documented.Compare(t, "`volumeAttributes` of a static PersistentVolume", slices.Collect(maps.Keys(contextSetters)))
}

// TestTheChartKnowsEveryParameter: its schema refuses what it does not know.
func TestTheChartKnowsEveryParameter(t *testing.T) {
	text, err := os.ReadFile("../../deploy/helm/glusterfs-csi/values.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	type class struct {
		Items struct {
			Properties struct {
				Parameters struct {
					Properties map[string]any `json:"properties"`
				} `json:"parameters"`
			} `json:"properties"`
		} `json:"items"`
	}
	var schema struct {
		Properties struct {
			Storage    class `json:"storageClasses"`
			Attributes class `json:"volumeAttributesClasses"`
			Snapshots  struct {
				Properties struct {
					Classes class `json:"classes"`
				} `json:"properties"`
			} `json:"snapshots"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	names := func(c class) []string { return slices.Sorted(maps.Keys(c.Items.Properties.Parameters.Properties)) }
	for list, known := range map[string]struct{ chart, driver []string }{
		"storageClasses":          {names(schema.Properties.Storage), slices.Sorted(maps.Keys(setters))},
		"volumeAttributesClasses": {names(schema.Properties.Attributes), slices.Sorted(slices.Values(mutable))},
		"snapshots.classes":       {names(schema.Properties.Snapshots.Properties.Classes), slices.Sorted(maps.Keys(snapshotSetters))},
	} {
		known.driver = slices.DeleteFunc(known.driver, func(key string) bool { return strings.Contains(key, "/") }) // those that the sidecars add
		if !slices.Equal(known.chart, known.driver) {
			t.Errorf("%s: the chart knows %q, the driver %q", list, known.chart, known.driver)
		}
	}
}
