// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package creation_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestTheRecordOfAVolumeThatCannotBeRevokedIsReturned(t *testing.T) {
	for name, spoil := range map[string]func(record, claim string) error{
		"a record that cannot be read": func(record, _ string) error { return os.WriteFile(record, []byte("{"), 0o600) },
		"a claim that cannot be read":  func(_, claim string) error { return os.Symlink("?", claim) },
	} {
		t.Run(name, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			r := volumes.Create(t, s, volumes.Spec("vol"))
			aside, claim := filepath.Join(mountpoint, volumes.CreatingFile(r.Stamp(), store.RevokedSuffix)), filepath.Join(mountpoint, volumes.ClaimFile("vol"))
			volumes.Must(t, os.Remove(filepath.Join(mountpoint, "vol")), os.Remove(claim))
			s.Step = func(point string) {
				if point == "undo: claim renamed" {
					volumes.Must(t, spoil(aside, claim))
				}
			}
			volumes.Wants(t, s.Creations.Revoke(r), volume.ErrCorrupt)
			if _, err := os.Stat(filepath.Join(mountpoint, volumes.RecordFile("vol"))); err != nil {
				t.Errorf("the record is not in its place: %v", err)
			}
			if _, err := os.Stat(aside); !os.IsNotExist(err) {
				t.Errorf("it is aside: %v", err)
			}
		})
	}
}

func TestAVolumeOfANewerDriverIsNotRevoked(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	r := volumes.Create(t, s, volumes.Spec("vol"))
	file := filepath.Join(mountpoint, volumes.RecordFile("vol"))
	data, err := os.ReadFile(file)
	volumes.Must(t, err, os.Remove(filepath.Join(mountpoint, "vol")))
	newer := bytes.Replace(data, []byte(`"minWriter": 2`), []byte(`"minWriter": 3`), 1)
	volumes.Must(t, os.WriteFile(file, newer, 0o600))
	volumes.Wants(t, s.Creations.Revoke(r), volume.ErrNewer)
	if left, err := os.ReadFile(file); err != nil || !bytes.Equal(left, newer) {
		t.Errorf("the record is %q, %v", left, err)
	}
}
