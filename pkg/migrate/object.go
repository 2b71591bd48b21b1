// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"cmp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
)

// Object is one object of Kubernetes as it was read, whatever its version is: fields that nobody here knows are kept.
type Object struct {
	// Content is the object as decoded from JSON: maps, slices, strings, bools, int64 and float64.
	Content map[string]any
	// Source says where it was read, for people: a file and the document in it. It is "" for what a cluster has.
	Source string

	// namespaceAssumed is set where the file does not say the namespace of an object that needs one.
	namespaceAssumed bool
	// hints are the namespaces that a PersistentVolume was written with. It has none, so that they say no more than
	// whom it was meant for.
	hints []string
}

// Reference names an object.
type Reference struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`

	group string // of its API: others than Kubernetes have a Service, a StatefulSet, a Job, too
}

// String is as people write it: Endpoints app/glusterfs-cluster.
func (r Reference) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

func (o *Object) kind() string      { return text(o.Content, "kind") }
func (o *Object) name() string      { return text(o.Content, "metadata", "name") }
func (o *Object) namespace() string { return text(o.Content, "metadata", "namespace") }
func (o *Object) uid() string       { return text(o.Content, "metadata", "uid") }
func (o *Object) reference() Reference {
	return Reference{Kind: o.kind(), Namespace: o.namespace(), Name: o.name(), group: groupOf(o.Content)}
}

// groupOf is the group of what has a kind and an apiVersion. What was in another one once is in that of today.
func groupOf(content map[string]any) string {
	group, _, hasGroup := strings.Cut(text(content, "apiVersion"), "/")
	kind := text(content, "kind")
	switch {
	case !hasGroup && kind == "DeploymentConfig":
		return "apps.openshift.io"
	case !hasGroup:
		return ""
	case group == "extensions" && (kind == "Ingress" || kind == "NetworkPolicy"):
		return "networking.k8s.io"
	case group == "extensions":
		return "apps"
	}
	return group
}

func (o *Object) annotation(key string) (string, bool) {
	value, ok := at(o.Content, "metadata", "annotations", key).(string)
	return value, ok
}

// at returns what is at a path of keys, or nil.
func at(content any, path ...string) any {
	for _, key := range path {
		below, ok := content.(map[string]any)
		if !ok {
			return nil
		}
		content = below[key]
	}
	return content
}

// text returns the string at a path, or "".
func text(content any, path ...string) string {
	value, _ := at(content, path...).(string)
	return value
}

// texts returns the strings of the list at a path.
func texts(content any, path ...string) []string {
	list, _ := at(content, path...).([]any)
	var found []string
	for _, item := range list {
		if value, ok := item.(string); ok {
			found = append(found, value)
		}
	}
	return found
}

// mapsAt returns the maps of the list at a path.
func mapsAt(content any, path ...string) []map[string]any {
	list, _ := at(content, path...).([]any)
	var found []map[string]any
	for _, item := range list {
		if value, ok := item.(map[string]any); ok {
			found = append(found, value)
		}
	}
	return found
}

func mapAt(content any, path ...string) map[string]any {
	value, _ := at(content, path...).(map[string]any)
	return value
}

func isTrue(content any, path ...string) bool {
	value, _ := at(content, path...).(bool)
	return value
}

// number returns the whole number at a path, and whether there is one.
func number(content any, path ...string) (int64, bool) {
	switch value := at(content, path...).(type) {
	case int64:
		return value, true
	case float64:
		return int64(value), true
	}
	return 0, false
}

func clone(content map[string]any) map[string]any { return runtime.DeepCopyJSON(content) }

// anyList is a list as decoded JSON has it.
func anyList(values []string) []any {
	list := make([]any, 0, len(values))
	for _, value := range values {
		list = append(list, value)
	}
	return list
}

func byReference(a, b Reference) int {
	return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name), strings.Compare(a.group, b.group))
}
