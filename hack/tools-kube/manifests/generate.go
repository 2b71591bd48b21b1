// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

const generated = "# Made from deploy/helm/glusterfs-csi by `make manifests`: change it there.\n"

// overlays are directories below overlays/, with the chart's values file that each is for.
var overlays = map[string]struct{ values, about string }{
	"arm64": {"arm64-values.yaml", "# For the arm64 nodes of a cluster that has others too: kubectl apply -k deploy/kubernetes/overlays/arm64\n"},
}

// generate returns the content of every file below deploy/kubernetes.
func generate(chart string) (map[string]string, error) {
	base, err := render(chart, "pi-values.yaml")
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	var resources []string
	for _, d := range base {
		name := "base/" + d.file
		if files[name] == "" {
			files[name] = header(d.file)
			resources = append(resources, d.file)
		} else {
			files[name] += "---\n"
		}
		files[name] += d.text
	}
	files["base/kustomization.yaml"] = generated +
		"# Edit the servers in clusters.yaml, then: kubectl apply -k deploy/kubernetes/base\n" +
		kustomization("resources", resources)
	for name, o := range overlays {
		other, err := render(chart, "pi-values.yaml", o.values)
		if err != nil {
			return nil, err
		}
		patches, err := difference(base, other)
		if err != nil {
			return nil, fmt.Errorf("overlay %s: %w", name, err)
		}
		var list []string
		for _, file := range slices.Sorted(maps.Keys(patches)) {
			files["overlays/"+name+"/"+file] = generated + patches[file]
			list = append(list, "path: "+file)
		}
		files["overlays/"+name+"/kustomization.yaml"] = generated + o.about + kustomization("resources", []string{"../../base"}) + entries("patches", list)
	}
	return files, nil
}

func header(file string) string {
	if file == "clusters.yaml" {
		return "# Edit the servers and volumes here. The rest is made from deploy/helm/glusterfs-csi by `make manifests`.\n"
	}
	return generated
}

func kustomization(key string, list []string) string {
	return "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" + entries(key, list)
}

func entries(key string, list []string) string {
	return key + ":\n  - " + strings.Join(list, "\n  - ") + "\n"
}

// document is one object that the chart renders.
type document struct {
	file   string // the template's name
	text   string // with its comments
	object unstructured.Unstructured
}

func (d document) key() string {
	return d.object.GroupVersionKind().String() + "/" + d.object.GetName()
}

var source = regexp.MustCompile(`(?m)^# Source: glusterfs-csi/templates/(\S+)\n`)

// render runs helm with values files of the chart's ci folder. Tests of the chart are left out.
func render(chart string, values ...string) ([]document, error) {
	args := []string{"--skip-tests"}
	for _, v := range values {
		args = append(args, "-f", filepath.Join(chart, "ci", v))
	}
	output, err := template(chart, args...)
	if err != nil {
		return nil, err
	}
	return split(output)
}

// helmProgram builds helm, once, and returns its path: `go tool` itself looks through the whole module each time,
// which takes seconds.
var helmProgram = sync.OnceValues(func() (string, error) {
	path, err := exec.Command("go", "tool", "-n", "helm").Output()
	if err != nil {
		return "", fmt.Errorf("build helm: %w", err)
	}
	return strings.TrimSpace(string(path)), nil
})

func template(chart string, args ...string) (string, error) {
	program, err := helmProgram()
	if err != nil {
		return "", err
	}
	helm := exec.Command(program, append([]string{"template", "glusterfs-csi", chart}, args...)...)
	var stderr strings.Builder
	helm.Stderr = &stderr
	output, err := helm.Output()
	if err != nil {
		return "", fmt.Errorf("helm template: %w: %s", err, stderr.String())
	}
	return string(output), nil
}

func split(output string) ([]document, error) {
	var documents []document
	for text := range strings.SplitSeq("\n"+output, "\n---\n") {
		text = strings.TrimSpace(strings.TrimPrefix(text, "---")) + "\n"
		name := source.FindStringSubmatch(text)
		if name == nil {
			continue
		}
		d := document{file: name[1], text: source.ReplaceAllString(text, "")}
		if err := yaml.Unmarshal([]byte(text), &d.object.Object); err != nil {
			return nil, fmt.Errorf("%s: %w", d.file, err)
		}
		if len(d.object.Object) > 0 {
			documents = append(documents, d)
		}
	}
	if len(documents) == 0 {
		return nil, errors.New("the chart renders nothing")
	}
	return documents, nil
}

// difference returns strategic merge patches, by file name, that make other of base. Both must have the same objects.
func difference(base, other []document) (map[string]string, error) {
	if len(base) != len(other) {
		return nil, fmt.Errorf("%d objects here and %d there", len(base), len(other))
	}
	patches := map[string]string{}
	for i, b := range base {
		o := other[i]
		if b.key() != o.key() {
			return nil, fmt.Errorf("%s here and %s there", b.key(), o.key())
		}
		patch, err := mergePatch(b.object, o.object)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", b.key(), err)
		}
		if patch != nil {
			patches[strings.ToLower(b.object.GetKind())+"-"+b.object.GetName()+".yaml"] = string(patch)
		}
	}
	return patches, nil
}

// mergePatch is nil where the two are equal.
func mergePatch(from, to unstructured.Unstructured) ([]byte, error) {
	typed, err := scheme.Scheme.New(schema.FromAPIVersionAndKind(from.GetAPIVersion(), from.GetKind()))
	if err != nil {
		return nil, err
	}
	before, err := from.MarshalJSON()
	if err != nil {
		return nil, err
	}
	after, err := to.MarshalJSON()
	if err != nil {
		return nil, err
	}
	data, err := strategicpatch.CreateTwoWayMergePatch(before, after, typed)
	if err != nil {
		return nil, err
	}
	patch := map[string]any{}
	if err := json.Unmarshal(data, &patch); err != nil || len(patch) == 0 {
		return nil, err
	}
	patch["apiVersion"], patch["kind"] = from.GetAPIVersion(), from.GetKind()
	patch["metadata"] = map[string]any{"name": from.GetName(), "namespace": from.GetNamespace()}
	return yaml.Marshal(patch)
}
