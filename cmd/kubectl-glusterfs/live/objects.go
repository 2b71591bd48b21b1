// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// looked are the objects that doctor looks at.
var looked = []struct {
	group, version, resource string
	selector                 string // of fields
}{
	{"", "v1", "configmaps", "metadata.name=" + migrate.ClustersConfigMap},
	{"", "v1", "nodes", ""},
	{"", "v1", "persistentvolumes", ""},
	{"", "v1", "persistentvolumeclaims", ""},
	{"", "v1", "pods", ""},
	{"", "v1", "events", "involvedObject.kind=PersistentVolumeClaim,type=Warning"},
	{"apps", "v1", "deployments", ""},
	{"apps", "v1", "daemonsets", ""},
	{"storage.k8s.io", "v1", "csidrivers", ""},
	{"storage.k8s.io", "v1", "csinodes", ""},
	{"storage.k8s.io", "v1", "storageclasses", ""},
}

// ForDoctor reads them. What may not be read is a finding; that nothing can be is an error.
func ForDoctor(ctx context.Context, client dynamic.Interface) (objects []map[string]any, found []answers.Finding, err error) {
	for _, kind := range looked {
		resource := schema.GroupVersionResource{Group: kind.group, Version: kind.version, Resource: kind.resource}
		list, err := readAll(ctx, client, resource, metav1.ListOptions{FieldSelector: kind.selector})
		if err != nil && !isRefusal(err) {
			return nil, nil, fmt.Errorf("list %s: %w", kind.resource, err)
		}
		if err != nil {
			found = append(found, answers.Finding{Check: "rights", Severity: answers.Warning, About: kind.resource, Message: "they could not be looked at: " + err.Error(),
				Cure: "ask as somebody who may list them"})
		}
		for _, o := range list {
			objects = append(objects, o.Content)
		}
	}
	return objects, found, nil
}
