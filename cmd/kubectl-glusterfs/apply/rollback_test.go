// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic/fake"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	u, err := decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// A backup tool, or Argo CD, has put its own on what a migration made: Kubernetes does not let the object go before that
// is removed.
func TestARollbackEndsAtAnObjectThatHasAForeignFinalizer(t *testing.T) {
	const (
		volume = `{"apiVersion":"v1","kind":"PersistentVolume","metadata":{"name":"pvc-1"}}`
		claim  = `{"apiVersion":"v1","kind":"PersistentVolumeClaim","metadata":{"name":"data","namespace":"shop"}}`
	)
	of := map[string]*record{
		"a volume":         {kind: ofVolume, of: "pvc-1", old: []byte(volume), new: []byte(volume)},
		"an inline volume": {kind: ofInline, of: "pvc-1", new: fmt.Appendf(nil, `{"apiVersion":"v1","kind":"List","items":[%s,%s]}`, volume, claim)},
	}
	deleted := metav1.NewTime(time.Unix(1, 0))
	for kind, r := range of {
		for state, at := range map[string]*metav1.Time{"there": nil, "deleted before": &deleted} {
			t.Run(kind+", "+state, func(t *testing.T) {
				r := *r
				r.name, r.state = recordName(r.kind, r.of), done
				made := object(t, volume)
				if r.kind == ofInline {
					made = object(t, claim)
				}
				mark(made, &r)
				made.SetFinalizers([]string{"kubernetes.io/pv-protection", claimProtection, "example.com/backup"})
				made.SetDeletionTimestamp(at)
				client := fake.NewSimpleDynamicClientWithCustomListKinds(runtime.NewScheme(), map[schema.GroupVersionResource]string{
					volumes: "PersistentVolumeList", claims: "PersistentVolumeClaimList", pods: "PodList", configMaps: "ConfigMapList",
				}, made, r.configMap("driver"))
				changes := 0
				a := &Applier{Client: client, Namespace: "driver", Say: t.Logf, Step: func(point string) error {
					if changes++; strings.HasPrefix(point, "delete ") || changes > 5 {
						return fmt.Errorf("change %d is %s", changes, point)
					}
					return nil
				}}
				err := a.Rollback(t.Context())
				if !errors.Is(err, ErrLeft) || !strings.Contains(err.Error(), made.GetKind()+" "+made.GetName()+" has the finalizer example.com/backup,") {
					t.Errorf("it ends with %v", err)
				}
			})
		}
	}
}
