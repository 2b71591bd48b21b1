// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"sync"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
)

// Used returns by ID how many bytes are used of these volumes, as `df` in their pods shows it. Left out are those that
// are held to no limit, of which only a walk would tell, and those whose limit is not in force. What is wrong with one
// is in the error, and holds up no other.
func (s *Volumes) Used(ctx context.Context, all []volume.Record) (map[string]int64, error) {
	var mu sync.Mutex
	found := map[string]int64{}
	err := permits.Each(ctx, s.Permit, all, func(r volume.Record) error {
		bytes, err := s.used(r)
		if err == nil && bytes >= 0 {
			mu.Lock()
			found[r.ID] = bytes
			mu.Unlock()
		}
		return err
	})
	return found, s.Explain(err)
}

// used is -1 where nothing is known. With quota-deem-statfs a client shows the limit of a directory as its size.
func (s *Volumes) used(r volume.Record) (int64, error) {
	if !r.Enforced {
		return -1, nil
	}
	dir, err := s.Root.Open(r.Path)
	if err != nil {
		return -1, volume.IgnoreNotExist(err) // which `volume check` is for
	}
	defer dir.Close()
	st, err := dir.Statfs()
	if err != nil || int64(st.Blocks)*st.Frsize > r.Capacity {
		return -1, err
	}
	return int64(st.Blocks-st.Bfree) * st.Frsize, nil
}
