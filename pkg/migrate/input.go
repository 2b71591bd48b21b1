// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
)

// input is the objects, each once, in an order that does not depend on where they came from.
type input struct {
	all []*Object
	// byKind is without API groups: several may have one kind.
	byKind map[string][]*Object
}

// clusterScoped are the kinds of the plan that have no namespace.
var clusterScoped = []string{"PersistentVolume", "StorageClass", "CSIDriver", "Namespace", "Node", "ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition", "PriorityClass", "Project"}

// newInput sorts the objects, gives those a namespace that say none, and merges what was given more than once.
func newInput(objects []Object, defaultNamespace string, report func(Finding)) *input {
	in := &input{byKind: map[string][]*Object{}}
	byKey := map[Reference][]*Object{}
	for i := range objects {
		o := objects[i]
		o.Content = clone(o.Content)
		metadata := mapAt(o.Content, "metadata")
		namespace := o.namespace()
		switch {
		case slices.Contains(clusterScoped, o.kind()):
			if namespace != "" {
				o.hints = []string{namespace}
				delete(metadata, "namespace")
			}
		case namespace == "":
			o.namespaceAssumed = true
			metadata["namespace"] = defaultNamespace
		}
		byKey[o.reference()] = append(byKey[o.reference()], &o)
	}
	keys := make([]Reference, 0, len(byKey))
	for key := range byKey {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, byReference)
	for _, key := range keys {
		o := merge(byKey[key], report)
		in.all = append(in.all, o)
		in.byKind[key.Kind] = append(in.byKind[key.Kind], o)
	}
	return in
}

// merge makes one object of all that have its name. Where they differ, the last counts, as with kubectl apply.
func merge(same []*Object, report func(Finding)) *Object {
	slices.SortStableFunc(same, func(a, b *Object) int { return bySource(a.Source, b.Source) })
	last := same[len(same)-1]
	var differing []string
	for _, o := range same[:len(same)-1] {
		last.hints = gluster.Unique(append(last.hints, o.hints...))
		if !reflect.DeepEqual(wanted(o), wanted(last)) {
			differing = append(differing, o.Source)
		}
	}
	slices.Sort(last.hints)
	if len(differing) > 0 && isOurs(last.kind()) {
		report(Finding{
			Severity: ByHand, About: last.reference().String(), Source: last.Source,
			Message: fmt.Sprintf("is given more than once, and differently; used here is %s, not %s", last.Source, strings.Join(differing, ", ")),
			Cure:    "remove the ones that are not in the cluster, if it has another",
		})
	}
	return last
}

// bySource orders as files are read: document 2 before document 10.
func bySource(a, b string) int {
	pad := func(s string) string {
		return numbers.ReplaceAllStringFunc(s, func(n string) string { return fmt.Sprintf("%010s", n) })
	}
	return cmp.Or(strings.Compare(pad(a), pad(b)), strings.Compare(a, b))
}

var numbers = regexp.MustCompile(`[0-9]+`)

// wanted is an object without what a server says of it.
func wanted(o *Object) map[string]any {
	content := clone(o.Content)
	delete(content, "status")
	if metadata := mapAt(content, "metadata"); metadata != nil {
		for _, key := range serverKeys {
			delete(metadata, key)
		}
	}
	return content
}

// serverKeys of metadata are the server's.
var serverKeys = []string{"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink"}

// find returns an object of the core group, or nil.
func (in *input) find(kind, namespace, name string) *Object {
	return in.get(Reference{Kind: kind, Namespace: namespace, Name: name})
}

func (in *input) get(ref Reference) *Object {
	for _, o := range in.byKind[ref.Kind] {
		if o.reference() == ref {
			return o
		}
	}
	return nil
}

// owner returns the object's controller if it is among the objects, and what it is called in any case.
func (in *input) owner(o *Object) (*Object, *Reference) {
	for _, r := range mapsAt(o.Content, "metadata", "ownerReferences") {
		if !isTrue(r, "controller") {
			continue
		}
		ref := Reference{Kind: text(r, "kind"), Namespace: o.namespace(), Name: text(r, "name"), group: groupOf(r)}
		return in.get(ref), &ref
	}
	return nil, nil
}
