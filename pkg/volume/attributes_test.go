// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func attributeLinks(t *testing.T, mountpoint string) []string {
	t.Helper()
	links, err := filepath.Glob(filepath.Join(mountpoint, ownDir, attributesDir, "??", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return links
}

func TestAnExpandedVolumeStaysSo(t *testing.T) {
	s, mountpoint := storeOf(t)
	create(t, s, spec("vol"))
	create(t, s, spec("other"))
	record, err := os.ReadFile(filepath.Join(mountpoint, recordFile("vol")))
	if err != nil {
		t.Fatal(err)
	}
	expand(t, s, "vol", 2<<30, 0, 2<<30)
	expand(t, s, "vol", 3<<30, 4<<30, 3<<30)
	expand(t, s, "vol", 3<<30, 3<<30, 3<<30)
	expand(t, s, "vol", 1<<30, 0, 3<<30) // "already larger than or equal to the target": CSI wants success
	isOf(t, s, "other", 1<<30)
	if _, err := s.Expand("vol", 1<<30, 2<<30); !errors.Is(err, ErrTooLarge) {
		t.Errorf("made smaller: %v", err)
	}
	if _, err := s.Expand("none", 1<<30, 0); !errors.Is(err, ErrNotFound) {
		t.Errorf("of a volume that is not there: %v", err)
	}
	if now, err := os.ReadFile(filepath.Join(mountpoint, recordFile("vol"))); err != nil || string(now) != string(record) {
		t.Errorf("the record has changed: %s, %v", now, err)
	}
	if links := attributeLinks(t, mountpoint); len(links) != 1 {
		t.Errorf("there are %q", links)
	}
	if r := create(t, s, spec("vol")); r.Capacity != 3<<30 {
		t.Errorf("its creation, repeated, says %d bytes", r.Capacity)
	}
	bounded := spec("vol")
	bounded.Limit = 2 << 30
	if _, err := s.Create(bounded); !errors.Is(err, ErrIncompatible) {
		t.Errorf("another creation: %v", err)
	}

	if err := s.Delete(background, "vol"); err != nil {
		t.Fatal(err)
	}
	entries, err := s.TrashEntries()
	if err != nil || len(entries) != 1 || entries[0].Record.Capacity != 3<<30 {
		t.Fatalf("in the trash is %v, %v", entries, err)
	}
	if r, err := s.Restore(entries[0].Name); err != nil || r.Capacity != 3<<30 {
		t.Fatalf("restored: %d bytes, %v", r.Capacity, err)
	}
	isOf(t, s, "vol", 3<<30)
	if err := s.Delete(background, "vol"); err != nil {
		t.Fatal(err)
	}
	create(t, s, spec("vol")) // of another life
	isOf(t, s, "vol", 1<<30)
	if _, err := s.Reap(background, -time.Hour); err != nil {
		t.Fatal(err)
	}
	if links := attributeLinks(t, mountpoint); len(links) != 0 {
		t.Errorf("left: %q", links)
	}
	same(t, audit(t, mountpoint), "ready other", "ready vol")
}

func TestAVolumeThatIsRetainedLeavesNoAttributes(t *testing.T) {
	s, mountpoint := storeOf(t)
	retained := spec("vol")
	retained.OnDelete = Retain
	create(t, s, retained)
	expand(t, s, "vol", 2<<30, 0, 2<<30)
	if err := s.Delete(background, "vol"); err != nil {
		t.Fatal(err)
	}
	if links := attributeLinks(t, mountpoint); len(links) != 0 {
		t.Errorf("left: %q", links)
	}
}

func TestOfManyThatExpandAtOnceTheLargestCounts(t *testing.T) {
	_, _, mountpoints := two(t, testcluster.VolumeOptions{Subvolumes: 2})
	create(t, open(t, mountpoints[0]), spec("vol"))
	var all sync.WaitGroup
	const each = 8
	for n, mountpoint := range mountpoints {
		s := open(t, mountpoint)
		all.Go(func() {
			for i := range int64(each) {
				required := 2<<30 + 2*i + int64(n)
				r, err := s.Expand("vol", required, 0)
				if errors.Is(err, ErrBusy) {
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
		isOf(t, open(t, mountpoint), "vol", 2<<30+2*each-1)
	}
	s := open(t, mountpoints[1])
	if err := s.Reconcile(background, unlocked); err != nil {
		t.Error(err)
	}
	same(t, audit(t, mountpoints[0]), "ready vol")
}

// A controller that stands still revives nothing when it goes on.
func TestAChangeOfAVolumeThatIsGoneMeanwhile(t *testing.T) {
	for what, gone := range map[string]func(s *Store) error{
		"reaped": func(s *Store) error {
			_, err := s.Reap(background, -time.Hour)
			return errors.Join(s.Delete(background, "vol"), err, func() error { _, err := s.Reap(background, -time.Hour); return err }())
		},
		"made again": func(s *Store) error {
			err := s.Delete(background, "vol")
			_, reapErr := s.Reap(background, -time.Hour)
			_, createErr := s.Create(spec("vol"))
			return errors.Join(err, reapErr, createErr)
		},
	} {
		t.Run(what, func(t *testing.T) {
			s, mountpoint := storeOf(t)
			create(t, s, spec("vol"))
			other := open(t, mountpoint)
			s.step = func(point string) {
				if point == stepChanging {
					if err := gone(other); err != nil {
						t.Error(err)
					}
				}
			}
			if _, err := s.Expand("vol", 2<<30, 0); !errors.Is(err, ErrNotFound) {
				t.Errorf("expanded: %v", err)
			}
			if what == "made again" {
				isOf(t, other, "vol", 1<<30)
			}
			if links := attributeLinks(t, mountpoint); len(links) != 0 {
				t.Errorf("left: %q", links)
			}
		})
	}
}

func putAttributes(t *testing.T, s *Store, r Record, generation int64, content string) {
	t.Helper()
	dir, err := s.home(attributesDir, r.ID)
	if err == nil {
		err = dir.Symlink(content, fmt.Sprintf("%s.%d", r.stamp(), generation))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestAttributesOfANewerDriver(t *testing.T) {
	s, mountpoint := storeOf(t)
	kept := create(t, s, spec("kept"))
	putAttributes(t, s, kept, 7, `{"minReader":1,"color":"red"}`)
	expand(t, s, "kept", 2<<30, 0, 2<<30)
	putAttributes(t, s, create(t, s, spec("refused")), 7, `{"minReader":2}`)
	links := attributeLinks(t, mountpoint)
	content, err := os.Readlink(filepath.Join(mountpoint, ownDir, attributesDir, shardOf("kept"), kept.stamp()+".8"))
	if err != nil || content != `{"capacity":2147483648,"color":"red","minReader":1}` {
		t.Errorf("the attributes are %s, %v; there are %q", content, err, links)
	}
	if _, err := s.Get("refused"); !errors.Is(err, ErrNewer) {
		t.Errorf("read: %v", err)
	}
	if _, err := s.Expand("refused", 2<<30, 0); !errors.Is(err, ErrNewer) {
		t.Errorf("expanded: %v", err)
	}
	page, err := s.List("", 10)
	if err != nil || len(page.Records) != 1 || !errors.Is(page.Damaged, ErrNewer) {
		t.Errorf("listed: %v, %v, %v", page.Records, page.Damaged, err)
	}
}

func TestAttributesOfNoVolumeAreFoundAndRemoved(t *testing.T) {
	s, mountpoint, _ := checkStore(t)
	gone := create(t, s, spec("gone"))
	damaged := create(t, s, spec("damaged"))
	expand(t, s, "gone", 2<<30, 0, 2<<30)
	if err := s.Delete(background, "gone"); err != nil {
		t.Fatal(err)
	}
	putAttributes(t, s, damaged, 1, "?")
	finds(t, s, true, "unreadable damaged") // the trash keeps those of its entries
	if _, err := s.Reap(background, -time.Hour); err != nil {
		t.Fatal(err)
	}
	putAttributes(t, s, gone, 3, "{}") // a server has forgotten the removal
	finds(t, s, true, "unreadable damaged", "stale-attributes gone")
	finds(t, s, false, "unreadable damaged")

	putAttributes(t, s, gone, math.MaxInt64-1, "{}")
	if err := s.Reconcile(background, unlocked); err != nil {
		t.Error(err)
	}
	if links := attributeLinks(t, mountpoint); len(links) != 1 {
		t.Errorf("left: %q", links)
	}
}
