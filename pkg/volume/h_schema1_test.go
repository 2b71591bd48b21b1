// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// makeSchema1 makes a volume as the first version of the driver did: marked, with a record that has no gfid.
func makeSchema1(t *testing.T, s *Store, id, path string) (stamp string) {
	t.Helper()
	if _, err := s.home(volumesDir, id); err != nil {
		t.Fatal(err)
	}
	created := time.Now().UTC()
	record := fmt.Sprintf(`{"schema": 1, "id": %q, "name": %q, "path": %q, "capacity": 1073741824, "owner": {}, "onDelete": "trash", "origin": "created", "created": %q}`,
		id, id, path, created.Format(time.RFC3339Nano))
	root := rootOf(s)
	stamp = stamped(id, created)
	for _, parent := range ancestors(path) {
		at := filepath.Join(root, parent)
		if err := os.Mkdir(at, 0o755); err == nil {
			if err := unix.Setxattr(at, "trusted.csi.parent", []byte("1"), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	at := filepath.Join(root, path)
	if err := errors.Join(
		os.Mkdir(at, 0o770), unix.Setxattr(at, markXattr, []byte(stamp), 0), unix.Chmod(at, 0o2770),
		os.WriteFile(filepath.Join(root, ownDir, volumesDir, id+recordSuffix), []byte(record), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	return stamp
}
