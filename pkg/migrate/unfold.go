// SPDX-License-Identifier: Apache-2.0

package migrate

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/json"
)

// expand returns the objects that a document holds: itself, the items of a list, the objects of an OpenShift template.
func expand(content map[string]any, source string) (objects []Object, findings []Finding) {
	kind := text(content, "kind")
	if items, ok := content["items"].([]any); ok && strings.HasSuffix(kind, "List") {
		for i, item := range items {
			below, ok := item.(map[string]any)
			if !ok {
				findings = append(findings, Finding{Severity: Blocks, About: source, Message: fmt.Sprintf("item %d of its list is no object", i+1)})
				continue
			}
			inherit(below, content)
			found, wrong := expand(below, fmt.Sprintf("%s, item %d", source, i+1))
			objects, findings = append(objects, found...), append(findings, wrong...)
		}
		return objects, findings
	}
	if kind == "Template" && at(content, "objects") != nil {
		return expandTemplate(content, source)
	}
	if text(content, "metadata", "name") == "" {
		what := "has no metadata.name"
		if text(content, "metadata", "generateName") == "" && !mentions(content) {
			return nil, []Finding{{Severity: Note, About: source, Message: fmt.Sprintf("is of kind %s and %s", kind, what)}}
		}
		return nil, []Finding{{
			Severity: Blocks, About: source, Message: fmt.Sprintf("is of kind %s and %s: which object it is cannot be known", kind, what),
			Cure: "give the object that the cluster has, by `kubectl get -o yaml`",
		}}
	}
	return []Object{{Content: content, Source: source}}, nil
}

// inherit gives an item of a typed list the kind that the list has for all.
func inherit(item, list map[string]any) {
	if text(item, "kind") != "" {
		return
	}
	if kind := strings.TrimSuffix(text(list, "kind"), "List"); kind != "" {
		item["kind"], item["apiVersion"] = kind, list["apiVersion"]
	}
}

// mentions says whether any key below is glusterfs.
func mentions(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			if key == "glusterfs" || mentions(below) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, mentions)
	}
	return false
}

var parameter = regexp.MustCompile(`\$\{\{?([A-Za-z0-9_]+)\}?\}`)

// expandTemplate is `oc process`, with the values that the template has for its own parameters.
func expandTemplate(template map[string]any, source string) (objects []Object, findings []Finding) {
	name := "Template " + text(template, "metadata", "name")
	values := map[string]string{}
	for _, p := range mapsAt(template, "parameters") {
		value, given := p["value"]
		isEmpty := !given || value == nil || value == ""
		if isEmpty && (isTrue(p, "required") || text(p, "generate") != "") {
			continue // whoever processes the template gives it, or it is made up then
		}
		values[text(p, "name")] = ""
		if !isEmpty {
			values[text(p, "name")] = fmt.Sprint(value)
		}
	}
	for i, item := range mapsAt(template, "objects") {
		content, unknown := substitute(item, values)
		where := fmt.Sprintf("%s, object %d of %s", source, i+1, name)
		if len(unknown) > 0 && (mentions(item) || isOurs(text(item, "kind"))) {
			findings = append(findings, Finding{
				Severity: Blocks, About: name, Source: where,
				Message: fmt.Sprintf("its %s needs a value for %s, which the template does not have", text(item, "kind"), strings.Join(unknown, ", ")),
				Cure:    "give what is made of it: `oc process -f FILE -p " + unknown[0] + "=… -o yaml`",
			})
			continue
		}
		below, ok := content.(map[string]any)
		if !ok {
			continue
		}
		addLabels(below, mapAt(template, "labels"))
		found, wrong := expand(below, where)
		objects, findings = append(objects, found...), append(findings, wrong...)
	}
	if len(objects) > 0 && slices.ContainsFunc(objects, func(o Object) bool { return mentions(o.Content) }) {
		findings = append(findings, Finding{
			Severity: ByHand, About: name, Source: source, Message: "makes objects of the old plugin whenever it is processed",
			Cure: "change the template as its objects are changed below",
		})
	}
	return objects, findings
}

// addLabels gives an object those of its template.
func addLabels(object, labels map[string]any) {
	metadata := mapAt(object, "metadata")
	if metadata == nil || len(labels) == 0 {
		return
	}
	own := mapAt(metadata, "labels")
	if own == nil {
		own = map[string]any{}
		metadata["labels"] = own
	}
	maps.Copy(own, clone(labels))
}

func isOurs(kind string) bool {
	return slices.Contains([]string{"PersistentVolume", "PersistentVolumeClaim", "Endpoints", "EndpointSlice", "Service", "StorageClass"}, kind)
}

// substitute fills in ${NAME}, and ${{NAME}} with the value as JSON. It returns the names that have no value, sorted.
func substitute(value any, values map[string]string) (filled any, unknown []string) {
	switch value := value.(type) {
	case map[string]any:
		result := map[string]any{}
		for key, below := range value {
			filled, missing := substitute(below, values)
			name, more := substitute(key, values)
			result[fmt.Sprint(name)], unknown = filled, append(append(unknown, missing...), more...)
		}
		filled = result
	case []any:
		list := make([]any, 0, len(value))
		for _, below := range value {
			filled, missing := substitute(below, values)
			list, unknown = append(list, filled), append(unknown, missing...)
		}
		filled = list
	case string:
		return substituteText(value, values)
	default:
		return value, nil
	}
	slices.Sort(unknown)
	return filled, slices.Compact(unknown)
}

func substituteText(value string, values map[string]string) (filled any, unknown []string) {
	result := parameter.ReplaceAllStringFunc(value, func(found string) string {
		name := parameter.FindStringSubmatch(found)[1]
		known, ok := values[name]
		if !ok {
			unknown = append(unknown, name)
			return found
		}
		return known
	})
	if strings.HasPrefix(value, "${{") && strings.HasSuffix(value, "}}") && len(unknown) == 0 {
		var typed any
		if json.Unmarshal([]byte(result), &typed) == nil {
			return typed, nil
		}
	}
	return result, unknown
}
