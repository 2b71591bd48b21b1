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

// overlays are directories below overlays/, with the chart's values file that each is for. What an overlay adds to the base is the
// component of its name, so that an operator may put several together: a second overlay would bring the base a second time.
var overlays = map[string]struct{ values, about string }{
	"arm64":         {"arm64-values.yaml", "# For the arm64 nodes of a cluster that has others too: kubectl apply -k deploy/kubernetes/overlays/arm64\n"},
	"k0s":           {"k0s-values.yaml", "# For k0s, whose kubelet has another directory: kubectl apply -k deploy/kubernetes/overlays/k0s\n"},
	"microk8s":      {"microk8s-values.yaml", "# For MicroK8s, whose kubelet has another directory: kubectl apply -k deploy/kubernetes/overlays/microk8s\n"},
	"startup-taint": {"startup-taint-values.yaml", "# For nodes that are registered with the taint glusterfs.csi.gluster.org/agent-not-ready: kubectl apply -k deploy/kubernetes/overlays/startup-taint\n"},
	"tls":           {"tls-values.yaml", "# With certificates from the Secret gluster-tls, for servers that want TLS: name it in ../../base/clusters.yaml, then kubectl apply -k deploy/kubernetes/overlays/tls\n"},
	"snapshots":     {"snapshots-values.yaml", "# With snapshots, for a cluster that has what is in ../../snapshot-controller: kubectl apply -k deploy/kubernetes/overlays/snapshots\n"},
}

// snapshotController is the directory with what a cluster has once for all drivers, and the templates and values that it is made of.
var snapshotController = struct {
	dir, values, about string
	templates          []string
}{
	"snapshot-controller", "snapshot-controller-values.yaml",
	"# For a cluster that has no snapshot-controller yet: kubectl apply -k deploy/kubernetes/snapshot-controller\n",
	[]string{"snapshot-crds.yaml", "snapshot-controller.yaml"},
}

// generate returns the content of every file below deploy/kubernetes.
func generate(chart string) (map[string]string, error) {
	base, err := render(chart, "pi-values.yaml")
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	resources := collect(files, "base/", base)
	files["base/kustomization.yaml"] = generated +
		"# Edit the servers in clusters.yaml, then: kubectl apply -k deploy/kubernetes/base\n" +
		kustomization("resources", resources)
	for name, o := range overlays {
		other, err := render(chart, "pi-values.yaml", o.values)
		if err != nil {
			return nil, err
		}
		patches, added, err := difference(base, other)
		if err != nil {
			return nil, fmt.Errorf("overlay %s: %w", name, err)
		}
		dir := "components/" + name + "/"
		var list []string
		for _, file := range slices.Sorted(maps.Keys(patches)) {
			files[dir+file] = generated + patches[file]
			list = append(list, "path: "+file)
		}
		files[dir+"kustomization.yaml"] = generated + component + entries("resources", collect(files, dir, added)) + entries("patches", list)
		files["overlays/"+name+"/kustomization.yaml"] = generated + o.about +
			kustomization("resources", []string{"../../base"}) + entries("components", []string{"../../components/" + name})
	}
	cluster, err := render(chart, "pi-values.yaml", snapshotController.values)
	if err != nil {
		return nil, err
	}
	cluster = slices.DeleteFunc(cluster, func(d document) bool { return !slices.Contains(snapshotController.templates, d.file) })
	dir := snapshotController.dir + "/"
	resources = collect(files, dir, cluster)
	files[dir+"kustomization.yaml"] = generated + snapshotController.about + kustomization("resources", resources)
	return files, nil
}

// collect adds documents to the files of a directory and returns the names of these, in the documents' order.
func collect(files map[string]string, dir string, documents []document) (names []string) {
	for _, d := range documents {
		name := dir + d.file
		if files[name] == "" {
			files[name] = header(d.file)
			names = append(names, d.file)
		} else {
			files[name] += "---\n"
		}
		files[name] += d.text
	}
	return names
}

func header(file string) string {
	if file == "clusters.yaml" {
		return "# Edit the servers and volumes here. The rest is made from deploy/helm/glusterfs-csi by `make manifests`.\n"
	}
	return generated
}

const component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"

func kustomization(key string, list []string) string {
	return "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" + entries(key, list)
}

// entries are none at all where the list is empty.
func entries(key string, list []string) string {
	if len(list) == 0 {
		return ""
	}
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
	for _, v := range append([]string{"kustomize-values.yaml"}, values...) {
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

// difference returns strategic merge patches, by file name, that make other of base, and what other has besides. It must have all that
// base has.
func difference(base, other []document) (patches map[string]string, added []document, err error) {
	patches = map[string]string{}
	left := slices.Clone(other)
	for _, b := range base {
		i := slices.IndexFunc(left, func(d document) bool { return d.key() == b.key() })
		if i < 0 {
			return nil, nil, fmt.Errorf("%s is not there", b.key())
		}
		patch, err := mergePatch(b.object, left[i].object)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", b.key(), err)
		}
		if patch != nil {
			patches[strings.ToLower(b.object.GetKind())+"-"+b.object.GetName()+".yaml"] = string(patch)
		}
		left = slices.Delete(left, i, i+1)
	}
	return patches, left, nil
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
	forgetOrder(patch)
	patch["apiVersion"], patch["kind"] = from.GetAPIVersion(), from.GetKind()
	patch["metadata"] = map[string]any{"name": from.GetName(), "namespace": from.GetNamespace()}
	return yaml.Marshal(patch)
}

// forgetOrder removes what a patch says of the order of lists, and of the keys of a union, both of which kustomize takes for fields: it
// puts what is new first, and merges a volume with the one of its name.
func forgetOrder(patch map[string]any) {
	for key, value := range patch {
		if strings.HasPrefix(key, "$setElementOrder/") || key == "$retainKeys" {
			delete(patch, key)
			continue
		}
		list, isList := value.([]any)
		if !isList {
			list = []any{value}
		}
		for _, item := range list {
			if below, ok := item.(map[string]any); ok {
				forgetOrder(below)
			}
		}
	}
}
