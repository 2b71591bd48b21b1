// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package store_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func attributeLinks(t *testing.T, mountpoint string) []string {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(mountpoint, volume.OwnDir, owndir.AttributesDir, "??", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return links
}

func TestAnExpandedVolumeStaysSo(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Create(t, s, volumes.Spec("other"))
	record, err := os.ReadFile(filepath.Join(mountpoint, volumes.RecordFile("vol")))
	if err != nil {
		t.Fatal(err)
	}
	volumes.Expand(t, s, "vol", 2<<30, 0, 2<<30)
	volumes.Expand(t, s, "vol", 3<<30, 4<<30, 3<<30)
	volumes.Expand(t, s, "vol", 3<<30, 3<<30, 3<<30)
	volumes.Expand(t, s, "vol", 1<<30, 0, 3<<30) // "already larger than or equal to the target": CSI wants success
	volumes.ShowsCapacity(t, s, "other", 1<<30)
	if _, err := s.Expand("vol", 1<<30, 2<<30); !errors.Is(err, volume.ErrTooLarge) {
		t.Errorf("made smaller: %v", err)
	}
	if _, err := s.Expand("none", 1<<30, 0); !errors.Is(err, volume.ErrNotFound) {
		t.Errorf("of a volume that is not there: %v", err)
	}
	if now, err := os.ReadFile(filepath.Join(mountpoint, volumes.RecordFile("vol"))); err != nil || string(now) != string(record) {
		t.Errorf("the record has changed: %s, %v", now, err)
	}
	if links := attributeLinks(t, mountpoint); len(links) != 1 {
		t.Errorf("there are %q", links)
	}
	if r := volumes.Create(t, s, volumes.Spec("vol")); r.Capacity != 3<<30 {
		t.Errorf("its creation, repeated, says %d bytes", r.Capacity)
	}
	bounded := volumes.Spec("vol")
	bounded.Limit = 2 << 30
	if _, err := s.Create(bounded); !errors.Is(err, volume.ErrIncompatible) {
		t.Errorf("another creation: %v", err)
	}

	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Fatal(err)
	}
	entries, err := s.Trash.TrashEntries()
	if err != nil || len(entries) != 1 || entries[0].Record.Capacity != 3<<30 {
		t.Fatalf("in the trash is %v, %v", entries, err)
	}
	if r, err := s.Trash.Restore(entries[0].Name); err != nil || r.Capacity != 3<<30 {
		t.Fatalf("restored: %d bytes, %v", r.Capacity, err)
	}
	volumes.ShowsCapacity(t, s, "vol", 3<<30)
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Fatal(err)
	}
	volumes.Create(t, s, volumes.Spec("vol")) // of another life
	volumes.ShowsCapacity(t, s, "vol", 1<<30)
	if _, err := s.Trash.Reap(volumes.Background, -time.Hour); err != nil {
		t.Fatal(err)
	}
	if links := attributeLinks(t, mountpoint); len(links) != 0 {
		t.Errorf("left: %q", links)
	}
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready other", "ready vol")
}

func TestAVolumeThatIsRetainedLeavesNoAttributes(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	retained := volumes.Spec("vol")
	retained.OnDelete = volume.Retain
	volumes.Create(t, s, retained)
	volumes.Expand(t, s, "vol", 2<<30, 0, 2<<30)
	if err := s.Delete(volumes.Background, "vol"); err != nil {
		t.Fatal(err)
	}
	if links := attributeLinks(t, mountpoint); len(links) != 0 {
		t.Errorf("left: %q", links)
	}
}

func TestOfManyThatExpandAtOnceTheLargestCounts(t *testing.T) {
	_, _, mountpoints := volumes.TwoClients(t, testcluster.VolumeOptions{Subvolumes: 2})
	volumes.Create(t, volumes.Open(t, mountpoints[0]), volumes.Spec("vol"))
	var all sync.WaitGroup
	const each = 8
	for n, mountpoint := range mountpoints {
		s := volumes.Open(t, mountpoint)
		all.Go(func() {
			for i := range int64(each) {
				required := 2<<30 + 2*i + int64(n)
				r, err := s.Expand("vol", required, 0)
				if errors.Is(err, volume.ErrBusy) {
					r, err = s.Expand("vol", required, 0)
				}
				if err != nil || r.Capacity < required {
					t.Errorf("expand to %d: %d, %v", required, r.Capacity, err)
				}
			}
		})
	}
	all.Wait()
	for _, mountpoint := range mountpoints {
		volumes.ShowsCapacity(t, volumes.Open(t, mountpoint), "vol", 2<<30+2*each-1)
	}
	s := volumes.Open(t, mountpoints[1])
	if err := s.Reconcile(volumes.Background, volumes.Unlocked); err != nil {
		t.Error(err)
	}
	volumes.Same(t, volumes.Audit(t, mountpoints[0]), "ready vol")
}

// A controller that stands still revives nothing when it goes on.
func TestAChangeOfAVolumeThatIsGoneMeanwhile(t *testing.T) {
	for what, gone := range map[string]func(s *lifecycle.Volumes) error{
		"reaped": func(s *lifecycle.Volumes) error {
			_, err := s.Trash.Reap(volumes.Background, -time.Hour)
			return errors.Join(s.Delete(volumes.Background, "vol"), err, func() error { _, err := s.Trash.Reap(volumes.Background, -time.Hour); return err }())
		},
		"made again": func(s *lifecycle.Volumes) error {
			err := s.Delete(volumes.Background, "vol")
			_, reapErr := s.Trash.Reap(volumes.Background, -time.Hour)
			_, createErr := s.Create(volumes.Spec("vol"))
			return errors.Join(err, reapErr, createErr)
		},
	} {
		t.Run(what, func(t *testing.T) {
			s, mountpoint := volumes.OnGV0(t)
			volumes.Create(t, s, volumes.Spec("vol"))
			other := volumes.Open(t, mountpoint)
			s.Step = func(point string) {
				if point == "change: attributes read" {
					if err := gone(other); err != nil {
						t.Error(err)
					}
				}
			}
			if _, err := s.Expand("vol", 2<<30, 0); !errors.Is(err, volume.ErrNotFound) {
				t.Errorf("expanded: %v", err)
			}
			if what == "made again" {
				volumes.ShowsCapacity(t, other, "vol", 1<<30)
			}
			if links := attributeLinks(t, mountpoint); len(links) != 0 {
				t.Errorf("left: %q", links)
			}
		})
	}
}

