// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"fmt"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// EntryID names a trash entry in a cluster of clusters.
type EntryID struct {
	Volume gluster.Volume
	Name   string
}

// ParseEntryID reads <cluster>/<gluster volume>/<entry>, or returns an ErrInvalid.
func ParseEntryID(s string) (EntryID, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 || !validID(parts[0]) || !validID(parts[1]) || !IsEntryName(parts[2]) {
		return EntryID{}, fmt.Errorf("%.160q is not the name of a trash entry, <cluster>/<gluster volume>/<id>.<time>: %w", s, ErrInvalid)
	}
	return EntryID{Volume: gluster.Volume{Cluster: parts[0], Name: parts[1]}, Name: parts[2]}, nil
}

// IsEntryName says whether a text has the form of a trash entry's own name, <id>.<time>.
func IsEntryName(name string) bool {
	_, _, ok := ParseStamp(name)
	return ok
}
