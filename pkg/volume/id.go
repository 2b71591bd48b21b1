// SPDX-License-Identifier: Apache-2.0

package volume

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

const (
	// maxHandle is CSI's limit for a volume ID, in bytes.
	maxHandle = 128
	// maxID leaves 62 bytes for the cluster and the Gluster volume, which the
	// clusters file enforces.
	maxID = 64
)

var safeID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// ID names a volume in a cluster of clusters: the cluster, the Gluster volume, and
// the volume's own ID on it.
type ID struct {
	Volume gluster.Volume
	ID     string
}

// String is the CSI volume ID, <cluster>/<gluster volume>/<id>.
func (i ID) String() string { return i.Volume.Cluster + "/" + i.Volume.Name + "/" + i.ID }

// ParseID reads a CSI volume ID. It accepts exactly what String gives for valid
// parts: an ID of another driver, or one that climbs (..), is an ErrInvalid.
func ParseID(handle string) (ID, error) {
	parts := strings.Split(handle, "/")
	if len(handle) > maxHandle || len(parts) != 3 {
		return ID{}, fmt.Errorf("volume ID %.160q: %w: it must be <cluster>/<gluster volume>/<id>, %d bytes at most", handle, ErrInvalid, maxHandle)
	}
	for _, part := range parts {
		if !IsID(part) {
			return ID{}, fmt.Errorf("volume ID %q: %w: %q is not made of letters, digits, dots, dashes and underscores", handle, ErrInvalid, part)
		}
	}
	return ID{Volume: gluster.Volume{Cluster: parts[0], Name: parts[1]}, ID: parts[2]}, nil
}

// IsID says whether a word may be the ID of a volume.
func IsID(s string) bool { return len(s) <= maxID && safeID.MatchString(s) }

// IDFor returns the ID of the volume with this CSI name: the name itself where it
// is short and safe as a file name, otherwise a stable form of it that ends in 16
// hexadecimal digits of its SHA-256.
func IDFor(name string) string {
	if IsID(name) {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := hex.EncodeToString(sum[:8])
	safe := strings.Map(func(r rune) rune {
		if r < 0x80 && safeID.MatchString("a"+string(r)) {
			return r
		}
		return '-'
	}, name)
	if len(safe) > maxID-len(hash)-2 {
		safe = safe[:maxID-len(hash)-2]
	}
	return "h" + safe + "-" + hash
}

// A stamp is an ID and a time: a mark, or the name of a trash entry.
const stampTime = "20060102T150405.000000000Z"

var stampForm = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*)\.(\d{8}T\d{6}\.\d{9}Z)$`)

// StampOf is the stamp of an ID and a time.
func StampOf(id string, t time.Time) string { return id + "." + t.UTC().Format(stampTime) }

// ParseStamp returns the ID and the time in a stamp.
func ParseStamp(s string) (id string, t time.Time, ok bool) {
	match := stampForm.FindStringSubmatch(s)
	if match == nil || !IsID(match[1]) {
		return "", time.Time{}, false
	}
	t, err := time.Parse(stampTime, match[2])
	return match[1], t, err == nil
}

// IDOfStamp returns the ID in a stamp, or in what the files of a trash entry are called, and what is neither as it is.
func IDOfStamp(s string) string {
	stamp, _, _ := strings.Cut(s, "+")
	if id, _, ok := ParseStamp(stamp); ok {
		return id
	}
	return s
}

// EntryID names a trash entry in a cluster of clusters.
type EntryID struct {
	Volume gluster.Volume
	Name   string
}

// ParseEntryID reads <cluster>/<gluster volume>/<entry>, or returns an ErrInvalid. Who has seen what the entry's
// directory is called on the Gluster volume may say that.
func ParseEntryID(s string) (EntryID, error) {
	parts := strings.Split(s, "/")
	name, isEntry := "", false
	if len(parts) == 3 {
		name, _, isEntry = ParseEntryBase(parts[2])
	}
	if !isEntry || !IsID(parts[0]) || !IsID(parts[1]) {
		return EntryID{}, fmt.Errorf("%.160q is not the name of a trash entry, <cluster>/<gluster volume>/<id>.<time>: %w", s, ErrInvalid)
	}
	return EntryID{Volume: gluster.Volume{Cluster: parts[0], Name: parts[1]}, Name: name}, nil
}

// IsEntryName says whether a text has the form of a trash entry's own name, <id>.<time>.
func IsEntryName(name string) bool {
	_, _, ok := ParseStamp(name)
	return ok
}
