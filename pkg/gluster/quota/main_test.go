// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package quota

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

// patience is how long a test waits for what should take milliseconds, on a machine that is busy with other tests.
const patience = 30 * time.Second

const mib = 1 << 20

// layouts are the Gluster volumes on which limits are tried.
var layouts = map[string]testcluster.VolumeOptions{"replica 2": {}, "2×2": {Subvolumes: 2}}

// side is a Gluster volume whose quota is on, with a client that may set limits and one that a pod has.
type side struct {
	t       *testing.T
	cluster *testcluster.Cluster
	volume  gluster.Volume
	bricks  int
	setter  *safepath.Dir // the root, by the privileged client
	pod     string        // the root, by an ordinary one
	made    int           // directories by directoryOf
}

// newSide makes a Gluster volume in the cluster that the tests of this package share.
func newSide(t *testing.T, options testcluster.VolumeOptions) *side {
	t.Helper()
	c := testcluster.Shared(t, testcluster.Options{})
	s := &side{t: t, cluster: c, volume: newVolume(t, c, options), bricks: 2 * max(1, options.Subvolumes)}
	s.run(State{}.Commands(s.volume))
	s.setter = s.mount(gluster.PrivilegedOptions()...)
	s.pod = s.mount().Name()
	return s
}

// newVolume makes a Gluster volume that has the test's name, more or less.
func newVolume(t *testing.T, c *testcluster.Cluster, options testcluster.VolumeOptions) gluster.Volume {
	t.Helper()
	v := gluster.Volume{Cluster: testcluster.Name, Name: fmt.Sprintf("gv%d", len(c.Volumes()))}
	if err := c.CreateVolume(v.Name, options); err != nil {
		t.Fatal(err)
	}
	return v
}

// run runs commands as an operator would who pastes them into a shell of a server.
func (s *side) run(commands []string) {
	s.t.Helper()
	for _, command := range commands {
		words := strings.Fields(command)
		if words[0] != "gluster" {
			s.t.Fatalf("%q is no command for a server", command)
		}
		if _, err := s.cluster.Gluster(words[1:]...); err != nil {
			s.t.Fatal(err)
		}
	}
}

// mount returns the root by a client with these options.
func (s *side) mount(options ...string) *safepath.Dir {
	s.t.Helper()
	m, err := s.cluster.Mount(s.t.Context(), s.volume.Name, gluster.Arguments(s.volume.Name, options)...)
	if err != nil {
		s.t.Fatal(err)
	}
	root, err := safepath.OpenRoot(m.Path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		root.Close()
		if err := m.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return root
}

// makeDirectory makes one by the pod's client and returns it held by that which sets limits.
func (s *side) makeDirectory(rel string) *Directory {
	s.t.Helper()
	if err := os.Mkdir(filepath.Join(s.pod, rel), 0o755); err != nil {
		s.t.Fatal(err)
	}
	return s.open(rel)
}

func (s *side) open(rel string) *Directory {
	s.t.Helper()
	dir, err := Open(s.setter, rel)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(dir.Close)
	return dir
}

// bind shows a directory elsewhere, as in a pod.
func (s *side) bind(rel string) string {
	s.t.Helper()
	root, err := safepath.OpenRoot(s.pod)
	if err != nil {
		s.t.Fatal(err)
	}
	defer root.Close()
	dir, err := root.Open(rel)
	if err != nil {
		s.t.Fatal(err)
	}
	defer dir.Close()
	target := s.t.TempDir()
	if err := mount.Bind(dir.Fd(), target, 0); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := mount.Detach(target); err != nil {
			s.t.Error(err)
		}
	})
	return target
}

func (s *side) set(dir *Directory, l Limit) {
	s.t.Helper()
	if err := dir.SetLimit(l); err != nil {
		s.t.Fatal(err)
	}
	if got, ok, err := dir.Limit(); err != nil || !ok || got != l {
		s.t.Fatalf("%+v was set, and %+v, %v, %v is read", l, got, ok, err)
	}
}

func (s *side) used(dir *Directory) Usage {
	s.t.Helper()
	used, err := dir.Usage()
	if err != nil {
		s.t.Fatal(err)
	}
	return used
}

// holdsTo fills the directory, by a pod's mount of it, with twice what it may hold, and wants the writer to end with
// EDQUOT at the limit.
func (s *side) holdsTo(dir *Directory, path string, l Limit) {
	s.t.Helper()
	err := fill(path, 2*l.Bytes)
	if !errors.Is(err, unix.EDQUOT) {
		s.t.Fatalf("the writer of twice the limit ended with %v", err)
	}
	used := s.used(dir).Bytes
	if most := l.Bytes + int64(s.bricks)*2*mib; used < l.Bytes/2 || used > most {
		s.t.Errorf("the writer ended at %.1f MiB of %d, want at most %d", float64(used)/mib, l.Bytes/mib, most/mib)
	}
	s.t.Logf("limit %d MiB, %d %%: ended at %.1f MiB", l.Bytes/mib, l.SoftPercent, float64(used)/mib)
}

// fill writes files of 4 MiB until there are this many bytes or an error comes.
func fill(dir string, bytes int64) error {
	const size = 4 * mib
	for i := range bytes / size {
		if err := writeFile(filepath.Join(dir, fmt.Sprintf("file-%d", i)), size); err != nil {
			return err
		}
	}
	return nil
}

// writeFile appends to a file, and syncs it after each MiB.
func writeFile(path string, bytes int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	block := make([]byte, mib)
	for range bytes / mib {
		if _, err = f.Write(block); err == nil {
			err = f.Sync()
		}
		if err != nil {
			break
		}
	}
	return errors.Join(err, f.Close())
}

// sizeShown is what df shows as the size.
func sizeShown(t *testing.T, path string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks) * st.Frsize
}

// storedOn returns nil if a brick has stored this limit for the directory at a path on it.
func storedOn(path string, l Limit) error {
	value := make([]byte, 64)
	n, err := unix.Getxattr(path, limitXattr+".1", value) // the first time that quota is on
	if err == nil && string(value[:n]) != l.encode() {
		err = fmt.Errorf("another limit: %x", value[:n])
	}
	if err != nil {
		return fmt.Errorf("on brick %s: %w", path, err)
	}
	return nil
}
