// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volumes

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/creation"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/store"
)

// Audit looks at everything on the Gluster volume with fresh eyes. It returns what is
// there, sorted, and fails the test where data and records do not belong together.
func Audit(t *testing.T, mountpoint string) []string {
	t.Helper()
	s, closeStore, err := OpenStore(mountpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore()
	page, err := s.List("", 1000)
	if err := errors.Join(err, page.Damaged); err != nil {
		t.Error(err)
	}
	records := page.Records
	claims, err := s.Creations.HalfMadeOf("")
	if err != nil {
		t.Error(err)
	}
	for _, f := range page.Begun {
		claims = append(claims, creation.HalfMadeVolume(f))
	}
	entries, err := s.Entries("")
	if err != nil {
		t.Error(err)
	}
	gfids := map[string]string{} // by path
	var found []string
	err = filepath.WalkDir(mountpoint, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(mountpoint, path)
		if !d.IsDir() || rel == "." || rel == volume.OwnDir || filepath.Dir(rel) == volume.OwnDir && d.Name() != "commit" || filepath.Dir(filepath.Dir(rel)) == volume.OwnDir && len(d.Name()) == 2 {
			return nil
		}
		if rel == volume.OwnDir+"/commit" {
			return filepath.SkipDir
		}
		if kind := filepath.Base(filepath.Dir(filepath.Dir(rel))); kind == owndir.SnapshotsDir || kind == owndir.ClonesDir || kind == owndir.RemovingDir {
			return filepath.SkipDir // see auditCopies
		}
		if below, isOwn := strings.CutPrefix(rel, volume.OwnDir+"/"); isOwn && strings.Count(below, "/") > 2 { // within the data of a trash entry
			return filepath.SkipDir
		}
		gfid := make([]byte, 255)
		n, err := unix.Lgetxattr(path, "glusterfs.gfid.string", gfid)
		gfids[rel] = string(gfid[:n])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claims {
		found = append(found, "begun "+c.Name)
	}
	for _, r := range records {
		found = append(found, "ready "+r.ID)
		if want, err := s.RecordedGFID(r); err != nil || gfids[r.Path] != want {
			t.Errorf("a record without data: %s at %s, %v: the directory there has the gfid %q, not %s", r.ID, r.Path, err, gfids[r.Path], want)
		}
		if held, err := s.HolderOf(r.Path); err != nil || held.Stamp != r.Stamp() {
			t.Errorf("volume %s does not hold %s, but %q does, %v", r.ID, r.Path, held, err)
		}
		delete(gfids, r.Path)
	}
	for _, e := range entries {
		what := map[string]string{store.RecordSuffix: "trash ", store.DoomedSuffix: "doomed ", store.BackSuffix: "restoring ", store.HeldSuffix: "held "}[e.Suffix]
		found = append(found, what+e.Record.ID)
		path := strings.TrimPrefix(e.Dir.Name(), GV0.String()+"/") + "/" + e.Base
		if want, err := s.RecordedGFID(e.Record); err != nil || gfids[path] != want {
			t.Errorf("a trash entry without data: %s, %v", e.Name, err)
		}
		delete(gfids, path)
	}
	for path := range gfids {
		if strings.HasPrefix(path, volume.OwnDir) {
			t.Errorf("data without a record: %s", path)
			continue
		}
		found = append(found, "directory "+path)
	}
	found = append(found, auditCopies(t, mountpoint)...)
	auditPaths(t, mountpoint, records)
	auditAttributes(t, mountpoint, records, entries)
	slices.Sort(found)
	return found
}

// auditCopies returns the copies that there are, and fails the test where something belongs to none.
func auditCopies(t *testing.T, mountpoint string) (found []string) {
	t.Helper()
	own := filepath.Join(mountpoint, volume.OwnDir)
	for _, kind := range []string{owndir.SnapshotsDir, owndir.ClonesDir} {
		names, err := filepath.Glob(filepath.Join(own, kind, "??", "*"))
		if err != nil {
			t.Error(err)
		}
		stamps := map[string]bool{}
		names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(filepath.Base(name), ".") }) // see FirstNames
		for _, name := range names {
			id, isClaim := strings.CutSuffix(filepath.Base(name), store.RecordSuffix)
			if !isClaim {
				continue
			}
			content, err := os.Readlink(name)
			c, parseErr := volume.ParseCopy(content)
			if err := errors.Join(err, parseErr); err != nil || c.ID != id {
				t.Errorf("%s says %q, %v", name, content, err)
			}
			stamps[c.Stamp()] = true
			state := "begun"
			if _, err := os.Lstat(filepath.Join(filepath.Dir(name), c.Stamp()+".done")); err == nil {
				state = "complete"
			}
			found = append(found, fmt.Sprint(state, " in ", kind, ": ", id))
		}
		for _, name := range names {
			of := strings.TrimSuffix(filepath.Base(name), ".done")
			if !strings.HasSuffix(name, store.RecordSuffix) && !stamps[of] {
				t.Errorf("%s belongs to no copy", name)
			}
		}
	}
	removing, err := filepath.Glob(filepath.Join(own, owndir.RemovingDir, "??", "*"))
	if err != nil {
		t.Error(err)
	}
	for _, name := range removing {
		found = append(found, "removing "+filepath.Base(name))
	}
	return found
}

