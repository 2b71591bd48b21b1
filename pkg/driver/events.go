// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"k8s.io/klog/v2"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/events"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/health"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
)

// The reasons of events that are no code of the health's. They are stable: people's alerts hang on them.
const (
	reasonQuotaNotEnforced = "QuotaNotEnforced"
	reasonQuotaEnforced    = "QuotaEnforced"
	reasonTrashEarly       = "TrashGoesEarly"
)

// recovered are the reasons that say that one of the health's is over. What is not here is told by no event: it is of one client,
// and that of the controller is no pod's.
var recovered = map[string]string{
	health.BrickUnreachable:   "BrickReachable",
	health.QuorumLost:         "QuorumRegained",
	health.ClusterUnreachable: "ClusterReachable",
}

// newEvents returns what says events, and has all that the controller sees told to it. Without it, all else is as with it.
func (d *Driver) newEvents(ctx context.Context) *events.Recorder {
	if d.options.Events == "" {
		return nil
	}
	r, err := events.New(d.options.Name, d.options.Events, events.Object{Name: os.Getenv("POD_NAME"), UID: os.Getenv("POD_UID")})
	if err != nil {
		klog.FromContext(ctx).Error(err, "Events are not written; all else goes on", "directory", d.options.Events)
		return nil
	}
	d.health.Notify(func(before, now health.Report) { tellHealth(r, before, now) })
	d.volumes.Notify(manager.Notices{
		Quota:    func(v gluster.Volume, enforced bool, now quota.State) { tellQuota(r, v, enforced, now) },
		TrashLow: func(v gluster.Volume, low trash.Low) { tellTrash(r, v, low) },
	})
	return r
}

// handlesOf is what the handles of a Gluster volume's volumes begin with.
func handlesOf(v gluster.Volume) string { return v.String() + "/" }

// tellHealth says what is wrong now, and what is well again.
func tellHealth(r *events.Recorder, before, now health.Report) {
	has := func(report health.Report, code string) bool {
		return slices.ContainsFunc(report.Reasons, func(reason health.Reason) bool { return reason.Code == code })
	}
	for _, reason := range now.Reasons {
		if recovered[reason.Code] != "" {
			r.AboutVolumes(handlesOf(now.Volume), events.Event{Type: events.Warning, Reason: reason.Code, Message: reason.Message + " (as the controller sees it)"})
		}
	}
	for code, reason := range recovered {
		if has(before, code) && !has(now, code) {
			r.AboutVolumes(handlesOf(now.Volume), events.Event{
				Type: events.Normal, Reason: reason, Message: fmt.Sprintf("%s: it is over that %s; its state is %s (as the controller sees it)", now.Volume, over[code], now.State),
			})
		}
	}
}

var over = map[string]string{
	health.BrickUnreachable:   "a brick does not answer",
	health.QuorumLost:         "too few bricks answer to read and write files",
	health.ClusterUnreachable: "no server answers",
}

func tellQuota(r *events.Recorder, v gluster.Volume, enforced bool, now quota.State) {
	if enforced {
		r.AboutVolumes(handlesOf(v), events.Event{Type: events.Normal, Reason: reasonQuotaEnforced, Message: fmt.Sprintf("%s: volumes end at their capacity again", v)})
		return
	}
	r.AboutVolumes(handlesOf(v), events.Event{
		Type: events.Warning, Reason: reasonQuotaNotEnforced,
		Message: fmt.Sprintf("%s: no volume ends at its capacity any more, since quota was changed; on one of its servers: %s", v, strings.Join(now.Commands(v), " && ")),
	})
}

// provisionedName is what the external-provisioner calls a PersistentVolume: after the UID of its claim.
var provisionedName = regexp.MustCompile(`^pvc-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$`)

// tellTrash says it to whom the volume was, by the claim that is gone, and to who looks after the driver.
func tellTrash(r *events.Recorder, v gluster.Volume, low trash.Low) {
	record := low.Next.Record
	name := volume.ID{Volume: v, ID: record.ID}.String()
	event := events.Event{Type: events.Warning, Reason: reasonTrashEarly, Message: fmt.Sprintf("%s: less than a tenth is free. Below 5 %% the oldest of %d deleted volumes goes before its time: %s, deleted %s. "+
		"To keep it: glusterfs-csi trash hold %s/%s, or add bricks", v, low.Waiting, name, low.Next.Deleted.UTC().Format("2006-01-02T15:04:05Z"), v, low.Next.Name)}
	r.Own(event)
	if of := record.MadeFor; of != nil && of.Namespace != "" && of.Claim != "" {
		uid := ""
		if match := provisionedName.FindStringSubmatch(record.Name); match != nil {
			uid = match[1]
		}
		r.About(events.Claim(of.Namespace, of.Claim, uid), event)
	}
}
