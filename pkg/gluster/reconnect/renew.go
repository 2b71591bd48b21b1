// SPDX-License-Identifier: Apache-2.0

package reconnect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/client"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
)

// Renew starts another client in the place of the running one with this process ID, as clients are started now: with this process's programs, at the
// servers of the present clusters file. What is mounted from the old one is moved, and files that are open stay open there. Its error is
// ErrUnreachable where there is no such client, and where the new one does not have every brick that the old one has: then nothing is changed.
func Renew(ctx context.Context, host *client.Host, pid int) (client.Info, error) {
	all := host.Running()
	i := slices.IndexFunc(all, func(c *client.Client) bool { return c.Info().PID == pid })
	if i < 0 {
		return client.Info{}, fmt.Errorf("%w: process %d is no client of this host that new volumes are mounted from: it has ended, or was replaced", gluster.ErrUnreachable, pid)
	}
	var lacks []string
	by, err := host.Replace(ctx, all[i], func(now, trial *meta.Reading) bool {
		lacks = lacking(now, trial)
		return len(lacks) == 0
	})
	if err != nil {
		return client.Info{}, err
	}
	if by == nil {
		why := "it did not tell of its bricks"
		if len(lacks) > 0 {
			why = "it does not reach " + strings.Join(lacks, ", ")
		}
		return client.Info{}, fmt.Errorf("%w: %s: another client was started beside process %d, and ended, since %s; nothing is changed", gluster.ErrUnreachable, all[i].Volume(), pid, why)
	}
	return by.Info(), nil
}
