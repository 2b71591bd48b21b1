// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/agext/levenshtein"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// The keys that external-provisioner adds to a class's own, with --extra-create-metadata.
const (
	pvNameKey       = "csi.storage.k8s.io/pv/name"
	pvcNameKey      = "csi.storage.k8s.io/pvc/name"
	pvcNamespaceKey = "csi.storage.k8s.io/pvc/namespace"
)

// parameters is a StorageClass's parameters, each value checked.
type parameters struct {
	cluster, volume string // "" is the only one
	path            string // a template
	owner           volume.Owner
	onDelete        volume.OnDelete
	quota           volume.Quota
	recursive       bool // of a VolumeAttributesClass
	strict          bool // consistency; it is of the mount, not of the data, so it goes into the volume context and into no record
	restart         bool // onClientDeath, likewise
	vars            volume.Vars
}

// setters has a key's effect on the parameters; docs/parameters.md lists the same keys.
var setters = map[string]func(p *parameters, value string) error{
	"cluster":       func(p *parameters, v string) error { p.cluster = v; return nil },
	"volume":        func(p *parameters, v string) error { p.volume = v; return nil },
	"path":          func(p *parameters, v string) error { p.path = v; return nil },
	"uid":           func(p *parameters, v string) error { return setOwnerID(&p.owner.UID, v) },
	"gid":           func(p *parameters, v string) error { return setOwnerID(&p.owner.GID, v) },
	"mode":          func(p *parameters, v string) error { return setMode(&p.owner.Mode, v) },
	"onDelete":      func(p *parameters, v string) (err error) { p.onDelete, err = volume.ParseOnDelete(v); return },
	"quota":         func(p *parameters, v string) (err error) { p.quota, err = volume.ParseQuota(v); return },
	consistencyKey:  func(p *parameters, v string) error { return setStrict(&p.strict, v) },
	onDeathKey:      func(p *parameters, v string) error { return setRestart(&p.restart, v) },
	pvNameKey:       func(p *parameters, v string) error { p.vars.PVName = v; return nil },
	pvcNameKey:      func(p *parameters, v string) error { p.vars.PVCName = v; return nil },
	pvcNamespaceKey: func(p *parameters, v string) error { p.vars.PVCNamespace = v; return nil },
}

// parseParameters reads the parameters of CreateVolume. Unknown keys are refused, the
// nearest known one named.
func parseParameters(raw map[string]string) (parameters, error) {
	p := parameters{path: volume.DefaultPath, onDelete: volume.Trash, quota: volume.QuotaAuto}
	err := setAll(&p, "StorageClass parameter", raw, setters, true)
	return p, err
}

// setAll sets what values say. what is what their keys are of, for messages; each may have a default, for which it is left out.
func setAll[T any](to *T, what string, raw map[string]string, known map[string]func(to *T, value string) error, haveDefaults bool) error {
	for _, key := range slices.Sorted(maps.Keys(raw)) {
		set := known[key]
		if set == nil {
			return unknownKey(what, key, slices.Sorted(maps.Keys(known)))
		}
		if haveDefaults && raw[key] == "" && !strings.Contains(key, "/") {
			return invalid("%s %s is empty: leave it out for its default", what, key)
		}
		if err := set(to, raw[key]); err != nil {
			return invalid("%s %s: %v", what, key, err)
		}
	}
	return nil
}

// sidecars begin the keys that kubelet (pod.name), external-provisioner (pvc/name, csiProvisionerIdentity) and
// external-snapshotter (volumesnapshot/name) add. They pass nothing of these on that a class says.
var sidecars = []string{"csi.storage.k8s.io/", "storage.kubernetes.io/"}

// withoutSidecars are the values without those that kubelet and the sidecars add.
func withoutSidecars(raw map[string]string) map[string]string {
	raw = maps.Clone(raw)
	maps.DeleteFunc(raw, func(key, _ string) bool {
		return slices.ContainsFunc(sidecars, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
	})
	return raw
}

// The keys of a volume context. A class has all but the first, too.
const (
	pathKey        = "path"
	consistencyKey = "consistency"
	onDeathKey     = "onClientDeath"
)

// The values of consistency: what a pod reads of what pods of other nodes have written. See docs/consistency.md.
const (
	relaxed = "relaxed" // the default
	strict  = "strict"
)

// The values of onClientDeath: what becomes of a container that keeps files of a client open that has died. See docs/failures.md.
const (
	report  = "report" // the default
	restart = "restart"
)

// attributes are what a volume context says.
type attributes struct {
	path    string
	owner   volume.Owner
	strict  bool
	restart bool
}

// contextSetters are what a static PersistentVolume may say in volumeAttributes.
var contextSetters = map[string]func(a *attributes, value string) error{
	pathKey:        func(a *attributes, v string) error { a.path = v; return nil },
	consistencyKey: func(a *attributes, v string) error { return setStrict(&a.strict, v) },
	onDeathKey:     func(a *attributes, v string) error { return setRestart(&a.restart, v) },
	"uid":          func(a *attributes, v string) error { return setOwnerID(&a.owner.UID, v) },
	"gid":          func(a *attributes, v string) error { return setOwnerID(&a.owner.GID, v) },
	"mode":         func(a *attributes, v string) error { return setMode(&a.owner.Mode, v) },
}

// parseContext reads a volume context.
func parseContext(raw map[string]string) (attributes, error) {
	var a attributes
	err := setAll(&a, "volume attribute", withoutSidecars(raw), contextSetters, false)
	return a, err
}

func setStrict(to *bool, value string) error { return setEither(to, value, relaxed, strict) }

func setRestart(to *bool, value string) error { return setEither(to, value, report, restart) }

func setEither(to *bool, value, usual, other string) error {
	if value != usual && value != other {
		return fmt.Errorf("%q is neither %s nor %s", value, usual, other)
	}
	*to = value == other
	return nil
}

// maxOwnerID is the largest uid or gid: all bits set means "leave it as it is" to chown.
const maxOwnerID = 1<<32 - 2

func parseOwnerID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err != nil || id > maxOwnerID {
		return 0, fmt.Errorf("%q is not a number from 0 to %d", s, maxOwnerID)
	}
	return uint32(id), nil
}

func setOwnerID(to **uint32, value string) error {
	id, err := parseOwnerID(value)
	*to = &id
	return err
}

func setMode(to **volume.Mode, value string) error {
	mode, err := volume.ParseMode(value)
	*to = &mode
	return err
}

// unknownKey is the error for a key that nobody knows. What is before a slash says nothing of which one is meant.
func unknownKey(what, key string, known []string) error {
	known = slices.DeleteFunc(known, func(k string) bool { return strings.Contains(k, "/") })
	meant := strings.ToLower(path.Base(key))
	nearest := slices.MinFunc(known, func(a, b string) int {
		return levenshtein.Distance(meant, strings.ToLower(a), nil) - levenshtein.Distance(meant, strings.ToLower(b), nil)
	})
	return invalid("%s %q is unknown: did you mean %q? There are %s", what, key, nearest, strings.Join(known, ", "))
}
