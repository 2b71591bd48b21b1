// SPDX-License-Identifier: Apache-2.0

package manager

import (
	"context"
	"time"
)

// Identity says which Kubernetes cluster a process works for: the ID, or "" where that cannot be known. An error is of
// now, and a repetition may end otherwise.
type Identity func(ctx context.Context) (string, error)

// SetKubernetes says how to know whose what is made and deleted from here on is, and whose not (docs/two-clusters.md).
// It comes before everything else. Without, nothing belongs to anybody.
func (m *Manager) SetKubernetes(who Identity) { m.kubernetes = who }

// DefaultRetention is for how long deleted volumes are kept.
const DefaultRetention = 24 * time.Hour

// SetRetention says for how long what is deleted from here on is kept, and what was deleted by a driver that did not say
// it. It comes before everything else.
func (m *Manager) SetRetention(d time.Duration) { m.retention = d }

// Kubernetes is the ID of the Kubernetes cluster that this process works for, "" where it knows none.
func (m *Manager) Kubernetes(ctx context.Context) (string, error) {
	if m.kubernetes == nil {
		return "", nil
	}
	return m.kubernetes(ctx)
}
