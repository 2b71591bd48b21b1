// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/kubeapi"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/startuptaint"
)

// newTaintRemover returns what takes the start-up taint off nodes.
func (d *Driver) newTaintRemover(ctx context.Context) *startuptaint.Remover {
	if d.options.StartupTaint == "" {
		return nil
	}
	api, err := kubeapi.New(d.options.StartupTaint)
	if err != nil {
		klog.FromContext(ctx).Error(err, "The start-up taint stays on nodes; all else goes on", "directory", d.options.StartupTaint)
		return nil
	}
	return startuptaint.New(d.options.Name, api)
}
