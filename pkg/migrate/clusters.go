// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// clusterSet is the clusters of the new clusters file: one for each distinct set of servers.
type clusterSet struct {
	had    []gluster.Cluster // by the driver
	groups []*serverGroup
	file   []gluster.Cluster
}

// serverGroup is the volumes on one set of servers.
type serverGroup struct {
	name    string
	set     string
	servers []string
	sources []Reference
	volumes []string // that somebody uses
}

// newClusterSet reads the clusters file that the driver has, if it is among the objects.
func newClusterSet(in *input, say func(Finding)) *clusterSet {
	c := &clusterSet{}
	for _, o := range in.byKind["ConfigMap"] {
		if o.name() != ClustersConfigMap {
			continue
		}
		parsed, err := gluster.ParseClusters([]byte(text(o.Content, "data", ClustersKey)))
		if err != nil {
			say(Finding{Severity: Blocks, About: o.reference().String(), Source: o.Source, Message: err.Error(), Cure: "mend the clusters file first"})
			continue
		}
		for _, v := range parsed.Volumes() {
			if found, err := parsed.Find(v); err == nil && !slices.ContainsFunc(c.had, func(h gluster.Cluster) bool { return h.Name == found.Name }) {
				c.had = append(c.had, found)
			}
		}
	}
	return c
}

// group returns the group of a set of servers. extra are servers that mount options named: they are of the same pool.
func (c *clusterSet) group(e endpoints, extra []string) *serverGroup {
	set := setOf(e.servers)
	if set == "" {
		set = "unknown: " + e.ref.String()
	}
	i := slices.IndexFunc(c.groups, func(g *serverGroup) bool { return g.set == set })
	if i < 0 {
		c.groups = append(c.groups, &serverGroup{set: set, servers: e.servers})
		i = len(c.groups) - 1
	}
	g := c.groups[i]
	g.servers = gluster.Unique(append(slices.Clone(g.servers), extra...))
	if !slices.Contains(g.sources, e.ref) {
		g.sources = append(g.sources, e.ref)
	}
	return g
}

func (g *serverGroup) addVolume(name string) {
	if !slices.Contains(g.volumes, name) {
		g.volumes = append(g.volumes, name)
	}
}

// settle gives each group its name and merges all with what the driver has.
func (c *clusterSet) settle(say func(Finding)) {
	slices.SortFunc(c.groups, func(a, b *serverGroup) int { return strings.Compare(a.set, b.set) })
	for _, g := range c.groups {
		slices.SortFunc(g.sources, byReference)
	}
	c.file = slices.Clone(c.had)
	var fresh []*serverGroup
	for _, g := range c.groups {
		if g.name = c.hadWith(g); g.name == "" {
			fresh = append(fresh, g)
		}
	}
	c.nameAll(fresh)
	for _, g := range c.groups {
		if !g.isUnknown() && len(g.volumes) > 0 {
			c.merge(g)
		}
	}
	slices.SortFunc(c.file, func(a, b gluster.Cluster) int { return strings.Compare(a.Name, b.Name) })
	c.sayShared(say)
}

// has says whether the file has a Gluster volume.
func (c *clusterSet) has(cluster, volume string) bool {
	return slices.ContainsFunc(c.file, func(f gluster.Cluster) bool { return f.Name == cluster && slices.Contains(f.Volumes, volume) })
}

// isUnknown says whether the servers are still to be said. Such a group has a name and is not in the file.
func (g *serverGroup) isUnknown() bool { return strings.HasPrefix(g.set, "unknown: ") }

// hadWith is the name of the driver's cluster that has all servers of the group.
func (c *clusterSet) hadWith(g *serverGroup) string {
	for _, h := range c.had {
		if !slices.ContainsFunc(strings.Split(g.set, ","), func(s string) bool { return !slices.Contains(h.Servers, s) }) {
			return h.Name
		}
	}
	return ""
}

const maxName = 31 // of a cluster

