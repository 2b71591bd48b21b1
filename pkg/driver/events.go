// SPDX-License-Identifier: Apache-2.0

package driver

import (
	"context"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/events"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/health"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/manager"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
)

// The reasons of events that are no code of the health's. They are stable: people's alerts hang on them.
const (
	reasonQuotaNotEnforced = "QuotaNotEnforced"
	reasonQuotaEnforced    = "QuotaEnforced"
	reasonTrashEarly       = "TrashGoesEarly"
)

// outages are the reasons of the health's that are told, from the least on: each is over when neither it nor a worse
// one is there. What is not here is told by no event: it is of one client, and that of the controller is no pod's.
var outages = []struct{ code, recovered, was string }{
	{health.BrickUnreachable, "BrickReachable", "a brick does not answer"},
	{health.QuorumLost, "QuorumRegained", "too few bricks answer to read and write files"},
	{health.ClusterUnreachable, "ClusterReachable", "no brick and no server answers"},
}

// newEvents returns what says events, and has all that the controller sees told to it. Without it, all else is as with
// it.
func (d *Driver) newEvents(ctx context.Context) *events.Recorder {
	api := apiServer(ctx, d.options.Events, "Events are not written; all else goes on")
	if api == nil {
		return nil
	}
	r := events.New(d.options.Name, api, events.Object{Name: os.Getenv("POD_NAME"), UID: os.Getenv("POD_UID")})
	t := &healthTeller{tell: func(v gluster.Volume, e events.Event) { r.AboutVolumes(handlesOf(v), e) }, open: map[gluster.Volume]map[string]bool{}}
	d.health.Notify(t.changed)
	d.volumes.Notify(manager.Notices{
		Quota:    func(v gluster.Volume, enforced bool, now quota.State) { tellQuota(r, v, enforced, now) },
		TrashLow: func(v gluster.Volume, low trash.Low) { tellTrash(r, v, low) },
		Reports: (&podTeller{tell: func(v gluster.Volume, p store.Pod, e events.Event) {
			r.AboutPod(handlesOf(v), p.Namespace, p.Name, p.UID, e)
		}, told: map[gluster.Volume]map[string][]store.Pod{}}).tellNew,
	})
	return r
}

// handlesOf is what the handles of a Gluster volume's volumes begin with.
func handlesOf(v gluster.Volume) string { return v.String() + "/" }

// healthTeller says what is wrong with Gluster volumes, and when it is over.
type healthTeller struct {
	tell func(v gluster.Volume, e events.Event)
	open map[gluster.Volume]map[string]bool // codes that were told, and are not over
}

func (t *healthTeller) changed(_, now health.Report) {
	if t.open[now.Volume] == nil {
		t.open[now.Volume] = map[string]bool{}
	}
	open, worse := t.open[now.Volume], false // worse: what is there is as bad as this one, or worse
	for _, o := range slices.Backward(outages) {
		i := slices.IndexFunc(now.Reasons, func(reason health.Reason) bool { return reason.Code == o.code })
		worse = worse || i >= 0
		switch {
		case i >= 0:
			open[o.code] = true
			t.tell(now.Volume, events.Event{Type: events.Warning, Reason: o.code, Message: now.Reasons[i].Message + " (as the controller sees it)"})
		case open[o.code] && !worse:
			delete(open, o.code)
			t.tell(now.Volume, events.Event{
				Type: events.Normal, Reason: o.recovered, Message: fmt.Sprintf("%s: it is over that %s; it is %s now (as the controller sees it)", now.Volume, o.was, now.State),
			})
		}
	}
}

// podTeller says what nodes report of their pods, once. What could not be read this time was told before.
type podTeller struct {
	tell func(v gluster.Volume, p store.Pod, e events.Event)

	mu   sync.Mutex
	told map[gluster.Volume]map[string][]store.Pod // by node, what it reports
}

func (t *podTeller) tellNew(v gluster.Volume, reports []store.Report, isAll bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := map[string][]store.Pod{}
	if !isAll {
		maps.Copy(now, t.told[v])
	}
	for _, r := range reports {
		now[r.Node] = r.Pods
		for _, p := range r.Pods {
			if !slices.Contains(t.told[v][r.Node], p) {
				t.tell(v, p, events.Event{Type: events.Warning, Reason: p.Code, Message: p.Message})
			}
		}
	}
	t.told[v] = now
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
