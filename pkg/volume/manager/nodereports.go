// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

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
	reports, err := s.Reports()
	m.notices.Reports(s.Volume, reports)
	return err
}
