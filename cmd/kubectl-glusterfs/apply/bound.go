// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// bound waits, if that is asked for, until each of the claims is Bound. Kubernetes' volume binder looks at a claim that
// was Lost every 15 seconds.
func (a *Applier) bound(ctx context.Context, wanted []claim) error {
	if !a.Wait {
		return nil
	}
	said := ""
	for {
		waiting, err := a.unbound(ctx, wanted)
		if err != nil || len(waiting) == 0 {
			return err
		}
		if now := strings.Join(waiting, ", "); now != said {
			a.Say("waiting for the volume binder: %s", now)
			said = now
		}
		if !pause(ctx) {
			return fmt.Errorf("not bound after as long as --timeout says: %s", said)
		}
	}
}

func (a *Applier) unbound(ctx context.Context, wanted []claim) ([]string, error) {
	var waiting []string
	for _, c := range wanted {
		found, err := a.Client.Resource(claims).Namespace(c.namespace).Get(ctx, c.name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if phase, _, _ := unstructured.NestedString(found.Object, "status", "phase"); phase != "Bound" {
			waiting = append(waiting, fmt.Sprintf("claim %s/%s is %s", c.namespace, c.name, phase))
		}
	}
	return waiting, nil
}
