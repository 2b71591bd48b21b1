// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"k8s.io/client-go/dynamic"

	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/inside"
	"github.com/glusterfs-csi/glusterfs-csi/cmd/kubectl-glusterfs/live"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/migrate"
)

// running is the driver of a cluster.
type running struct {
	client    dynamic.Interface
	namespace string
	pods      []inside.Pod
	run       inside.Run
}

// reach is for what there is of the driver in a cluster; nothing is asked yet.
func (c connection) reach(env Environment) (*running, error) {
	config, err := c.config()
	if err != nil {
		return nil, err
	}
	r := &running{run: env.Run}
	if r.run == nil {
		r.run = inside.Exec(config)
	}
	r.client, err = dynamic.NewForConfig(config)
	return r, err
}

// driver finds the running driver.
func (c connection) driver(ctx context.Context, env Environment) (*running, error) {
	r, err := c.reach(env)
	if err != nil {
		return nil, err
	}
	if r.namespace, err = live.FindDriver(ctx, r.client); err != nil {
		return nil, err
	}
	if r.namespace == "" {
		return nil, fmt.Errorf("the driver is not installed here: no namespace has a ConfigMap %s; see docs/install.md", migrate.ClustersConfigMap)
	}
	r.pods, err = inside.Pods(ctx, r.client, r.namespace)
	return r, err
}

// ask runs a command of glusterfs-csi in the controller.
func (r *running) ask(ctx context.Context, args ...string) ([]byte, error) {
	pod, err := inside.ReadyController(r.pods)
	if err != nil {
		return nil, err
	}
	output, err := r.run(ctx, pod, pod.Command(args...))
	var failed *inside.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %w", inside.ErrRefused, failed)
	}
	return output, err
}

// flag is what the controller's process has been given.
func (r *running) flag(name string) string {
	pod, err := inside.ReadyController(r.pods)
	if err != nil {
		return ""
	}
	return pod.Flag(name)
}

// driverName is its name in CSI.
func (r *running) driverName() string {
	return cmp.Or(r.flag("--driver-name"), migrate.DriverName)
}