// nameAll names groups by their Endpoints; where two would have one name, by the namespace too; then by their servers.
func (c *clusterSet) nameAll(groups []*serverGroup) {
	forms := []func(*serverGroup) string{
		func(g *serverGroup) string { return clusterName(g.source().Name) },
		func(g *serverGroup) string { return clusterName(g.source().Name + "-" + g.source().Namespace) },
		func(g *serverGroup) string {
			sum := sha256.Sum256([]byte(g.set))
			name := clusterName(g.source().Name)
			return strings.TrimRight(name[:min(len(name), maxName-7)], "-") + "-" + hex.EncodeToString(sum[:3])
		},
	}
	for _, form := range forms {
		taken := map[string]int{}
		for _, h := range c.had {
			taken[h.Name]++
		}
		for _, g := range groups {
			if g.name == "" {
				taken[form(g)]++
			} else {
				taken[g.name]++
			}
		}
		for _, g := range groups {
			if g.name == "" && taken[form(g)] == 1 {
				g.name = form(g)
			}
		}
	}
}

// dynamic are the names that the old plugin gave the Endpoints that it made itself, one for each claim.
var dynamic = regexp.MustCompile(`^(glusterfs|gluster)-dynamic-`)

// source is what the group is named after: of its Endpoints those that a person made, and of them the name that most
// have.
func (g *serverGroup) source() Reference {
	count := map[string]int{}
	for _, s := range g.sources {
		if !dynamic.MatchString(s.Name) {
			count[s.Name]++
		}
	}
	best := Reference{Name: "heketi", Namespace: g.sources[0].Namespace}
	for _, s := range g.sources {
		if count[s.Name] > count[best.Name] {
			best = s
		}
	}
	return best
}

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// clusterName makes a valid name of a cluster.
func clusterName(of string) string {
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(of), "-"), "-")
	if len(name) > maxName {
		name = strings.Trim(name[:maxName], "-")
	}
	if name == "" {
		return "gluster"
	}
	return name
}

// merge puts a group into the file, without Gluster volumes that it cannot have.
func (c *clusterSet) merge(g *serverGroup) {
	i := slices.IndexFunc(c.file, func(f gluster.Cluster) bool { return f.Name == g.name })
	if i < 0 {
		c.file = append(c.file, gluster.Cluster{Name: g.name})
		i = len(c.file) - 1
	}
	cluster := &c.file[i]
	cluster.Servers = gluster.Unique(append(slices.Clone(cluster.Servers), g.servers...))
	slices.Sort(g.volumes)
	for _, v := range g.volumes {
		if (gluster.Volume{Cluster: g.name, Name: v}).Validate() == nil {
			cluster.Volumes = gluster.Unique(append(slices.Clone(cluster.Volumes), v))
		}
	}
	if len(cluster.Volumes) == 0 {
		c.file = slices.Delete(c.file, i, i+1)
	}
}

// sayShared says where two clusters have a server in common: a server is in one trusted pool alone.
func (c *clusterSet) sayShared(say func(Finding)) {
	for i, a := range c.file {
		for _, b := range c.file[i+1:] {
			for _, server := range a.Servers {
				if slices.Contains(b.Servers, server) {
					say(Finding{
						Severity: Note, About: "clusters file",
						Message: fmt.Sprintf("clusters %s and %s both have the server %s, so they are one trusted pool whose Endpoints differ", a.Name, b.Name, server),
						Cure:    "both work as they are; each knows its own servers only as backups of each other",
					})
					break
				}
			}
		}
	}
}

// result is the file, and where each cluster comes from.
func (c *clusterSet) result() (ClustersFile, []Cluster) {
	origins := []Cluster{}
	for _, f := range c.file {
		origin := Cluster{Name: f.Name, Sources: []Reference{}, New: true}
		for _, g := range c.groups {
			if g.name == f.Name {
				origin.Sources = append(origin.Sources, g.sources...)
			}
		}
		for _, h := range c.had {
			if h.Name == f.Name && slices.Equal(h.Volumes, f.Volumes) && slices.Equal(h.Servers, f.Servers) {
				origin.New = false
			}
		}
		origins = append(origins, origin)
	}
	return ClustersFile{Clusters: append([]gluster.Cluster{}, c.file...)}, origins
}
