// SPDX-License-Identifier: Apache-2.0

package live

import (
	"context"
	"fmt"

	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/answers"
)

// ForDoctor reads the objects that doctor looks at: those of a bundle, of events the warnings of claims. What may not be read is a finding; that nothing can be is an error.
func ForDoctor(ctx context.Context, client dynamic.Interface) (objects []map[string]any, found []answers.Finding, err error) {
	for _, kind := range dumped {
		switch kind.resource {
		case classesOfAttributes:
			continue
		case events:
			kind.selector = "involvedObject.kind=PersistentVolumeClaim,type=Warning"
		}
		list, err := kind.read(ctx, client)
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
