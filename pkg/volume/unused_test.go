// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"os"
	"path/filepath"
	"testing"
)

func TestWhatIsUnusedGoesUnlessSomethingIsInIt(t *testing.T) {
	s, mountpoint := storeOf(t)
	s.recent = 0
	for _, name := range []string{"empty", "full"} {
		create(t, s, spec(name))
	}
	cut(open(t, mountpoint), stepMade, func(s *Store) { _, _ = s.Create(spec("half")) })
	must(t, os.WriteFile(filepath.Join(mountpoint, "full", "dear"), nil, 0o600))
	must(t, s.deleteUnused(background, "empty"), s.deleteUnused(background, "half"), s.deleteUnused(background, "never"))
	wants(t, s.deleteUnused(background, "full"), ErrForeign, "another Gluster volume")
	same(t, audit(t, mountpoint), "ready full", "trash empty")
}