// A controller that stands still may find that the generation which it makes has been there, and is gone.
func TestAnExpansionThatStoodStillCounts(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	volumes.Create(t, s, volumes.Spec("vol"))
	other := volumes.Open(t, mountpoint)
	var once sync.Once
	s.Step = func(point string) {
		if point == "change: attributes read" {
			once.Do(func() {
				volumes.Expand(t, other, "vol", 2<<30, 0, 2<<30)
				volumes.Expand(t, other, "vol", 3<<30, 0, 3<<30)
			})
		}
	}
	volumes.Expand(t, s, "vol", 4<<30, 0, 4<<30)
	volumes.Same(t, volumes.Audit(t, mountpoint), "ready vol")
}

func putAttributes(t *testing.T, s *lifecycle.Volumes, r volume.Record, generation int64, content string) {
	t.Helper()
	dir, err := s.EnsureShard(owndir.AttributesDir, r.ID)
	if err == nil {
		err = dir.Symlink(content, fmt.Sprintf("%s.%d", r.Stamp(), generation))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAttributesOfANewerDriver(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	kept := volumes.Create(t, s, volumes.Spec("kept"))
	putAttributes(t, s, kept, 7, `{"minReader":1,"color":"red"}`)
	volumes.Expand(t, s, "kept", 2<<30, 0, 2<<30)
	putAttributes(t, s, volumes.Create(t, s, volumes.Spec("refused")), 7, `{"minReader":2}`)
	links := attributeLinks(t, mountpoint)
	content, err := os.Readlink(filepath.Join(mountpoint, volume.OwnDir, owndir.AttributesDir, volumes.ShardOf("kept"), kept.Stamp()+".8"))
	if err != nil || content != `{"capacity":2147483648,"color":"red","minReader":1}` {
		t.Errorf("the attributes are %s, %v; there are %q", content, err, links)
	}
	if _, err := s.Get("refused"); !errors.Is(err, volume.ErrNewer) {
		t.Errorf("read: %v", err)
	}
	if _, err := s.Expand("refused", 2<<30, 0); !errors.Is(err, volume.ErrNewer) {
		t.Errorf("expanded: %v", err)
	}
	page, err := s.List("", 10)
	if err != nil || len(page.Records) != 1 || !errors.Is(page.Damaged, volume.ErrNewer) {
		t.Errorf("listed: %v, %v, %v", page.Records, page.Damaged, err)
	}
}

func TestAttributesOfNoVolumeAreFoundAndRemoved(t *testing.T) {
	s, mountpoint, _ := volumes.OnGV0WithoutWaiting(t)
	gone := volumes.Create(t, s, volumes.Spec("gone"))
	damaged := volumes.Create(t, s, volumes.Spec("damaged"))
	volumes.Expand(t, s, "gone", 2<<30, 0, 2<<30)
	if err := s.Delete(volumes.Background, "gone"); err != nil {
		t.Fatal(err)
	}
	putAttributes(t, s, damaged, 1, "?")
	volumes.Finds(t, s, true, "unreadable damaged") // the trash keeps those of its entries
	if _, err := s.Trash.Reap(volumes.Background, -time.Hour); err != nil {
		t.Fatal(err)
	}
	putAttributes(t, s, gone, 3, "{}") // a server has forgotten the removal
	volumes.Finds(t, s, true, "unreadable damaged", "stale-attributes gone")
	volumes.Finds(t, s, false, "unreadable damaged")

	putAttributes(t, s, gone, math.MaxInt64-1, "{}")
	if err := s.Reconcile(volumes.Background, volumes.Unlocked); err != nil {
		t.Error(err)
	}
	if links := attributeLinks(t, mountpoint); len(links) != 1 {
		t.Errorf("left: %q", links)
	}
}

// A record on a brick that is away, or in a directory that is just healed, is not to be seen for a moment; days later once more.
func TestAttributesOfAVolumeThatIsMissedForAMomentTwiceStay(t *testing.T) {
	s, mountpoint := volumes.OnGV0(t)
	s.Abandoned = time.Nanosecond
	volumes.Create(t, s, volumes.Spec("vol"))
	volumes.Expand(t, s, "vol", 2<<30, 0, 2<<30)
	alone := func(_ string, do func() error) { volumes.Must(t, do()) }
	record, away := filepath.Join(mountpoint, volumes.RecordFile("vol")), filepath.Join(mountpoint, "away")
	for range 2 {
		volumes.Must(t, os.Rename(record, away), s.SettleAttributes(alone), os.Rename(away, record), s.SettleAttributes(alone))
	}
	volumes.ShowsCapacity(t, s, "vol", 2<<30)
	volumes.Must(t, os.Rename(record, away), s.SettleAttributes(alone), s.SettleAttributes(alone))
	if links := attributeLinks(t, mountpoint); len(links) > 0 {
		t.Errorf("missed for longer, they are there: %q", links)
	}
}
