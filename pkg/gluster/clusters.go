// SPDX-License-Identifier: Apache-2.0

package gluster

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// Cluster is one trusted pool of the clusters file. It never changes; do not write to what it holds.
type Cluster struct {
	Name    string   `json:"name"`
	Servers []string `json:"servers"` // names or IP addresses, without duplicates, in the file's order; at least one
	Volumes []string `json:"volumes"` // the Gluster volumes that may be used, without duplicates; at least one
	// MaxProvisioned is how many bytes the volumes on a Gluster volume may have together, by its name; any where it is not there.
	MaxProvisioned map[string]Maximum `json:"maxProvisioned,omitempty"`
	// TLS is what clients show to servers that want TLS; nil where nobody speaks it.
	TLS *TLS `json:"tls,omitempty"`
}

// Clusters is the content of one valid clusters file. It is immutable.
type Clusters struct {
	clusters []Cluster // sorted by name; at least one
}

// maxClustersFile bounds what is parsed, in bytes: a ConfigMap holds at most 1 MiB.
const maxClustersFile = 1 << 20

// ParseClusters reads a clusters file, which is YAML:
//
//	clusters:
//	  - name: pi
//	    servers: [192.168.6.15, 192.168.6.16]
//	    volumes: [gv0]
//	    maxProvisioned: {gv0: 150%}                       # may be left out
//	    tls: {secretName: gluster-tls, management: true}  # may be left out
//
// It is strict: unknown or repeated keys, invalid names, a cluster named twice or without servers or volumes, and a
// file without clusters are refused. Servers and volumes named twice in a cluster count once, at their first place.
func ParseClusters(data []byte) (*Clusters, error) {
	if len(data) > maxClustersFile {
		return nil, fmt.Errorf("clusters file: %d bytes are more than the %d of a ConfigMap", len(data),
			maxClustersFile)
	}
	var file struct {
		Clusters []Cluster `json:"clusters"`
	}
	if err := yaml.UnmarshalStrict(data, &file); err != nil {
		return nil, fmt.Errorf("clusters file: %w", err)
	}
	if len(file.Clusters) == 0 {
		return nil, errors.New("clusters file: it names no cluster; see the key `clusters`")
	}
	slices.SortFunc(file.Clusters, func(a, b Cluster) int { return strings.Compare(a.Name, b.Name) })
	for i := range file.Clusters {
		if i > 0 && file.Clusters[i].Name == file.Clusters[i-1].Name {
			return nil, fmt.Errorf("clusters file: cluster %q is there twice", file.Clusters[i].Name)
		}
		if err := file.Clusters[i].normalize(); err != nil {
			return nil, fmt.Errorf("clusters file: %w", err)
		}
	}
	return &Clusters{clusters: file.Clusters}, nil
}

// Find returns the cluster of a Gluster volume, or ErrUnknownCluster or ErrUnknownVolume with the names that are known.
func (c *Clusters) Find(v Volume) (Cluster, error) {
	cluster, err := c.cluster(v.Cluster)
	if err != nil {
		return Cluster{}, err
	}
	if !slices.Contains(cluster.Volumes, v.Name) {
		return Cluster{}, fmt.Errorf("%w %q: the clusters file allows in cluster %q: %s", ErrUnknownVolume, v.Name,
			v.Cluster, strings.Join(cluster.Volumes, ", "))
	}
	return cluster, nil
}

// Volumes lists all Gluster volumes, sorted by cluster and name.
func (c *Clusters) Volumes() []Volume {
	var all []Volume
	for _, cluster := range c.clusters {
		for _, name := range cluster.Volumes {
			all = append(all, Volume{Cluster: cluster.Name, Name: name})
		}
	}
	slices.SortFunc(all, CompareVolumes)
	return all
}

func (c *Clusters) cluster(name string) (Cluster, error) {
	for _, cluster := range c.clusters {
		if cluster.Name == name {
			return cluster, nil
		}
	}
	return Cluster{}, fmt.Errorf("%w %q: the clusters file has: %s", ErrUnknownCluster, name,
		strings.Join(c.names(), ", "))
}

func (c *Clusters) names() []string {
	var names []string
	for _, cluster := range c.clusters {
		names = append(names, cluster.Name)
	}
	return names
}

// normalize validates the cluster and removes duplicates.
func (c *Cluster) normalize() error {
	if len(c.Servers) == 0 {
		return fmt.Errorf("cluster %q has no servers", c.Name)
	}
	if len(c.Volumes) == 0 {
		return fmt.Errorf("cluster %q has no volumes", c.Name)
	}
	for i, server := range c.Servers {
		normal, err := normalizeServer(server)
		if err != nil {
			return fmt.Errorf("cluster %q: %w", c.Name, err)
		}
		c.Servers[i] = normal
	}
	for _, volume := range c.Volumes {
		if err := (Volume{Cluster: c.Name, Name: volume}).Validate(); err != nil {
			return err
		}
	}
	for volume := range c.MaxProvisioned {
		if !slices.Contains(c.Volumes, volume) {
			return fmt.Errorf("cluster %q: maxProvisioned of %q, which is not among its volumes", c.Name, volume)
		}
	}
	if err := c.TLS.validate(); err != nil {
		return fmt.Errorf("cluster %q: %w", c.Name, err)
	}
	c.Servers, c.Volumes = Unique(c.Servers), Unique(c.Volumes)
	return nil
}

const maxHostName = 253 // RFC 1035, section 2.3.4, less the two bytes that only the wire format has

// RFC 1123, section 2.1.
var hostName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// numeric matches what would be a mistyped IPv4 address rather than a host name.
var numeric = regexp.MustCompile(`(^|\.)[0-9]+$`)

// normalizeServer returns the one way to write this server's name or address.
func normalizeServer(server string) (string, error) {
	if address, err := netip.ParseAddr(server); err == nil {
		if address.Zone() != "" {
			return "", fmt.Errorf("server %q: a link-local address with a zone means something else on each host; "+
				"use another address or a host name", server)
		}
		return address.String(), nil
	}
	lower := strings.ToLower(server)
	if len(lower) > maxHostName || !hostName.MatchString(lower) || numeric.MatchString(lower) {
		return "", fmt.Errorf("server %q: neither a host name nor an IPv4 or IPv6 address (write it without port "+
			"and brackets)", server)
	}
	return lower, nil
}

// Unique removes duplicates, keeping the order of first appearance.
func Unique[T comparable](values []T) []T {
	var kept []T
	for _, value := range values {
		if !slices.Contains(kept, value) {
			kept = append(kept, value)
		}
	}
	return kept
}
