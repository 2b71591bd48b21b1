// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"slices"
	"strings"
)

// inlineSize is what a PersistentVolume and a claim say where an inline volume said nothing. Nobody enforces it.
const inlineSize = "1Gi"

// planInline plans the volumes of pod templates that name the old plugin themselves.
func (p *planner) planInline() {
	seen := map[string]int{} // of what was planned already, its place in the plan
	for _, s := range p.pods {
		if !p.isIn(s.object.namespace()) {
			continue
		}
		for _, v := range s.volumes {
			if source := mapAt(v, "glusterfs"); source != nil {
				p.planInlineVolume(s, text(v, "name"), source, seen)
			} else if _, has := v["glusterfs"]; has {
				p.about(s.object)(Finding{Severity: Blocks, Message: fmt.Sprintf("volume %s: glusterfs says nothing", text(v, "name"))})
			}
		}
	}
	p.sayElsewhere()
}

func (p *planner) planInlineVolume(s podSpec, name string, source map[string]any, seen map[string]int) {
	say := func(f Finding) {
		f.Message = fmt.Sprintf("volume %s: %s", name, f.Message)
		p.about(s.object)(f)
	}
	isReadOnly := isTrue(source, "readOnly")
	key := fmt.Sprintf("%s %s %s", s.owner.group, s.owner, fmt.Sprint(source))
	index := len(p.plan.Inline)
	inline := Inline{Workload: s.owner, Volume: name, Action: Replace, Source: s.object.Source}
	if first, again := seen[key]; again {
		p.shareInline(inline, first, isReadOnly)
		return
	}
	seen[key] = index
	p.plan.Inline = append(p.plan.Inline, inline)
	block := func() { p.plan.Inline[index].Action = Blocked }
	item, ok := p.locateInline(s, source, say)
	if !ok {
		block()
		return
	}
	if item.isBlocked {
		block()
	}
	claim, volume, isMade := p.nameInline(s.owner, name, item)
	item.unusable = func(reason string) {
		say(Finding{Severity: Blocks, Message: reason})
		block()
	}
	item.finish = func(cluster string) {
		i := &p.plan.Inline[index]
		i.Place = Place{Cluster: cluster, Volume: item.volume, Path: item.directory}
		i.PersistentVolume, i.PersistentVolumeClaim = inlineVolume(volume, claim, i.Place), inlineClaim(volume, claim)
		i.Entry = inlineEntry(name, claim.Name, isReadOnly)
		p.sayPod(s, i.Place, isReadOnly)
		f := Finding{Severity: ByHand, Message: fmt.Sprintf("is in the pod template itself: %s has to be changed by whoever owns it", s.owner)}
		f.Cure = fmt.Sprintf("put the entry below in its place; the claim %s/%s is made by --apply", claim.Namespace, claim.Name)
		if isMade {
			i.Action = Made
			f.Cure = fmt.Sprintf("put the entry below in its place; the claim %s/%s is there", claim.Namespace, claim.Name)
		}
		say(f)
	}
	p.placed = append(p.placed, item)
}

// shareInline is for a second volume of a workload with the same source: it has the claim of the first.
func (p *planner) shareInline(inline Inline, first int, isReadOnly bool) {
	index := len(p.plan.Inline)
	p.plan.Inline = append(p.plan.Inline, inline)
	if p.plan.Inline[first].Volume == inline.Volume {
		p.plan.Inline = p.plan.Inline[:index] // the very same, in another template of the workload
		return
	}
	if p.plan.Inline[first].Action == Blocked {
		p.plan.Inline[index].Action = Blocked
		return
	}
	original := p.placed[len(p.placed)-1]
	for _, item := range p.placed {
		if item.inline == first+1 {
			original = item
		}
	}
	p.placed = append(p.placed, &placement{
		group: original.group, endpoints: original.endpoints, volume: original.volume, directory: original.directory,
		unusable: func(string) { p.plan.Inline[index].Action = Blocked },
		finish: func(string) {
			had := p.plan.Inline[first]
			p.plan.Inline[index].Place = had.Place
			p.plan.Inline[index].Entry = inlineEntry(inline.Volume, text(had.Entry, "persistentVolumeClaim", "claimName"), isReadOnly)
		},
	})
}

func (p *planner) locateInline(s podSpec, source map[string]any, say func(Finding)) (*placement, bool) {
	unknown := unknownKeys(source, "endpoints", "path", "readOnly")
	endpointsName := text(source, "endpoints")
	if endpointsName == "" {
		f := Finding{Severity: Blocks, Message: "endpoints is missing, so that its servers are not known", Cure: "make Endpoints of the servers, and name them there"}
		if len(unknown) > 0 {
			f.Message += fmt.Sprintf("; it has %s, which the plugin of no release knew", strings.Join(unknown, ", "))
		}
		say(f)
		return nil, false
	}
	if len(unknown) > 0 {
		say(Finding{Severity: Note, Message: "has what the old plugin did not know in a pod template, and what is left out: " + strings.Join(unknown, ", ")})
	}
	volume, directory, err := parsePath(text(source, "path"))
	if err != nil {
		say(Finding{Severity: Blocks, Message: err.Error(), Cure: "correct its path"})
		return nil, false
	}
	want := wantedEndpoints{name: endpointsName, namespaces: []string{s.object.namespace()}, sure: !s.object.namespaceAssumed}
	found, ok := p.resolve(want, say)
	return &placement{
		group: p.clusters.group(found, nil), endpoints: found.ref, volume: volume, directory: directory, isBlocked: !ok, inline: len(p.plan.Inline),
	}, true
}

