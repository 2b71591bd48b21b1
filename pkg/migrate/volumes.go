// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate/mountoptions"
)

// planVolumes plans each PersistentVolume of the old plugin.
func (p *planner) planVolumes() {
	outside := 0
	for _, pv := range p.in.byKind["PersistentVolume"] {
		if at(pv.Content, "spec", "glusterfs") == nil {
			continue
		}
		v := p.planVolume(pv)
		if v == nil {
			outside++
		}
	}
	if outside > 0 {
		p.say(Finding{
			Severity: Note, About: "namespace " + p.opt.Namespace,
			Message: fmt.Sprintf("is all that this plan is of; %d PersistentVolumes of the old plugin belong to claims elsewhere, or to none", outside),
			Cure:    "leave -n out for all of them",
		})
	}
}

// planVolume plans one. It returns nil if the plan is not of its namespace.
func (p *planner) planVolume(pv *Object) *Volume {
	var notes []string
	b := p.bindingOf(pv, func(note string) { notes = append(notes, note) })
	if p.opt.Namespace != "" && (b.ref == nil || b.ref.Namespace != p.opt.Namespace) && !slices.ContainsFunc(b.others, func(c *Object) bool { return p.isIn(c.namespace()) }) {
		return nil
	}
	v := Volume{Name: pv.name(), Action: Replace, Phase: text(pv.Content, "status", "phase"), Claim: b.ref, Source: pv.Source, Old: pv}
	say := p.about(pv)
	for _, note := range notes {
		say(Finding{Severity: Note, Message: note})
	}
	index := len(p.plan.Volumes)
	p.plan.Volumes = append(p.plan.Volumes, v)
	update := func(change func(*Volume)) { change(&p.plan.Volumes[index]) }

	item, opts, ok := p.locate(pv, b, say)
	if !ok {
		update(func(v *Volume) { v.Action = Blocked })
		return &v
	}
	if item.isBlocked {
		update(func(v *Volume) { v.Action = Blocked })
	}
	if b.unused != "" {
		item.isLeft = true
		update(func(v *Volume) { v.Action, v.Claim = Leave, nil })
	}
	p.sayDifferences(pv, b, say)
	item.unusable = func(reason string) {
		say(Finding{Severity: Blocks, Message: reason})
		update(func(v *Volume) { v.Action = Blocked })
	}
	item.finish = func(cluster string) {
		update(func(v *Volume) {
			v.Place = Place{Cluster: cluster, Volume: item.volume, Path: item.directory}
			v.Options, v.Endpoints = opts.Kept, item.endpoints.Namespace+"/"+item.endpoints.Name
			v.PersistentVolume = newVolume(pv, b, v.Place, opts.Kept)
			if !p.opt.Live && b.claim != nil && !item.isLeft {
				v.PersistentVolumeClaim = newClaim(b.claim, v.PersistentVolume, p.about(b.claim))
			}
		})
		if item.isLeft {
			say(p.unusedFinding(b, item))
		}
	}
	p.placed = append(p.placed, item)
	return &v
}

