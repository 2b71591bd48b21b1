// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	lastApplied  = "kubectl.kubernetes.io/last-applied-configuration"
	readOnlyMany = "ReadOnlyMany"
)

// notOfANewVolume are annotations of an old PersistentVolume that would be wrong on the new one: who deletes it, who
// bound it, what it was applied from, and what has become a field.
var notOfANewVolume = []string{
	"pv.kubernetes.io/provisioned-by", "pv.kubernetes.io/migrated-to", "pv.kubernetes.io/bound-by-controller", lastApplied, betaClass, mountOptionsAnnotation,
}

// newVolume is the static PersistentVolume of the same directory, under the same name. What nobody here knows of the
// old one is kept.
func newVolume(old *Object, b binding, place Place, mountOptions []string) map[string]any {
	content := clone(old.Content)
	content["apiVersion"] = "v1"
	delete(content, "status")
	content["metadata"] = newMetadata(content, notOfANewVolume)
	spec := mapAt(content, "spec")
	delete(spec, "glusterfs")
	spec["csi"] = csiSource(old.name(), place)
	if slices.Contains(mountOptions, "ro") {
		mapAt(spec, "csi")["readOnly"] = true
	}
	spec["persistentVolumeReclaimPolicy"] = "Retain"
	if modes := texts(spec, "accessModes"); len(modes) > 0 {
		spec["accessModes"] = anyList(writableFirst(modes))
	}
	if name, isSaid := class(old); isSaid {
		spec["storageClassName"] = name
	}
	delete(spec, "mountOptions")
	if len(mountOptions) > 0 {
		spec["mountOptions"] = anyList(mountOptions)
	}
	delete(spec, "claimRef")
	if b.ref != nil && b.unused == "" {
		spec["claimRef"] = map[string]any{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": b.ref.Namespace, "name": b.ref.Name}
	}
	return content
}

func csiSource(name string, place Place) map[string]any {
	return map[string]any{
		"driver":           DriverName,
		"volumeHandle":     place.Cluster + "/" + place.Volume + "/" + handleID(name),
		"volumeAttributes": map[string]any{"path": place.Path},
	}
}

// newMetadata keeps name, namespace, labels and the annotations that are still true, and whatever nobody here knows.
func newMetadata(content map[string]any, without []string) map[string]any {
	metadata := clone(mapAt(content, "metadata"))
	for _, key := range append([]string{"finalizers"}, serverKeys...) {
		delete(metadata, key)
	}
	annotations := mapAt(metadata, "annotations")
	for _, key := range without {
		delete(annotations, key)
	}
	if len(annotations) == 0 {
		delete(metadata, "annotations")
	}
	return metadata
}

// notOfANewClaim are annotations that controllers put on a claim while they bind it.
var notOfANewClaim = []string{
	"pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller", "volume.beta.kubernetes.io/storage-provisioner",
	"volume.kubernetes.io/storage-provisioner", "volume.kubernetes.io/selected-node", "volume.kubernetes.io/storage-resizer", lastApplied, betaClass,
}

// newClaim is the claim for a cluster that does not have it: the same, with the volume's name and class.
func newClaim(old *Object, volume map[string]any, say func(Finding)) map[string]any {
	content := clone(old.Content)
	delete(content, "status")
	content["apiVersion"] = "v1"
	metadata := newMetadata(content, notOfANewClaim)
	if metadata["ownerReferences"] != nil {
		delete(metadata, "ownerReferences")
		say(Finding{Severity: Note, Message: "its ownerReferences are left out of the new claim: they have the uids of the old cluster"})
	}
	content["metadata"] = metadata
	spec := mapAt(content, "spec")
	if spec == nil {
		spec = map[string]any{}
		content["spec"] = spec
	}
	spec["volumeName"] = text(volume, "metadata", "name")
	name, isSaid := at(volume, "spec", "storageClassName").(string)
	if !isSaid {
		name, _ = class(old)
	}
	spec["storageClassName"] = name // said, though it may be "": the default class would take a claim that says none
	return content
}

// writableFirst puts what the driver may write by before ReadOnlyMany, and keeps the order otherwise.
func writableFirst(modes []string) []string {
	sorted := slices.Clone(modes)
	slices.SortStableFunc(sorted, func(a, b string) int {
		switch {
		case a == readOnlyMany && b != readOnlyMany:
			return 1
		case a != readOnlyMany && b == readOnlyMany:
			return -1
		}
		return 0
	})
	return sorted
}

// OwnFinalizer says whether a finalizer of a PersistentVolume is Kubernetes' own: it keeps one from going while a claim
// is bound to it, or until the old plugin has deleted its data.
func OwnFinalizer(name string) bool {
	return slices.Contains([]string{"kubernetes.io/pv-protection", "kubernetes.io/pv-controller", "external-provisioner.volume.kubernetes.io/finalizer"}, name)
}

const maxHandleID = 64

var validHandleID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// handleID is the last part of a volumeHandle: the name, or a stable shorter form of it.
func handleID(name string) string {
	if len(name) <= maxHandleID && validHandleID.MatchString(name) {
		return name
	}
	return shorten(name, maxHandleID)
}

// shorten makes a name of at most so many bytes, which is another one for another name.
func shorten(name string, length int) string {
	if len(name) <= length && validHandleID.MatchString(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := hex.EncodeToString(sum[:4])
	safe := strings.Trim(notInName.ReplaceAllString(strings.ToLower(name), "-"), "-")
	return fmt.Sprintf("%s-%s", strings.TrimRight(safe[:min(len(safe), length-len(hash)-1)], "-"), hash)
}
