// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/commit"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

var gv0 = gluster.Volume{Cluster: testcluster.Name, Name: "gv0"}

func TestMain(m *testing.M) {
	child()
	testcluster.Main(m)
}

// child does what this process was started for by a test, and does not return then.
var child = func() {}

var names atomic.Int64

// fresh is a Gluster volume of the test's own, seen through a client that the driver
// does not know.
func fresh(t *testing.T, options testcluster.VolumeOptions) (c *testcluster.Cluster, name, mountpoint string) {
	t.Helper()
	c = testcluster.Shared(t, testcluster.Options{})
	name = fmt.Sprintf("v%d", names.Add(1))
	if err := c.CreateVolume(name, options); err != nil {
		t.Fatal(err)
	}
	m, err := c.Mount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(m.Close(), c.StopVolume(name), c.DeleteVolume(name)); err != nil {
			t.Error(err)
		}
	})
	return c, name, m.Path
}

func open(t *testing.T, mountpoint string) *Store {
	t.Helper()
	s, closeStore, err := openStore(mountpoint)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeStore)
	return s
}

// openStore is the store of a driver that knows nothing, behind a mount point.
func openStore(mountpoint string) (s *Store, closeStore func(), err error) {
	c := commit.New()
	s, closeView, err := openWith(mountpoint, c)
	return s, func() { closeView(); c.Close() }, err
}

// openWith is openStore with a committer that others use, too.
func openWith(mountpoint string, c *commit.Committer) (s *Store, closeView func(), err error) {
	v, err := openView(gv0, mountpoint)
	if err != nil {
		return nil, nil, err
	}
	memory := newMemory(func(root *safepath.Dir) error {
		mount, err := mountOf(root)
		if err != nil {
			return err
		}
		defer mount.Close()
		return c.Commit(context.Background(), mount)
	})
	return newVolumes(newStore(v, memory, nil), &trashMemory{}, noPrivileged), v.close, nil
}

func noPrivileged() (*safepath.Dir, func(), error) {
	return nil, nil, fmt.Errorf("%w: there is no client here that sets limits", ErrInvalid)
}

// mountOf returns the root of the client's mount: a store of storeOf is in a directory of it.
func mountOf(root *safepath.Dir) (*safepath.Dir, error) {
	at, err := os.Readlink(fmt.Sprint("/proc/self/fd/", root.Fd()))
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(filepath.Base(at), storePrefix) {
		at = filepath.Dir(at)
	}
	return safepath.OpenRoot(at)
}

// shared is the one raw mount of gv0 that most tests use; the cluster's end ends it.
var shared struct {
	sync.Mutex
	path string
}

const storePrefix = "store-"

// storeOf is a store of the test's own, on gv0: a directory of it serves as well as the
// root of a Gluster volume, and is there at once.
func storeOf(t *testing.T) (*Store, string) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	if shared.path == "" {
		m, err := testcluster.Shared(t, testcluster.Options{}).Mount(context.Background(), "gv0")
		if err != nil {
			t.Fatal(err)
		}
		shared.path = m.Path
	}
	mountpoint := filepath.Join(shared.path, fmt.Sprint(storePrefix, names.Add(1)))
	if err := os.Mkdir(mountpoint, 0o755); err != nil {
		t.Fatal(err)
	}
	return open(t, mountpoint), mountpoint
}

func spec(name string) Spec {
	return Spec{Name: name, Path: name, Required: 1 << 30, OnDelete: Trash}
}

func create(t *testing.T, s *Store, spec Spec) Record {
	t.Helper()
	r, err := s.Create(spec)
	if err != nil {
		t.Fatalf("create %s: %v", spec.Name, err)
	}
	return r
}

