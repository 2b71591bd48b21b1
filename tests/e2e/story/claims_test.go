// SPDX-License-Identifier: Apache-2.0

package story

import (
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func claimName(i int) string { return fmt.Sprintf("claim-%03d", i) }

// makeClaims makes this many claims at once, with the label story=many.
func (n *namespace) makeClaims(count int) {
	n.Helper()
	ctx, cancel := n.context(callTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for i := range count {
		wg.Go(func() {
			class := defaultClass
			claim := &corev1.PersistentVolumeClaim{
				ObjectMeta: metav1.ObjectMeta{Name: claimName(i), Labels: map[string]string{"story": "many"}},
				Spec: corev1.PersistentVolumeClaimSpec{
					AccessModes:      []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
					StorageClassName: &class,
					Resources:        corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
				},
			}
			if _, err := n.api.CoreV1().PersistentVolumeClaims(n.name).Create(ctx, claim, metav1.CreateOptions{}); err != nil {
				n.Error(err)
			}
		})
	}
	wg.Wait()
}
