// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"fmt"
	"strings"
)

// Choose returns the Gluster volume with these names, where an empty name stands for the only one there is. The
// errors are those of Find, and ErrAmbiguous with the choices where a name is empty and there are several.
func (c *Clusters) Choose(cluster, volume string) (Volume, error) {
	if cluster == "" {
		if len(c.clusters) > 1 {
			return Volume{}, fmt.Errorf("%w: name one of the clusters: %s", ErrAmbiguous, strings.Join(c.names(), ", "))
		}
		cluster = c.clusters[0].Name
	}
	found, err := c.cluster(cluster)
	if err != nil {
		return Volume{}, err
	}
	if volume == "" {
		if len(found.Volumes) > 1 {
			return Volume{}, fmt.Errorf("%w: name one of the Gluster volumes of cluster %q: %s", ErrAmbiguous, cluster,
				strings.Join(found.Volumes, ", "))
		}
		volume = found.Volumes[0]
	}
	v := Volume{Cluster: cluster, Name: volume}
	_, err = c.Find(v)
	return v, err
}
