// SPDX-License-Identifier: Apache-2.0

package nodereports

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// A server whose power went has forgotten the report, or that it was taken back, and nobody says so.
func TestAReportIsMadeAgainEachHour(t *testing.T) {
	for name, pods := range map[string][]store.Pod{"of a pod": {{UID: "1"}}, "taken back": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := gluster.Volume{Cluster: "pi", Name: "gv0"}
				r := &Reporter{reported: map[gluster.Volume]reported{}, next: map[gluster.Volume]time.Time{}}
				if !r.isDue(v, pods) {
					t.Error("what this process has not reported is not due")
				}
				r.reported[v] = reported{pods, time.Now()}
				for range repeated / interval {
					if r.isDue(v, pods) {
						t.Fatal("it is due again already")
					}
					if !r.isDue(v, []store.Pod{{UID: "2"}}) {
						t.Fatal("what is new is not due")
					}
					time.Sleep(interval)
				}
				if !r.isDue(v, pods) {
					t.Error("it is not due after an hour")
				}
				r.next[v] = time.Now().Add(interval)
				if r.isDue(v, pods) {
					t.Error("it is due at once after an error")
				}
			})
		})
	}
}
