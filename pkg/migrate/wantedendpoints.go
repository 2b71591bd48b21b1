// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// wantedEndpoints is the name of Endpoints, and where they are to be looked for.
type wantedEndpoints struct {
	name string
	// namespaces in which the old plugin may have looked. None: nobody knows.
	namespaces []string
	// sure says that one of the namespaces is right. If not, another one will do when there is but one set of servers
	// of the name.
	sure bool
}

// resolve returns the servers that are meant, and adds what is to be said about them to the findings of an object. If
// it cannot know them, it says why there, and ok is false; what it returns then has a name and no servers.
func (p *planner) resolve(want wantedEndpoints, say func(Finding)) (found endpoints, ok bool) {
	var all []endpoints
	for _, namespace := range want.namespaces {
		if e, ok := p.lookUp(namespace, want.name); ok {
			all = append(all, e)
		}
	}
	elsewhere := false
	if len(all) == 0 && !want.sure {
		elsewhere = true
		for _, namespace := range p.namespacesWith(want.name) {
			if e, ok := p.lookUp(namespace, want.name); ok {
				all = append(all, e)
			}
		}
	}
	switch {
	case len(all) == 0:
		say(p.missing(want))
		return want.unknown(), false
	case !sameServers(all):
		say(ambiguous(want, all))
		return want.unknown(), false
	}
	found = all[0]
	servers, err := checkServers(found.servers)
	if err != nil {
		say(Finding{
			Severity: Blocks, Message: fmt.Sprintf("the servers of %s cannot go into a clusters file: %v", found.ref, err),
			Cure: fmt.Sprintf("say the servers: --servers %s/%s=ADDRESS,ADDRESS", found.ref.Namespace, want.name),
		})
		return want.unknown(), false
	}
	found.servers = servers
	if elsewhere {
		say(Finding{Severity: Note, Message: elsewhereNote(want, all)})
	}
	for _, note := range found.notes {
		say(Finding{Severity: Note, Message: note})
	}
	return found, true
}

// unknown stands for servers that are still to be said.
func (w wantedEndpoints) unknown() endpoints {
	return endpoints{ref: Reference{Kind: "Endpoints", Namespace: strings.Join(w.namespaces, ","), Name: w.name}}
}

func elsewhereNote(want wantedEndpoints, all []endpoints) string {
	message := fmt.Sprintf("its servers are those of %s", all[0].ref)
	if len(all) > 1 {
		message = fmt.Sprintf("its servers are those of the %d Endpoints %s, which all have the same", len(all), want.name)
	}
	if len(want.namespaces) == 0 {
		return message + ": nothing says in which namespace the old plugin looked for Endpoints " + want.name
	}
	return fmt.Sprintf("%s: there are none of the name in %s, and that namespace is only assumed", message, strings.Join(want.namespaces, ", "))
}

// namespacesWith are those in which anything tells the servers behind a name, sorted.
func (p *planner) namespacesWith(name string) []string {
	var namespaces []string
	for _, kind := range []string{"Endpoints", "Service"} {
		for _, o := range p.in.byKind[kind] {
			if o.name() == name {
				namespaces = append(namespaces, o.namespace())
			}
		}
	}
	for _, o := range p.in.byKind["EndpointSlice"] {
		if text(o.Content, "metadata", "labels", "kubernetes.io/service-name") == name {
			namespaces = append(namespaces, o.namespace())
		}
	}
	if len(p.opt.Servers[name]) > 0 {
		namespaces = append(namespaces, p.opt.DefaultNamespace)
	}
	slices.Sort(namespaces)
	return slices.Compact(namespaces)
}

// missing says what was looked for, and where else something of the name is.
func (p *planner) missing(want wantedEndpoints) Finding {
	where := "any namespace"
	if len(want.namespaces) > 0 {
		where = "namespace " + strings.Join(want.namespaces, ", ")
	}
	f := Finding{Severity: Blocks, Message: fmt.Sprintf("its servers are not known: Endpoints %s was looked for in %s", want.name, where)}
	key := want.name
	if len(want.namespaces) == 1 {
		key = want.namespaces[0] + "/" + want.name
	}
	for _, namespace := range want.namespaces {
		if o := p.in.find("Endpoints", namespace, want.name); o != nil {
			f.Message = fmt.Sprintf("its servers are not known: Endpoints %s/%s has no addresses", namespace, want.name)
			for _, note := range ofEndpoints(o).notes {
				f.Message += "; " + note
			}
		}
	}
	f.Cure = fmt.Sprintf("say the servers, as `gluster pool list` on one of them shows: --servers %s=ADDRESS,ADDRESS", key)
	for _, namespace := range p.namespacesWith(want.name) {
		if e, ok := p.lookUp(namespace, want.name); ok {
			f.Cure += fmt.Sprintf(" (there is %s with %s)", e.ref, strings.Join(e.servers, ", "))
		}
	}
	return f
}

func ambiguous(want wantedEndpoints, all []endpoints) Finding {
	var choices []string
	for _, e := range all {
		choices = append(choices, fmt.Sprintf("%s with %s", e.ref, strings.Join(e.servers, ", ")))
	}
	return Finding{
		Severity: Blocks, Message: fmt.Sprintf("its servers are not known: of the name %s there are %s", want.name, strings.Join(choices, "; ")),
		Cure: fmt.Sprintf("choose: --servers %s=ADDRESS,ADDRESS; or set spec.claimRef, or spec.glusterfs.endpointsNamespace, in the file", want.name),
	}
}

func sameServers(all []endpoints) bool {
	for _, e := range all[1:] {
		if setOf(e.servers) != setOf(all[0].servers) {
			return false
		}
	}
	return true
}

// setOf is equal for two lists of the same servers, in whatever order.
func setOf(servers []string) string {
	sorted := slices.Clone(servers)
	slices.Sort(sorted)
	return strings.Join(slices.Compact(sorted), ",")
}
