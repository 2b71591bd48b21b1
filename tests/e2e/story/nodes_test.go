// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cluster"
)

// on runs a command on a node, in the node's namespaces, and returns what it printed, which an error has, too.
func (s *step) on(node *cluster.Node, name string, args ...string) (string, error) {
	ctx, cancel := s.context(callTimeout)
	defer cancel()
	output, err := node.Command(ctx, name, args...).CombinedOutput()
	if err != nil {
		err = fmt.Errorf("on %s: %s %s: %w: %s", node.Name, name, strings.Join(args, " "), err, output)
	}
	return strings.TrimSpace(string(output)), err
}

// must is on, for what must succeed.
func (s *step) must(node *cluster.Node, name string, args ...string) string {
	s.Helper()
	output, err := s.on(node, name, args...)
	if err != nil {
		s.Fatal(err)
	}
	return output
}

// mounts lists the mount points of GlusterFS clients on a node.
func (s *step) mounts(node *cluster.Node) []string {
	s.Helper()
	var points []string
	for line := range strings.Lines(s.must(node, "cat", "/proc/self/mountinfo")) {
		if fields := strings.Fields(line); strings.Contains(line, " fuse.glusterfs ") && len(fields) > 4 {
			points = append(points, fields[4])
		}
	}
	return points
}

// hasNoMounts fails if the node still has a GlusterFS mount with this in its path: the name of a volume, or a pod's UID.
func (s *step) hasNoMounts(node *cluster.Node, part string) {
	s.Helper()
	for _, point := range s.mounts(node) {
		if strings.Contains(point, part) {
			s.Errorf("%s is still mounted on %s", point, node.Name)
		}
	}
}

// isHealed waits until each brick has what the other has.
func (s *step) isHealed() {
	s.Helper()
	s.await(patience, cluster.Volume+" is healed", func(context.Context) error {
		if _, err := s.on(s.Nodes()[0], "gluster", "--mode=script", "volume", "heal", cluster.Volume); err != nil {
			return err // the daemon that heals is not there yet
		}
		output, err := s.on(s.Nodes()[0], "gluster", "--mode=script", "volume", "heal", cluster.Volume, "info")
		if err == nil && strings.Count(output, "Number of entries: 0") != len(s.Nodes()) {
			err = fmt.Errorf("%s", output)
		}
		return err
	})
}
