// SPDX-License-Identifier: Apache-2.0

// Package gluster is the names of GlusterFS: the clusters file, which says what servers and Gluster volumes there
// are, the options that clients may be given, and the kinds of failure. It starts nothing and asks no server.
package gluster

import (
	"cmp"
	"fmt"
	"regexp"
)

// Volume is a Gluster volume's address: the clusters file's name of its cluster, and GlusterFS's own name of the
// volume.
type Volume struct {
	Cluster string `json:"cluster"`
	Name    string `json:"volume"`
}

// String is "cluster/volume".
func (v Volume) String() string { return v.Cluster + "/" + v.Name }

const (
	maxClusterName = 31
	// A volume ID "<cluster>/<volume>/<id>" has at most 128 bytes (CSI spec, "Size Limits"), and <id> needs up to 64.
	maxVolumeName = 62
)

var (
	clusterName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?$`)
	volumeName  = regexp.MustCompile(`^[A-Za-z0-9_-]+$`) // what `gluster volume create` takes
)

// Validate makes sure that the names are safe as path components and command line arguments, and fit a volume ID.
func (v Volume) Validate() error {
	switch {
	case len(v.Cluster) > maxClusterName || !clusterName.MatchString(v.Cluster):
		return fmt.Errorf("cluster name %q: must be up to %d lower-case letters, digits and hyphens, "+
			"with no hyphen at either end",
			v.Cluster, maxClusterName)
	case !volumeName.MatchString(v.Name):
		return fmt.Errorf("Gluster volume name %q of cluster %q: must consist of letters, digits, hyphens and underscores", v.Name, v.Cluster) //nolint:staticcheck // a proper name
	case len(v.Cluster)+len(v.Name) > maxVolumeName:
		return fmt.Errorf("cluster %q and Gluster volume %q: the two names have more than %d characters together, "+
			"too many for a volume ID",
			v.Cluster, v.Name, maxVolumeName)
	}
	return nil
}

// CompareVolumes orders by cluster and name.
func CompareVolumes(a, b Volume) int {
	return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Name, b.Name))
}
