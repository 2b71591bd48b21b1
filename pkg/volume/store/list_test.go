// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package store_test

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestListReadsPagesInOrder(t *testing.T) {
	s, _ := volumes.OnGV0(t)
	var want []string
	for i := range 7 {
		name := fmt.Sprintf("v%d", i)
		volumes.Create(t, s, volumes.Spec(name))
		want = append(want, name)
	}
	slices.SortFunc(want, func(a, b string) int {
		return cmp.Or(cmp.Compare(volumes.ShardOf(a), volumes.ShardOf(b)), cmp.Compare(a, b))
	})
	var got []string
	pages := 0
	for after := ""; ; pages++ {
		page, err := s.List(after, 3)
		if err != nil || page.Damaged != nil {
			t.Fatal(err, page.Damaged)
		}
		for _, r := range page.Records {
			got = append(got, r.ID)
		}
		if page.Next == "" {
			break
		}
		after = page.Next
	}
	if strings.Join(got, " ") != strings.Join(want, " ") || pages != 2 {
		t.Errorf("got %q in %d pages", got, pages+1)
	}
}

func TestADamagedRecordIsNamedAndHidesNoOther(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("good"))
	volumes.Create(t, s, volumes.Spec("bad"))
	file := filepath.Join(mountpoint, volumes.RecordFile("bad"))
	for name, content := range map[string]string{"cut short": `{"schema": 2, "id": "bad"}`, "not JSON": "hello"} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			page, err := s.List("", 10)
			if err != nil || len(page.Records) != 1 || page.Records[0].ID != "good" {
				t.Errorf("%+v, %v", page, err)
			}
			volumes.Wants(t, page.Damaged, volume.ErrCorrupt, "bad.json")
			volumes.Wants(t, s.Delete(volumes.Background, "bad"), volume.ErrCorrupt)
		})
	}
	if _, err := os.Stat(filepath.Join(mountpoint, "bad")); err != nil {
		t.Error(err)
	}
}

// What cannot be read is no damage: a list without it would not be whole.
func TestAListThatCannotBeReadIsAnError(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("good"))
	bad := filepath.Join(mountpoint, volume.OwnDir, owndir.VolumesDir, "bad.json")
	unread := filepath.Join(mountpoint, volume.OwnDir, owndir.VolumesDir, "unread.json")
	if err := errors.Join(os.WriteFile(bad, []byte("x"), 0o600), os.Symlink("good.json", unread)); err != nil {
		t.Fatal(err)
	}
	page, err := s.List("", 10)
	if err == nil || page.Damaged == nil || len(page.Records) != 1 {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestTheDriversDirectoryMustBeRoots(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Must(t, os.Chown(filepath.Join(mountpoint, volume.OwnDir), 1001, 0))
	volumes.Wants(t, volumes.Open(t, mountpoint).Delete(volumes.Background, "vol"), volume.ErrForeign, volume.OwnDir)
}

func TestTheDriversDirectoryIsClosedToOthersAgain(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	own := filepath.Join(mountpoint, volume.OwnDir)
	volumes.Must(t, os.Chmod(own, 0o770), volumes.Open(t, mountpoint).Delete(volumes.Background, "vol"))
	if st, err := os.Stat(own); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("it is %v, %v", st, err)
	}
}

// A record that a disk has emptied is not told from that of a creation which was killed: what is in its directory
// stays.
func TestAnEmptiedRecordLosesNoData(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Recent, s.Abandoned = 0, 0
	volumes.Create(t, s, volumes.Spec("vol"))
	dear := filepath.Join(mountpoint, "vol", "dear")
	volumes.Must(t, os.WriteFile(dear, nil, 0o600), os.Truncate(filepath.Join(mountpoint, volumes.RecordFile("vol")), 0))
	volumes.Wants(t, s.Delete(volumes.Background, "vol"), volume.ErrForeign, "not empty")
	volumes.Wants(t, s.Reconcile(volumes.Background, volumes.Unlocked), volume.ErrForeign, "not empty")
	_, err := s.Create(volumes.Spec("vol"))
	volumes.Wants(t, err, volume.ErrForeign)
	if _, err := os.Stat(dear); err != nil {
		t.Error(err)
	}
}
