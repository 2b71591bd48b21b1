// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/e2e/cache"
)

const downTimeout = 2 * time.Minute

// Down ends the cluster, removes all of it but its logs, and checks that nothing is left: the error is a list of what is. It works on
// whatever an Up that was killed has begun, and where there is nothing.
func Down(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, downTimeout)
	defer cancel()
	unlock, err := lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return plan().tearDown(ctx)
}

func (c *Cluster) tearDown(ctx context.Context) error {
	for _, m := range c.machines() {
		if err := m.stop(ctx); err != nil {
			return err
		}
	}
	if err := endAll(ctx, func() ([]process, error) { return processes(isBooting) }); err != nil {
		return err
	}
	if err := removeControlGroups(ctx, controlGroup()); err != nil {
		return err
	}
	if err := leftovers(); err != nil {
		return err
	}
	return errors.Join(changedSettings(), os.RemoveAll(cache.Path("run")))
}

// isBooting says whether a process would have become a machine's first.
func isBooting(p process) bool {
	return p.args[0] == bootTitle && strings.Contains(strings.Join(p.args[1:], ""), cache.Path("run"))
}
