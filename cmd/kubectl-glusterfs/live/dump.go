// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// listWithin bounds one list.
const listWithin = 15 * time.Second

// kind is one of objects.
type kind struct {
	group, version, resource string
	selector                 string // of fields
}

func (k kind) read(ctx context.Context, client dynamic.Interface) ([]migrate.Object, error) {
	resource := schema.GroupVersionResource{Group: k.group, Version: k.version, Resource: k.resource}
	return readAll(ctx, client, resource, metav1.ListOptions{FieldSelector: k.selector})
}

// dumped are the kinds of objects of which a support bundle is made. Secrets are not among them.
var dumped = []kind{
	{"", "v1", "configmaps", "metadata.name=" + migrate.ClustersConfigMap},
	{"", "v1", "nodes", ""},
	{"", "v1", "persistentvolumes", ""},
	{"", "v1", "persistentvolumeclaims", ""},
	{"", "v1", "pods", ""},
	{"", "v1", events, ""},
	{"apps", "v1", "deployments", ""},
	{"apps", "v1", "daemonsets", ""},
	{"storage.k8s.io", "v1", "csidrivers", ""},
	{"storage.k8s.io", "v1", "csinodes", ""},
	{"storage.k8s.io", "v1", "storageclasses", ""},
	{"storage.k8s.io", "v1", classesOfAttributes, ""},
}

const events, classesOfAttributes = "events", "volumeattributesclasses"

// ForDump reads them, all at once. What cannot be read is named.
func ForDump(ctx context.Context, client dynamic.Interface) (objects []map[string]any, missing []answers.DumpMissing) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, kind := range dumped {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, listWithin)
			defer cancel()
			list, err := kind.read(ctx, client)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				missing = append(missing, answers.DumpMissing{What: "objects/" + kind.resource, Why: err.Error()})
			}
			for _, o := range list {
				objects = append(objects, o.Content)
			}
		})
	}
	all.Wait()
	return objects, missing
}