// locate finds out where an old PersistentVolume's data is, and what its mount options become.
func (p *planner) locate(pv *Object, b binding, say func(Finding)) (item *placement, opts mountoptions.Translated, ok bool) {
	source := mapAt(pv.Content, "spec", "glusterfs")
	if unknown := unknownKeys(source, "endpoints", "endpointsNamespace", "path", "readOnly"); len(unknown) > 0 {
		say(Finding{Severity: Note, Message: "spec.glusterfs has what the old plugin did not know, and what is left out: " + strings.Join(unknown, ", ")})
	}
	if isBlock(pv) {
		say(Finding{Severity: Blocks, Message: "its volumeMode is Block, which GlusterFS does not offer", Cure: "use volumeMode: Filesystem"})
		return nil, opts, false
	}
	name := text(source, "endpoints")
	if name == "" {
		say(Finding{Severity: Blocks, Message: "spec.glusterfs.endpoints is missing, so that its servers are not known", Cure: "set it in the file, to the name of the Endpoints"})
		return nil, opts, false
	}
	volume, directory, err := parsePath(text(source, "path"))
	if err != nil {
		say(Finding{Severity: Blocks, Message: err.Error(), Cure: "correct spec.glusterfs.path in the file"})
		return nil, opts, false
	}
	found, isResolved := p.resolve(p.whereEndpointsAre(pv, b, name), say)
	old, notes := mountOptions(pv)
	opts = mountoptions.Translate(old)
	for _, note := range append(notes, opts.Notes...) {
		say(Finding{Severity: Note, Message: note})
	}
	if opts.Subdir != "" && directory == "/" {
		if directory, err = cleanDirectory(strings.Trim(opts.Subdir, "/")); err != nil {
			say(Finding{Severity: Blocks, Message: fmt.Sprintf("its mount option subdir-mount=%s: %v", opts.Subdir, err)})
			return nil, opts, false
		}
	}
	if isTrue(source, "readOnly") {
		opts.Kept = gluster.Unique(append(opts.Kept, "ro"))
		say(Finding{
			Severity: Note, Message: "its readOnly is true, which the old plugin ignored: pods could write, and cannot any more",
			Cure: "if they have to, remove ro from the new spec.mountOptions, and spec.csi.readOnly",
		})
	}
	var extra []string
	if len(opts.Servers) > 0 {
		if extra, err = checkServers(opts.Servers); err != nil {
			say(Finding{Severity: Note, Message: fmt.Sprintf("servers of its mount options are left out: %v", err)})
		}
	}
	return &placement{group: p.clusters.group(found, extra), endpoints: found.ref, volume: volume, directory: directory, isBlocked: !isResolved}, opts, true
}

// mountOptionsAnnotation was the place of mount options before spec.mountOptions. The old plugin's kubelet looked at it
// first; a CSI driver's does not look at it.
const mountOptionsAnnotation = "volume.beta.kubernetes.io/mount-options"

// mountOptions returns the options of a PersistentVolume that counted: the annotation's, if it has one.
func mountOptions(pv *Object) (found, notes []string) {
	field := texts(pv.Content, "spec", "mountOptions")
	annotated, ok := pv.annotation(mountOptionsAnnotation)
	if !ok {
		return field, nil
	}
	if len(field) > 0 && strings.Join(field, ",") != annotated {
		notes = append(notes, fmt.Sprintf("the mount options of its annotation %s are used, which counted, not those of spec.mountOptions: %s",
			mountOptionsAnnotation, strings.Join(field, ",")))
	}
	return strings.Split(annotated, ","), notes
}

// whereEndpointsAre says where the old plugin looked: in endpointsNamespace, else in the claim's.
func (p *planner) whereEndpointsAre(pv *Object, b binding, name string) wantedEndpoints {
	want := wantedEndpoints{name: name}
	if said := text(pv.Content, "spec", "glusterfs", "endpointsNamespace"); said != "" {
		want.namespaces, want.sure = []string{said}, true
		return want
	}
	switch {
	case b.ref != nil:
		want.namespaces = []string{b.ref.Namespace}
		want.sure = b.certain && (b.claim == nil || !b.claim.namespaceAssumed)
	case len(b.others) > 0:
		for _, claim := range b.others {
			want.namespaces = append(want.namespaces, claim.namespace())
		}
	default:
		want.namespaces = pv.hints
	}
	slices.Sort(want.namespaces)
	want.namespaces = slices.Compact(want.namespaces)
	return want
}

// unusedFinding is said when the clusters file is known: what nobody uses is not put into it.
func (p *planner) unusedFinding(b binding, item *placement) Finding {
	f := Finding{Severity: ByHand, Message: fmt.Sprintf("is not in use and stays as it is: %s. Its data stays on Gluster volume %s", b.unused, item.volume)}
	if item.directory != "/" {
		f.Message += ", in " + item.directory
	}
	if group := item.group; !p.clusters.has(group.name, item.volume) {
		servers := "its servers"
		if !group.isUnknown() {
			servers = strings.Join(group.servers, ", ")
		}
		f.Message += fmt.Sprintf(". The new PersistentVolume needs cluster %s with %s and that Gluster volume in the clusters file", group.name, servers)
	}
	f.Cure = "if the data is still wanted, make the new PersistentVolume, which this plan has without a claimRef, and a claim with its volumeName; otherwise delete the old one"
	return f
}

func unknownKeys(content map[string]any, knownKeys ...string) []string {
	var unknown []string
	for key := range content {
		if !slices.Contains(knownKeys, key) {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	return unknown
}
