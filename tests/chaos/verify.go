// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// numbers are the records that the writer was told are written.
func (c *writerProcess) numbers() []int {
	var numbers []int
	for _, e := range c.journal.entries {
		if e.Kind == acknowledged {
			numbers = append(numbers, e.Number)
		}
	}
	return numbers
}

// unknown is how many records the writer may have written or not.
func (c *writerProcess) unknown() int {
	n := 0
	for _, e := range c.journal.entries {
		if e.Kind == failed && (e.Call == "write" || e.Call == "fsync") {
			n++
		}
	}
	return n
}

// file is where the writer's file is below the Gluster volume's root.
func (w *world) file(c *writerProcess) string {
	return filepath.Join(w.volumes[c.id%len(w.volumes)].GetVolumeContext()["path"], fmt.Sprintf("writer-%03d", c.id))
}

// verify reads all that was written through a new client that the driver knows nothing of,
// and on each brick of the replica set that has it: all three have all.
func (w *world) verify(ctx context.Context) (err error) {
	fresh, err := w.cluster.Mount(ctx, gv0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	var errs []error
	for _, c := range w.writers {
		roots := map[string]string{"a new mount": fresh.Path}
		set, err := w.setOf(c)
		if err != nil {
			errs = append(errs, err)
		}
		for _, i := range set {
			roots[fmt.Sprintf("brick %d", i)] = w.cluster.BrickPath(gv0, i)
		}
		for where, root := range roots {
			var content []byte
			err := testcluster.Within(askTimeout, func() (err error) {
				content, err = os.ReadFile(filepath.Join(root, w.file(c)))
				return err
			})
			if err == nil {
				err = check(content, c.id, c.numbers(), c.unknown())
			}
			if err != nil {
				errs = append(errs, fmt.Errorf("writer %d on %s: %w", c.id, where, err))
			}
		}
	}
	return errors.Join(first(errs)...)
}
