// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// endpoints is what is known of the servers behind the name of Endpoints in one namespace.
type endpoints struct {
	ref     Reference // the object that the addresses are of
	servers []string
	notes   []string
}

// lookUp returns the servers behind a name in a namespace: those that the operator says, those of the Endpoints, of
// EndpointSlices of a Service of the name, or the name that a Service of the type ExternalName stands for. Without any,
// ok is false.
func (p *planner) lookUp(namespace, name string) (found endpoints, ok bool) {
	for _, key := range []string{namespace + "/" + name, name} {
		if said := p.opt.Servers[key]; len(said) > 0 {
			return endpoints{ref: Reference{Kind: "Endpoints", Namespace: namespace, Name: name}, servers: said}, true
		}
	}
	if o := p.in.find("Endpoints", namespace, name); o != nil {
		found = ofEndpoints(o)
	}
	if len(found.servers) == 0 {
		if slices := p.ofSlices(namespace, name); len(slices.servers) > 0 {
			return slices, true
		}
	}
	if len(found.servers) == 0 {
		if s := p.in.find("Service", namespace, name); s != nil && text(s.Content, "spec", "externalName") != "" {
			host := text(s.Content, "spec", "externalName")
			return endpoints{ref: s.reference(), servers: []string{host}, notes: []string{
				fmt.Sprintf("%s is of the type ExternalName, which the old plugin could not use; the server is taken to be %s", s.reference(), host),
			}}, true
		}
	}
	return found, len(found.servers) > 0
}

// ofEndpoints reads what the old plugin read: each address of each subset, in order. It never looked at ports, host
// names or addresses that are not ready.
func ofEndpoints(o *Object) endpoints {
	found := endpoints{ref: o.reference()}
	var notReady []string
	for _, subset := range mapsAt(o.Content, "subsets") {
		for _, address := range mapsAt(subset, "addresses") {
			found.servers = append(found.servers, text(address, "ip"))
		}
		for _, address := range mapsAt(subset, "notReadyAddresses") {
			notReady = append(notReady, text(address, "ip"))
		}
	}
	found.servers = known(found.servers)
	notReady = slices.DeleteFunc(known(notReady), func(s string) bool { return slices.Contains(found.servers, s) })
	if len(notReady) > 0 {
		found.notes = append(found.notes, fmt.Sprintf(
			"%s has addresses that are not ready, which the old plugin did not use, and which are not taken over: %s. "+
				"If these are servers of the same pool, add them to the clusters file", found.ref, strings.Join(notReady, ", ")))
	}
	return found
}

// ofSlices reads the EndpointSlices of a Service. The old plugin did not; they tell the addresses where the Endpoints
// are gone.
func (p *planner) ofSlices(namespace, name string) endpoints {
	found := endpoints{ref: Reference{Kind: "EndpointSlice", Namespace: namespace, Name: name}}
	for _, o := range p.in.byKind["EndpointSlice"] {
		if o.namespace() != namespace || text(o.Content, "metadata", "labels", "kubernetes.io/service-name") != name {
			continue
		}
		for _, e := range mapsAt(o.Content, "endpoints") {
			if ready, isSaid := at(e, "conditions", "ready").(bool); isSaid && !ready {
				found.notes = append(found.notes, fmt.Sprintf("%s has addresses that are not ready, which are not taken over: %s",
					found.ref, strings.Join(texts(e, "addresses"), ", ")))
				continue
			}
			found.servers = append(found.servers, texts(e, "addresses")...)
		}
	}
	if found.servers = known(found.servers); len(found.servers) > 0 {
		found.notes = append(found.notes, fmt.Sprintf("Endpoints %s/%s has no addresses; taken are those of its EndpointSlices", namespace, name))
	}
	return found
}

// known removes what is empty, and repetitions.
func known(servers []string) []string {
	return slices.DeleteFunc(gluster.Unique(servers), func(s string) bool { return s == "" })
}

// checkServers says why the clusters file cannot have these servers, and returns them as it writes them.
func checkServers(servers []string) ([]string, error) {
	text, err := yaml.Marshal(ClustersFile{[]gluster.Cluster{{Name: "x", Servers: servers, Volumes: []string{"x"}}}})
	if err != nil {
		return nil, err
	}
	clusters, err := gluster.ParseClusters(text)
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), `clusters file: cluster "x": `))
	}
	cluster, err := clusters.Find(gluster.Volume{Cluster: "x", Name: "x"})
	return cluster.Servers, err
}
