// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/driver"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// Formats of -o.
const (
	formatYAML = "yaml"
	formatJSON = "json"
)

// unrecorded is what records of drivers that did not know MadeFor lack.
const unrecorded = `# - the name and the namespace of the claim: as below, in the namespace of kubectl. Put both into spec.claimRef of
#   the PersistentVolume, too, or another claim that fits may get it;
# - the access modes: ReadWriteMany fits every pod; kubelet goes by the first;
# - mountOptions, and consistency: strict below volumeAttributes, if its class had them;
`

// dnsName is what the name of an object is (RFC 1123 subdomain).
var dnsName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

// manifest returns the objects by which a volume that was restored, or adopted, is used. What no record knows is a comment.
func manifest(id volume.ID, r volume.Record) (string, error) {
	capacity, name, modes := quantity(r.Capacity), objectName(r.Name, id.ID), []string{"ReadWriteMany"}
	claimMeta := map[string]any{"name": name}
	spec := map[string]any{
		"capacity":                      map[string]any{"storage": capacity},
		"persistentVolumeReclaimPolicy": "Retain", "storageClassName": "",
		"csi": map[string]any{"driver": driver.DefaultName, "volumeHandle": id.String(), "volumeAttributes": driver.RecordedContext(r)},
	}
	unknown := unrecorded
	if m := r.MadeFor; m != nil {
		unknown, claimMeta = "", map[string]any{"name": m.Claim, "namespace": m.Namespace}
		// Or another claim that fits gets the data, where this one cannot be made.
		spec["claimRef"] = map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "name": m.Claim, "namespace": m.Namespace}
		if len(m.AccessModes) > 0 {
			modes = m.AccessModes
		}
		if len(m.MountOptions) > 0 {
			spec["mountOptions"] = m.MountOptions
		}
	}
	spec["accessModes"] = modes
	pv := map[string]any{"apiVersion": "v1", "kind": "PersistentVolume", "metadata": map[string]any{"name": name}, "spec": spec}
	claim := map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": claimMeta,
		"spec": map[string]any{
			"accessModes": modes, "resources": map[string]any{"requests": map[string]any{"storage": capacity}},
			"storageClassName": "", "volumeName": name,
		},
	}
	var text strings.Builder
	text.WriteString(`# Not recorded with the volume, so look at each before you apply this:
` + unknown + `# - the class; with "" the volume is as a static one;
# - the driver's name, if it was installed with --driver-name.
`)
	if r.Origin == volume.Adopted {
		text.WriteString("# The data stays when the claim is deleted, by Retain and by Delete.\n")
	} else {
		text.WriteString("# Retain keeps the data when the claim is deleted; Delete puts it into the trash again.\n")
	}
	if r.Capacity == 0 {
		text.WriteString("# The volume was made without a size: 1Gi stands for it.\n")
	}
	for i, object := range []map[string]any{pv, claim} {
		if i > 0 {
			text.WriteString("---\n")
		}
		encoded, err := yaml.Marshal(object)
		if err != nil {
			return "", fmt.Errorf("the objects of volume %s: %w", id, err)
		}
		text.Write(encoded)
	}
	return strings.TrimSpace(text.String()), nil
}

// objectName is the CSI name, which external-provisioner gives the PersistentVolume, unless Kubernetes would not
// have it.
func objectName(name, id string) string {
	for _, candidate := range []string{name, strings.ToLower(id)} {
		if len(candidate) <= 253 && dnsName.MatchString(candidate) {
			return candidate
		}
	}
	return "restored"
}

// quantity is a size as Kubernetes has it: no rounding, and not 0, which it refuses.
func quantity(bytes int64) string {
	if bytes == 0 {
		return "1Gi"
	}
	for _, unit := range []struct {
		name string
		size int64
	}{{"Ti", 1 << 40}, {"Gi", 1 << 30}, {"Mi", 1 << 20}, {"Ki", 1 << 10}} {
		if bytes%unit.size == 0 {
			return strconv.FormatInt(bytes/unit.size, 10) + unit.name
		}
	}
	return strconv.FormatInt(bytes, 10)
}
