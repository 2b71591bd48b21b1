// SPDX-License-Identifier: Apache-2.0

package splitbrain

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// strayAge is in units of what is abandoned, so a day: whoever settles a file may be killed, and repeat it the next
// morning.
const strayAge = 24

// RemoveStrays removes what attempts that were killed, and never repeated, have left in the driver's own directory,
// once this process has seen it unchanged for a day: decisions, and copies that are half written or have their name
// beside the file. What is written for so long changes. A file that was set aside since it was to get a name stays: it
// may be the only one with its content.
func RemoveStrays(s *store.Store) error {
	files, err := s.Files(workDir)
	errs := []error{err}
	seen := map[string]bool{}
	for _, f := range files {
		if strings.Count(f.Name, ".") > 1 {
			continue
		}
		state, err := strayState(f)
		if err == nil {
			seen[f.Name] = true
			if s.Memory.Splits.For(f.Name, state) >= strayAge*s.Abandoned {
				err = f.Dir.Unlink(f.Name)
			}
		}
		errs = append(errs, volume.IgnoreNotExist(err))
	}
	s.Memory.Splits.Keep(seen)
	return s.Explain(errors.Join(errs...))
}

// strayState is what changes of a file as long as somebody is at it.
func strayState(f owndir.File) (string, error) {
	st, err := f.Dir.StatEntry(f.Name)
	switch {
	case err != nil:
		return "", err
	case st.Mode&unix.S_IFMT == unix.S_IFDIR:
		return "", fs.ErrNotExist // not of this package
	case st.Nlink > 1: // a pod has the file by its other name
		return fmt.Sprint(st.Ino), nil
	}
	return fmt.Sprintf("%d %d %d.%d", st.Ino, st.Size, st.Mtim.Sec, st.Mtim.Nsec), nil
}
