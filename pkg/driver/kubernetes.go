// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"sync/atomic"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/startuptaint"
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
		if api := apiServer(ctx, d.options.KubernetesIDFrom, "It is not known which Kubernetes cluster this is; nothing that is made belongs to it"); api != nil {
			ask = kubeapi.NewIdentity(api).Get
		}
	}
	if ask == nil {
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

// newTaintRemover returns what takes the start-up taint off nodes.
func (d *Driver) newTaintRemover(ctx context.Context) *startuptaint.Remover {
	api := apiServer(ctx, d.options.StartupTaint, "The start-up taint stays on nodes; all else goes on")
	if api == nil {
		return nil
	}
	return startuptaint.New(d.options.Name, api)
}

// askClaim asks Kubernetes for a claim.
type askClaim func(ctx context.Context, namespace, name string) (kubeapi.MadeClaim, error)

// newAskClaim is nil where nobody is to be asked.
func (d *Driver) newAskClaim(ctx context.Context) askClaim {
	api := apiServer(ctx, d.options.ClaimsFrom, "Class and labels of claims are not recorded")
	if api == nil {
		return nil
	}
	return api.GetClaim
}

// apiServer is what asks Kubernetes' API server as the files in a directory say; nil where nobody is to be asked, or
// they cannot be read: what is missing then is said in the log.
func apiServer(ctx context.Context, directory, missing string) *kubeapi.Client {
	if directory == "" {
		return nil
	}
	api, err := kubeapi.New(directory)
	if err != nil {
		klog.FromContext(ctx).Error(err, missing, "directory", directory)
		return nil
	}
	return api
}
