// SPDX-License-Identifier: Apache-2.0

package trash

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// Purging is how far Purge has come, for others to look at while it runs.
type Purging struct {
	Begun   atomic.Bool  // the entry cannot be restored any more
	Removed atomic.Int64 // files and directories
}

// Purge removes a trash entry now, data first. It blocks until all is gone or ctx is done;
// what is left then is not restorable any more, and goes with the next reaping. Errors:
// ErrNotFound, ErrHeld, and ErrBusy where it is just being deleted or restored.
func (s *Trash) Purge(ctx context.Context, name string, p *Purging) error {
	e, err := s.Entry(name)
	switch {
	case err != nil:
	case e.Held():
		err = fmt.Errorf("purge %s on %s: %w: release it first (`glusterfs-csi trash release`)", name, s.Volume, volume.ErrHeld)
	case ctx.Err() != nil:
		err = ctx.Err()
	default:
		err = s.reap(ctx, e, reaping{begun: func() { p.Begun.Store(true) }, removed: func() { p.Removed.Add(1) }})
		if err == nil {
			err = s.Commit()
		}
	}
	return s.Explain(err)
}
