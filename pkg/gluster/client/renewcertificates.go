// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
)

// renewal gives clients the certificates that their clusters have now. Connections that there are go on with what they
// have; GlusterFS reads certificates for each new one (TestCertificatesAreRenewedUnderAWriter). So nothing is ended, and
// clients of other clusters see nothing of it.
type renewal struct {
	host *Host
	told map[gluster.Volume]string // what was wrong at the last look
}

func newRenewal(h *Host) *renewal { return &renewal{host: h, told: map[gluster.Volume]string{}} }

func (r *renewal) round(ctx context.Context) {
	clusters, err := r.host.clusters.Current()
	if err != nil {
		return
	}
	for _, c := range r.host.Running() {
		cluster, err := clusters.Find(c.slot.volume)
		if err != nil || cluster.TLS == nil {
			continue
		}
		if err := c.renewCredentials(ctx, cluster.TLS); err != nil && !c.HasEnded() {
			if r.told[c.slot.volume] != err.Error() {
				c.slot.logger(ctx).Error(err, "A client keeps the certificates that it has; correct the Secret, it is read again by itself",
					"pid", c.process.PID)
			}
			r.told[c.slot.volume] = err.Error()
			continue
		}
		delete(r.told, c.slot.volume)
	}
}

func (c *Client) renewCredentials(ctx context.Context, t *gluster.TLS) error {
	set, err := credentials.Read(t.Directory(), t.SecretName)
	if err != nil {
		return err
	}
	changed, err := set.Renew(c.process.PID, c.process.IsRunning)
	if changed && err == nil {
		c.slot.logger(ctx).Info("Renewed the certificates of a client, for its next connections", "pid", c.process.PID,
			"secret", t.SecretName, "validUntil", set.Expires().UTC().Format(time.RFC3339))
	}
	return err
}
