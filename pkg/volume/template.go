// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// DefaultPath is the path template of a class that names none.
const DefaultPath = "${pv.name}"

// Vars are the values that a path template may use. An empty one is unknown.
type Vars struct{ PVName, PVCName, PVCNamespace string }

func (v Vars) lookup(name string) (value string, known bool) {
	switch name {
	case "pv.name":
		return v.PVName, true
	case "pvc.name":
		return v.PVCName, true
	case "pvc.namespace":
		return v.PVCNamespace, true
	}
	return "", false
}

// RenderPath fills in a path template such as "k8s/${pvc.namespace}/${pv.name}". The
// result passes CheckPath; a value fills one component or a part of one, never more.
// Anything else is an ErrInvalid.
func RenderPath(template string, vars Vars) (string, error) {
	var path strings.Builder
	for rest := template; ; {
		before, after, found := strings.Cut(rest, "${")
		path.WriteString(before)
		if !found {
			break
		}
		name, tail, closed := strings.Cut(after, "}")
		if !closed {
			return "", fmt.Errorf("path %q: %w: a ${ is not closed by }", template, ErrInvalid)
		}
		value, known := vars.lookup(name)
		switch {
		case !known:
			return "", fmt.Errorf("path %q: %w: ${%s} is unknown; there are ${pv.name}, ${pvc.name} and ${pvc.namespace}", template, ErrInvalid, name)
		case value == "":
			return "", fmt.Errorf("path %q: %w: ${%s} has no value; external-provisioner gives it when run with --extra-create-metadata", template, ErrInvalid, name)
		case strings.ContainsRune(value, '/'):
			return "", fmt.Errorf("path %q: %w: the value %q of ${%s} holds a slash", template, ErrInvalid, value, name)
		}
		path.WriteString(value)
		rest = tail
	}
	if err := CheckPath(path.String()); err != nil {
		return "", fmt.Errorf("path %q: %w", template, err)
	}
	return path.String(), nil
}

// OwnDir is the driver's own directory on a Gluster volume.
const OwnDir = ".glusterfs-csi"

// maxPath bounds a volume's path, in bytes: with what is before it in a mount point, and beside it in its claim, it
// must stay below Linux's limit of 4095.
const maxPath = 3072

// CheckPath returns an ErrInvalid unless path may be a volume's directory: clean,
// relative, 3072 bytes at most, and outside the driver's own directory.
func CheckPath(path string) error {
	if len(path) > maxPath {
		return fmt.Errorf("%w: the path has %d bytes, more than %d", ErrInvalid, len(path), maxPath)
	}
	if err := safepath.Check(path); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if first, _, _ := strings.Cut(path, "/"); first == OwnDir {
		return fmt.Errorf("%w: %s is the driver's own directory", ErrInvalid, OwnDir)
	}
	return nil
}
