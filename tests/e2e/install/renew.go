// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// IsThere says whether the driver is installed.
func IsThere(ctx context.Context, c *cluster.Cluster) (bool, error) {
	output, err := c.Kubectl(ctx, "get", "daemonset", "glusterfs-csi-node", "-n", Namespace, "--ignore-not-found", "-o", "name")
	return strings.Contains(output, "daemonset.apps/glusterfs-csi-node"), err
}

// Renew replaces all pods of an installed driver, and returns when the new ones are ready. Their image may have been imported again
// under the same name, which is no change that `kubectl apply` could see.
func Renew(ctx context.Context, c *cluster.Cluster) error {
	err := kubectl(ctx, c,
		rollout("restart", "daemonset/glusterfs-csi-node", "deployment/glusterfs-csi-controller"),
		rollout("status", "daemonset/glusterfs-csi-node"),
		rollout("status", "deployment/glusterfs-csi-controller"))
	if err != nil {
		return err
	}
	for _, node := range c.Nodes() {
		if err := kubectl(ctx, c, append([][]string{deleteMounter(node.Name)}, awaitMounter(node.Name)...)...); err != nil {
			return err
		}
	}
	return nil
}

// DeleteMounter deletes a node's mounter and returns when it has ended.
func DeleteMounter(ctx context.Context, c *cluster.Cluster, node string) error {
	return kubectl(ctx, c, deleteMounter(node))
}

// AwaitMounter returns when the next mounter of a node is ready.
func AwaitMounter(ctx context.Context, c *cluster.Cluster, node string) error {
	return kubectl(ctx, c, awaitMounter(node)...)
}

// The arguments of the commands by which docs/install.md updates the mounter.
func deleteMounter(node string) []string { return mounter("delete", node) }

func awaitMounter(node string) [][]string {
	return [][]string{
		append(mounter("wait", node), "--for", "create", "--timeout", "2m"), // without it, the next might find no pod yet, and fail
		append(mounter("wait", node), "--for", "condition=Ready", "--timeout", "2m"),
	}
}

func mounter(verb, node string) []string {
	return []string{"-n", Namespace, verb, "pod", "-l", "app.kubernetes.io/component=mounter", "--field-selector", "spec.nodeName=" + node}
}

func rollout(verb string, what ...string) []string {
	return append([]string{"rollout", verb, "-n", Namespace}, what...)
}

// kubectl runs commands, one after the other, to the first that fails.
func kubectl(ctx context.Context, c *cluster.Cluster, lines ...[]string) error {
	for _, line := range lines {
		if _, err := c.Kubectl(ctx, line...); err != nil {
			return err
		}
	}
	return nil
}