// nameInline returns names for the claim and the PersistentVolume of an inline volume: those of an earlier run, if it
// has made them, and otherwise such as nobody has. isMade says that both are there.
func (p *planner) nameInline(workload Reference, volume string, item *placement) (claim Reference, name string, isMade bool) {
	claim = Reference{Kind: "PersistentVolumeClaim", Namespace: workload.Namespace, Name: shorten(strings.ToLower(workload.Name+"-"+volume), 63)}
	for _, suffix := range []string{"-" + strings.ToLower(workload.Kind), "-glusterfs", "-glusterfs", "-glusterfs"} {
		name = shorten(claim.Namespace+"-"+claim.Name, 63)
		hasVolume, hasClaim, isFree := p.isInlines(claim, name, item)
		if isFree {
			isMade = hasVolume && hasClaim
			break
		}
		claim.Name = shorten(claim.Name+suffix, 63)
	}
	p.names[name], p.names[claim.Namespace+"/"+claim.Name] = true, true
	return claim, name, isMade
}

// isInlines says whether a claim and a PersistentVolume are there, and whether the names are free: nobody has them, or
// an earlier run has made them for this very volume.
func (p *planner) isInlines(claim Reference, name string, item *placement) (hasVolume, hasClaim, isFree bool) {
	volumeThere, claimThere := p.in.find("PersistentVolume", "", name), p.in.find("PersistentVolumeClaim", claim.Namespace, claim.Name)
	if p.names[claim.Namespace+"/"+claim.Name] || volumeThere == nil && p.names[name] {
		return false, false, false
	}
	isFree = true
	if volumeThere != nil {
		ref, csi := mapAt(volumeThere.Content, "spec", "claimRef"), mapAt(volumeThere.Content, "spec", "csi")
		isFree = text(csi, "driver") == DriverName && text(csi, "volumeAttributes", "path") == item.directory &&
			strings.Contains(text(csi, "volumeHandle"), "/"+item.volume+"/") && text(ref, "namespace") == claim.Namespace && text(ref, "name") == claim.Name
	}
	if claimThere != nil {
		isFree = isFree && text(claimThere.Content, "spec", "volumeName") == name
	}
	return volumeThere != nil, claimThere != nil, isFree
}

func inlineVolume(name string, claim Reference, place Place) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "PersistentVolume", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"accessModes": []any{"ReadWriteMany"}, "capacity": map[string]any{"storage": inlineSize},
			"persistentVolumeReclaimPolicy": "Retain", "storageClassName": "", "csi": csiSource(name, place),
			"claimRef": map[string]any{"apiVersion": "v1", "kind": claim.Kind, "namespace": claim.Namespace, "name": claim.Name},
		},
	}
}

func inlineClaim(volume string, claim Reference) map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": claim.Kind, "metadata": map[string]any{"name": claim.Name, "namespace": claim.Namespace},
		"spec": map[string]any{
			"accessModes": []any{"ReadWriteMany"}, "resources": map[string]any{"requests": map[string]any{"storage": inlineSize}},
			"storageClassName": "", "volumeName": volume,
		},
	}
}

func inlineEntry(volume, claim string, isReadOnly bool) map[string]any {
	source := map[string]any{"claimName": claim}
	if isReadOnly {
		source["readOnly"] = true
	}
	return map[string]any{"name": volume, "persistentVolumeClaim": source}
}

// sayElsewhere says where an object has a glusterfs source that is not a volume of a pod template.
func (p *planner) sayElsewhere() {
	for _, o := range p.in.all {
		if !p.isIn(o.namespace()) && o.namespace() != "" {
			continue
		}
		for _, path := range unusualSources(o.Content, nil) {
			if o.kind() == "PersistentVolume" && path == "spec.glusterfs" {
				continue
			}
			f := Finding{Severity: ByHand, Message: fmt.Sprintf("has a glusterfs source at %s, which is neither a PersistentVolume nor a volume of a pod template", path)}
			f.Cure = "see what its owner makes of it, and change it there"
			if o.kind() == "Template" {
				f.Message = fmt.Sprintf("makes objects of the old plugin whenever it is processed (%s)", path)
				f.Cure = "change the template as its objects are changed"
			}
			p.about(o)(f)
		}
	}
}

// unusualSources are the paths of all sources that walkPodSpecs does not lead to; of a Template, of all.
func unusualSources(value any, path []string) []string {
	var found []string
	switch value := value.(type) {
	case map[string]any:
		isTemplate := text(value, "kind") == "Template"
		for _, key := range sortedKeys(value) {
			where := append(slices.Clone(path), key)
			source := mapAt(value, key)
			isSource := key == "glusterfs" && (source["endpoints"] != nil || source["path"] != nil)
			isVolume := len(path) >= 2 && path[len(path)-2] == "volumes" && path[0] != "objects"
			switch {
			case isSource && !isVolume:
				found = append(found, strings.Join(where, "."))
			case isTemplate && key == "metadata":
			default:
				found = append(found, unusualSources(value[key], where)...)
			}
		}
	case []any:
		for i, below := range value {
			found = append(found, unusualSources(below, append(slices.Clone(path), fmt.Sprint(i)))...)
		}
	}
	return found
}
