// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/trash"
)

// Notices are told what people who use a Gluster volume should know, as Maintain sees it. They return at once.
type Notices struct {
	// Quota: volumes that were held to their capacity are not any more, or are again.
	Quota func(v gluster.Volume, enforced bool, now quota.State)
	// TrashLow: space is so low that what was deleted goes before its time soon.
	TrashLow func(v gluster.Volume, low trash.Low)
	// Reports: what nodes say of their pods, each time that it was read, be it as before. Unless isAll, others have not
	// been read.
	Reports func(v gluster.Volume, reports []store.Report, isAll bool)
}

// Notify says who is told. It comes before everything else.
func (m *Manager) Notify(n Notices) { m.notices = n }

// lowOf is what the trash of a Gluster volume tells, or nil.
func (m *Manager) lowOf(v gluster.Volume) func(trash.Low) {
	if m.notices.TrashLow == nil {
		return nil
	}
	return func(low trash.Low) { m.notices.TrashLow(v, low) }
}

// tellQuota tells that limits hold no more, or again. That they never did since this process runs is no news.
func (m *Manager) tellQuota(v gluster.Volume, is string, state quota.State) {
	if is == quotaUnknown {
		return
	}
	was := &m.remember(v).quotaWas
	if m.notices.Quota != nil && *was != "" && (*was == quotaExact) != (is == quotaExact) {
		m.notices.Quota(v, is == quotaExact, state)
	}
	*was = is
}

// Report has the controller told what a node says of its pods, by the client with these options: see Notices. It is
// Store.SetReport, and waits as an operation does.
func (m *Manager) Report(ctx context.Context, v gluster.Volume, options []string, report store.Report) error {
	return m.run(ctx, v, options, "", func(_ context.Context, s *lifecycle.Volumes, _ *operation) error { return s.SetReport(report) })
}

// tellReports tells what nodes report.
func (m *Manager) tellReports(s *lifecycle.Volumes) error {
	if m.notices.Reports == nil {
		return nil
	}
	reports, isAll, err := s.Reports()
	m.notices.Reports(s.Volume, reports, isAll)
	return err
}
