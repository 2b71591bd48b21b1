// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"sync/atomic"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
)

// newIdentity returns what says which Kubernetes cluster this process works for: as the options say, or as the API server does. What it
// was last is told to commands on this host. nil where it is to know none.
func (d *Driver) newIdentity(ctx context.Context) manager.Identity {
	var ask manager.Identity
	switch {
	case d.options.KubernetesID != "":
		ask = func(context.Context) (string, error) { return d.options.KubernetesID, nil }
	case d.options.KubernetesIDFrom != "":
		api, err := kubeapi.New(d.options.KubernetesIDFrom)
		if err != nil {
			klog.FromContext(ctx).Error(err, "It is not known which Kubernetes cluster this is; nothing that is made belongs to it",
				"directory", d.options.KubernetesIDFrom)
			return nil
		}
		ask = kubeapi.NewIdentity(api).Get
	default:
		return nil
	}
	var told atomic.Pointer[string]
	return func(ctx context.Context) (string, error) {
		id, err := ask(ctx)
		if was := told.Load(); err == nil && id != "" && (was == nil || *was != id) {
			err = d.host.StateDir().WriteKubernetes(id)
			if err == nil {
				told.Store(&id)
			}
		}
		return id, err
	}
}
