// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"fmt"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// TakeOver makes a volume of another Kubernetes cluster this process's, and says whether it was that one's: what is not stays as
// it is. It may be in use. What is taken over is on the disks of all bricks that are up. Errors: ErrBusy, and ErrNewer.
func (s *Volumes) TakeOver(id, from string) (bool, error) {
	f, _, err := s.lookReady(id)
	if errors.Is(err, volume.ErrNotFound) { // deleted meanwhile
		return false, nil
	}
	isDone := false
	if err == nil {
		isDone, err = s.Store.TakeOver(f.Record, from)
	}
	if err != nil {
		err = s.Explain(fmt.Errorf("take over volume %s on %s: %w", id, s.Volume, err))
	}
	return isDone, err
}
