// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/credentials"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/process"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/statedir"
)

// renewal gives clients the certificates that their clusters have now. Connections that there are go on with what they
// have; GlusterFS reads certificates for each new one (TestCertificatesAreRenewedUnderAWriter). So nothing is ended, and
// clients of other clusters see nothing of it.
type renewal struct {
	host  *Host
	told  map[statedir.Slot]string           // what was wrong at the last look
	given map[statedir.Slot]*credentials.Set // what those have that were clients of a slot before
}

func newRenewal(h *Host) *renewal {
	return &renewal{host: h, told: map[statedir.Slot]string{}, given: map[statedir.Slot]*credentials.Set{}}
}

func (r *renewal) round(ctx context.Context) {
	clusters, err := r.host.clusters.Current()
	if err != nil {
		return
	}
	for _, s := range r.host.allSlots() {
		cluster, err := clusters.Find(s.volume)
		if err != nil || cluster.TLS == nil {
			continue
		}
		c := from(&s.state, (*slotState).latest)
		err = r.renew(ctx, s, c, cluster.TLS)
		if err == nil {
			delete(r.told, s.dir)
		} else if c != nil && !c.HasEnded() {
			if r.told[s.dir] != err.Error() {
				s.logger(ctx).Error(err, "A client keeps the certificates that it has; correct the Secret, it is read again by itself",
					"pid", c.process.PID)
			}
			r.told[s.dir] = err.Error()
		}
	}
}

// renew is for the client of a slot, c, in each round, and for those before it that serve their last users, as soon as there is something new.
func (r *renewal) renew(ctx context.Context, s *slot, c *Client, t *gluster.TLS) error {
	set, err := credentials.Read(t.Directory(), t.SecretName)
	if err != nil {
		return err
	}
	renew := func(p *process.Process) error {
		changed, err := set.Renew(p.PID, p.IsRunning)
		if changed && err == nil {
			s.logger(ctx).Info("Renewed the certificates of a client, for its next connections", "pid", p.PID,
				"secret", t.SecretName, "validUntil", set.Expires().UTC().Format(time.RFC3339))
		}
		return err
	}
	if given := r.given[s.dir]; given == nil || !set.Equal(given) {
		if err := s.eachProcess(renew); err != nil {
			return err
		}
		r.given[s.dir] = set
	}
	if c == nil || c.HasEnded() {
		return nil
	}
	return renew(c.process)
}