// audit looks at everything on the Gluster volume with fresh eyes. It returns what is
// there, sorted, and fails the test where data and records do not belong together.
func audit(t *testing.T, mountpoint string) []string {
	t.Helper()
	s, closeStore, err := openStore(mountpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer closeStore()
	page, err := s.List("", 1000)
	if err := errors.Join(err, page.Damaged); err != nil {
		t.Error(err)
	}
	records := page.Records
	claims, err := s.begunBefore("")
	if err != nil {
		t.Error(err)
	}
	for _, f := range page.begun {
		claims = append(claims, begunVolume(f))
	}
	entries, err := s.entries("")
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
		if !d.IsDir() || rel == "." || rel == ownDir || filepath.Dir(rel) == ownDir && d.Name() != "commit" || filepath.Dir(filepath.Dir(rel)) == ownDir && isShard(d.Name()) {
			return nil
		}
		if rel == ownDir+"/commit" {
			return filepath.SkipDir
		}
		if below, isOwn := strings.CutPrefix(rel, ownDir+"/"); isOwn && strings.Count(below, "/") > 2 { // within the data of a trash entry
			return filepath.SkipDir
		}
		gfid := make([]byte, 255)
		n, err := unix.Lgetxattr(path, gfidXattr, gfid)
		gfids[rel] = string(gfid[:n])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claims {
		found = append(found, "begun "+c.name)
	}
	for _, r := range records {
		found = append(found, "ready "+r.ID)
		if want, err := s.recordedGFID(r); err != nil || gfids[r.Path] != want {
			t.Errorf("a record without data: %s at %s, %v: the directory there has the gfid %q, not %s", r.ID, r.Path, err, gfids[r.Path], want)
		}
		if held, err := s.holderOf(r.Path); err != nil || held.stamp != r.stamp() {
			t.Errorf("volume %s does not hold %s, but %q does, %v", r.ID, r.Path, held, err)
		}
		delete(gfids, r.Path)
	}
	for _, e := range entries {
		what := map[string]string{recordSuffix: "trash ", doomedSuffix: "doomed ", backSuffix: "restoring ", heldSuffix: "held "}[e.suffix]
		found = append(found, what+e.Record.ID)
		path := strings.TrimPrefix(e.dir.Name(), gv0.String()+"/") + "/" + e.Name
		if want, err := s.recordedGFID(e.Record); err != nil || gfids[path] != want {
			t.Errorf("a trash entry without data: %s, %v", e.Name, err)
		}
		delete(gfids, path)
	}
	for path := range gfids {
		if strings.HasPrefix(path, ownDir) {
			t.Errorf("data without a record: %s", path)
			continue
		}
		found = append(found, "directory "+path)
	}
	auditPaths(t, mountpoint, records)
	auditAttributes(t, mountpoint, records, entries)
	slices.Sort(found)
	return found
}

// auditPaths fails the test where a path is claimed by what is not there.
func auditPaths(t *testing.T, mountpoint string, records []Record) {
	t.Helper()
	held := map[string]bool{}
	for _, r := range records {
		held[pathName(r.Path)] = true
	}
	claimed, err := filepath.Glob(filepath.Join(mountpoint, ownDir, pathsDir, "??", "*"))
	if err != nil {
		t.Error(err)
	}
	for _, claim := range claimed {
		name := filepath.Base(claim)
		content, err := os.Readlink(claim)
		if err != nil {
			t.Error(err)
		}
		h, err := parseHolder(content)
		if err != nil || pathName(h.path) != name {
			t.Errorf("path claim %s says %q, %v", claim, content, err)
		}
		_, statErr := os.Lstat(filepath.Join(mountpoint, h.path))
		if !held[name] && (!h.parent || statErr != nil) {
			t.Errorf("path claim %q is nobody's", content)
		}
	}
}

// auditAttributes fails the test where attributes are of nothing, or there are several of one volume.
func auditAttributes(t *testing.T, mountpoint string, records []Record, entries []TrashEntry) {
	t.Helper()
	there := map[string]int{}
	for _, r := range records {
		there[r.stamp()] = 1
	}
	for _, e := range entries {
		there[e.Record.stamp()] = 1
	}
	links, err := filepath.Glob(filepath.Join(mountpoint, ownDir, attributesDir, "??", "*"))
	if err != nil {
		t.Error(err)
	}
	for _, link := range links {
		a, ok := parseAttributesFile(file{name: filepath.Base(link)})
		if there[a.stamp]--; !ok || there[a.stamp] < 0 {
			t.Errorf("attributes %s are nobody's, or of an earlier generation", link)
		}
	}
}

func same(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("on the Gluster volume is %q, want %q", got, want)
	}
}

func owner(t *testing.T, path string) string {
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

// put makes a volume of a directory that is there.
func put(t *testing.T, s *Store, r Record) {
	t.Helper()
	dir, err := s.root.Open(r.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	c, err := s.claim(r)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if _, err := s.claimPath(holder{stamp: r.stamp(), path: r.Path}); err != nil {
		t.Fatal(err)
	}
	if r.GFID, err = gfidOf(dir); err != nil {
		t.Fatal(err)
	}
	if err := c.complete(r); err != nil {
		t.Fatal(err)
	}
}

// recordFile is where the record of a volume is, below the mount point; trashFile where a file of an entry, claimFile where
// the claim of a path.
func recordFile(id string) string {
	return filepath.Join(ownDir, volumesDir, shard(id), id+recordSuffix)
}

func trashFile(entry string) string {
	return filepath.Join(ownDir, trashDir, shard(stampedID(entry)), entry)
}

func claimFile(path string) string {
	return filepath.Join(ownDir, pathsDir, shard(pathName(path)), pathName(path))
}

// creatingFile is where a file of a creation is that is taken back.
func creatingFile(stamp, suffix string) string {
	return filepath.Join(ownDir, creatingDir, shard(stampedID(stamp)), stamp+suffix)
}

var background = context.Background()

// unlocked lets Reconcile have every volume.
func unlocked(string) (func(), bool) { return func() {}, true }

// rootOf is a path of the Gluster volume's root for the test's own system calls.
func rootOf(s *Store) string { return fmt.Sprint("/proc/self/fd/", s.root.Fd()) }