// auditPaths fails the test where a path is claimed by what is not there.
func auditPaths(t *testing.T, mountpoint string, records []volume.Record) {
	t.Helper()
	held := map[string]bool{}
	for _, r := range records {
		held[volume.PathClaimName(r.Path)] = true
	}
	claimed, err := filepath.Glob(filepath.Join(mountpoint, volume.OwnDir, owndir.PathsDir, "??", "*"))
	if err != nil {
		t.Error(err)
	}
	for _, claim := range claimed {
		name := filepath.Base(claim)
		if strings.HasPrefix(name, ".") { // see FirstNames
			continue
		}
		content, err := os.Readlink(claim)
		if err != nil {
			t.Error(err)
		}
		h, err := volume.ParsePathClaim(content)
		if err != nil || volume.PathClaimName(h.Path) != name {
			t.Errorf("path claim %s says %q, %v", claim, content, err)
		}
		_, statErr := os.Lstat(filepath.Join(mountpoint, h.Path))
		if !held[name] && (!h.Parent || statErr != nil) {
			t.Errorf("path claim %q is nobody's", content)
		}
	}
}

// auditAttributes fails the test where attributes are of nothing, or there are several of one volume.
func auditAttributes(t *testing.T, mountpoint string, records []volume.Record, entries []store.TrashEntry) {
	t.Helper()
	there := map[string]int{}
	for _, r := range records {
		there[r.Stamp()] = 1
	}
	for _, e := range entries {
		there[e.Record.Stamp()] = 1
	}
	links, err := filepath.Glob(filepath.Join(mountpoint, volume.OwnDir, owndir.AttributesDir, "??", "*"))
	if err != nil {
		t.Error(err)
	}
	for _, link := range links {
		if strings.HasPrefix(filepath.Base(link), ".") { // see FirstNames
			continue
		}
		stamp := strings.TrimSuffix(filepath.Base(link), filepath.Ext(link)) // the generation
		generation, err := strconv.Atoi(strings.TrimPrefix(filepath.Ext(link), "."))
		if there[stamp]--; err != nil || generation < 1 || there[stamp] < 0 {
			t.Errorf("attributes %s are nobody's, or of an earlier generation", link)
		}
	}
}

// FirstNames are what a kill has left of claims: the names under which their links were made. They are nobody's, and go
// with the reconciler.
func FirstNames(t *testing.T, mountpoint string) []string {
	t.Helper()
	own := filepath.Join(mountpoint, volume.OwnDir)
	flat, err := filepath.Glob(filepath.Join(own, "*", ".*"))
	spread, otherErr := filepath.Glob(filepath.Join(own, "*", "??", ".*"))
	Must(t, err, otherErr)
	return append(flat, spread...)
}

// Same fails the test unless Audit has found just that.
func Same(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("on the Gluster volume is %q, want %q", got, want)
	}
}

// OwnerOf is "uid:gid mode" of a file, no link followed.
func OwnerOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no stat")
	}
	return fmt.Sprintf("%d:%d %04o", st.Uid, st.Gid, st.Mode&0o7777)
}

// Directories are those of a brick, with their gfids.
func Directories(t *testing.T, brick string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(brick, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if d.Name() == ".glusterfs" {
			return fs.SkipDir
		}
		gfid := make([]byte, 16)
		_, err = unix.Lgetxattr(path, "trusted.gfid", gfid)
		found[strings.TrimPrefix(path, brick)] = hex.EncodeToString(gfid)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
