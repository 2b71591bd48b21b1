// SPDX-License-Identifier: Apache-2.0

// Package live reads from a running cluster what a migration is planned of.
package live

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/objects"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// needed of the core group cannot be done without; what else cannot be read is a finding.
var needed = []string{"persistentvolumes", "persistentvolumeclaims", "endpoints", "pods"}

// builtIn are the resources of Kubernetes' own groups that a plan is made of. Of other groups, all are: a pod template
// may sit anywhere. Secrets are not among them, and ConfigMaps only by the one name.
var builtIn = map[string][]string{
	"":                 {"persistentvolumes", "persistentvolumeclaims", "endpoints", "services", "pods", "replicationcontrollers", "podtemplates"},
	"apps":             {"deployments", "statefulsets", "daemonsets", "replicasets"},
	"batch":            {"jobs", "cronjobs"},
	"storage.k8s.io":   {"storageclasses", "csidrivers"},
	"discovery.k8s.io": {"endpointslices"},
	"extensions":       {},
	"autoscaling":      {},
	"policy":           {},
}

// Read returns the objects of the whole cluster, and what could not be read.
func Read(ctx context.Context, resources discovery.DiscoveryInterface, client dynamic.Interface) ([]migrate.Object, []migrate.Finding, error) {
	lists, err := discovery.ServerPreferredResources(resources)
	var findings []migrate.Finding
	if err != nil {
		if len(lists) == 0 {
			return nil, nil, fmt.Errorf("ask the cluster what it has: %w", err)
		}
		findings = append(findings, migrate.Finding{Severity: migrate.ByHand, About: "cluster", Message: "some of its kinds could not be asked for: " + err.Error(),
			Cure: "look yourself whether their pod templates have glusterfs volumes"})
	}
	var all []migrate.Object
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, nil, err
		}
		for _, r := range list.APIResources {
			if !isWanted(group.Group, r) {
				continue
			}
			resource := group.WithResource(r.Name)
			found, err := readForPlan(ctx, client, resource)
			switch {
			case err == nil:
				all = append(all, found...)
			case ctx.Err() != nil || group.Group == "" && slices.Contains(needed, r.Name):
				return nil, nil, fmt.Errorf("list %s: %w", r.Name, err)
			default:
				findings = append(findings, migrate.Finding{Severity: migrate.ByHand, About: resource.GroupResource().String(), Message: "could not be read: " + err.Error(),
					Cure: "look yourself whether their pod templates have glusterfs volumes, or repeat when they can be listed, as somebody who may"})
			}
		}
	}
	file, err := clustersFile(ctx, client)
	return append(all, file...), findings, err
}

// readForPlan reads a list. Of other groups than Kubernetes' there may be any number of objects of any size, and nearly all have nothing to
// do with volumes: of those only the names are kept, by which what they own is known to be theirs.
func readForPlan(ctx context.Context, client dynamic.Interface, resource schema.GroupVersionResource) ([]migrate.Object, error) {
	shorten := func(u *unstructured.Unstructured) {
		if _, isBuiltIn := builtIn[resource.Group]; isBuiltIn || hasVolumes(u.Object) {
			return
		}
		short := &unstructured.Unstructured{Object: map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind()}}
		short.SetNamespace(u.GetNamespace())
		short.SetName(u.GetName())
		*u = *short
	}
	items, err := objects.ListShortened(ctx, client, resource, metav1.ListOptions{}, shorten)
	return contents(items), err
}

// hasVolumes says whether any key below is one of those that a plan looks for in whatever object.
func hasVolumes(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		for key, below := range value {
			if slices.Contains([]string{"glusterfs", "volumes", "volumeClaimTemplates"}, key) || hasVolumes(below) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, hasVolumes)
	}
	return false
}

func isWanted(group string, r metav1.APIResource) bool {
	if strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "list") {
		return false
	}
	names, isBuiltIn := builtIn[group]
	if isBuiltIn {
		return slices.Contains(names, r.Name)
	}
	return !strings.HasSuffix(group, ".k8s.io")
}

func isRefusal(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)
}

// readAll reads a list.
func readAll(ctx context.Context, client dynamic.Interface, resource schema.GroupVersionResource, options metav1.ListOptions) ([]migrate.Object, error) {
	items, err := objects.List(ctx, client, resource, options)
	return contents(items), err
}

func contents(items []unstructured.Unstructured) (all []migrate.Object) {
	for _, item := range items {
		all = append(all, migrate.Object{Content: item.Object})
	}
	return all
}

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// clustersFile is the driver's ConfigMap, in whatever namespace it is.
func clustersFile(ctx context.Context, client dynamic.Interface) ([]migrate.Object, error) {
	found, err := readAll(ctx, client, configMaps, metav1.ListOptions{FieldSelector: "metadata.name=" + migrate.ClustersConfigMap})
	if err != nil {
		return nil, fmt.Errorf("look for the driver's ConfigMap %s: %w", migrate.ClustersConfigMap, err)
	}
	return found, nil
}

// FindDriver is the namespace of the driver's clusters file in a running cluster, or "".
func FindDriver(ctx context.Context, client dynamic.Interface) (string, error) {
	objects, err := clustersFile(ctx, client)
	return DriverNamespace(objects), err
}

// DriverNamespace is that of the driver's clusters file among the objects, or "".
func DriverNamespace(objects []migrate.Object) string {
	for _, o := range objects {
		u := unstructured.Unstructured{Object: o.Content}
		if u.GetKind() == "ConfigMap" && u.GetName() == migrate.ClustersConfigMap {
			return u.GetNamespace()
		}
	}
	return ""
}
