// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package splitbrain_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/lifecycle"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/splitbrain"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
	"github.com/glusterfs-csi/glusterfs-csi/tests/volumes"
)

func TestMain(m *testing.M) { testcluster.Main(m) }

// cut is a Gluster volume whose two servers have been apart: with a volume "app" and one beside it.
type cut struct {
	t       *testing.T
	cluster *testcluster.Cluster
	name    string
	record  volume.Record
	sides   [2]string // the volume's directory, by clients of one brick of each replica set
	sets    []splitbrain.Set

	starts func() // is called as a client starts that may settle
}

// newCut makes files before the cable is cut.
func newCut(t *testing.T, before map[string]string) *cut {
	t.Helper()
	return newCutOf(t, testcluster.VolumeOptions{}, before)
}

// newCutOf is newCut with replica sets of two bricks.
func newCutOf(t *testing.T, options testcluster.VolumeOptions, before map[string]string) *cut {
	t.Helper()
	c, name, mountpoint := volumes.NewGlusterVolume(t, options)
	volumes.Must(t, c.SetOption(name, "cluster.self-heal-daemon", "off")) // which may or may not come between
	s := volumes.Open(t, mountpoint)
	made := &cut{t: t, cluster: c, name: name, record: volumes.Create(t, s, volumes.Spec("app"))}
	volumes.Create(t, s, volumes.Spec("neighbour"))
	write(t, filepath.Join(mountpoint, "neighbour/file"), "the neighbour's")
	for path, content := range before {
		path = filepath.Join(mountpoint, "app", path)
		volumes.Must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		write(t, path, content)
	}
	for set := range c.Bricks(name) / 2 {
		bricks := make([]splitbrain.Brick, 2)
		for i := range bricks {
			bricks[i] = splitbrain.Brick{Translator: fmt.Sprintf("%s-client-%d", name, 2*set+i), Address: fmt.Sprintf("server%d:/brick", i)}
		}
		made.sets = append(made.sets, splitbrain.Set{Translator: fmt.Sprintf("%s-replicate-%d", name, set), Bricks: bricks})
	}
	for side := range made.sides {
		var nobody []string
		for _, other := range made.others(side) {
			nobody = append(nobody, "--xlator-option="+other+".remote-host="+c.Neighbour(230))
		}
		m, err := c.Mount(t.Context(), name, nobody...)
		volumes.Must(t, err)
		t.Cleanup(func() { volumes.Must(t, m.Close()) })
		for i := range c.Bricks(name) {
			if connected := testcluster.Connected(m.Path, name, i) == nil; connected != (i%2 == side) {
				t.Fatalf("side %d is connected to brick %d: %v", side, i, connected)
			}
		}
		made.sides[side] = filepath.Join(m.Path, "app")
	}
	return made
}

// others are the translators of the bricks that a side has not.
func (c *cut) others(side int) (all []string) {
	for _, set := range c.sets {
		all = append(all, set.Bricks[1-side].Translator)
	}
	return all
}

func write(t *testing.T, path, content string) {
	t.Helper()
	volumes.Must(t, os.WriteFile(path, []byte(content), 0o644))
}

// both writes a file on both sides.
func (c *cut) both(path, first, second string) {
	c.t.Helper()
	for side, content := range []string{first, second} {
		write(c.t, filepath.Join(c.sides[side], path), content)
	}
}

// root is what is seen by a client of its own, started as the driver's are.
func (c *cut) root(options ...string) string {
	c.t.Helper()
	m, err := c.cluster.Mount(c.t.Context(), c.name, gluster.Arguments(c.name, options)...)
	volumes.Must(c.t, err)
	c.t.Cleanup(func() { volumes.Must(c.t, m.Close()) })
	return m.Path
}

// after is the volume when the cable is whole again, as a driver sees it that knows nothing.
func (c *cut) after() (*splitbrain.Volume, *lifecycle.Volumes) {
	c.t.Helper()
	s := volumes.Open(c.t, c.root(gluster.ControllerOptions()...))
	open := func(options []string) (*safepath.Dir, func(), error) {
		root, err := safepath.OpenRoot(c.root(options...))
		if err != nil {
			return nil, nil, err
		}
		return root, root.Close, nil
	}
	v, err := splitbrain.Open(s.Store, c.record, splitbrain.Clients{
		Sets: c.sets,
		Settling: func(by gluster.Choice) (*safepath.Dir, func(), error) {
			if by != gluster.ByNobody && c.starts != nil {
				c.starts()
			}
			return open(gluster.SettlingOptions(by))
		},
		Side: func(i int) (*safepath.Dir, func(), error) { return open(gluster.OneSideOptions(c.others(i))) },
	})
	volumes.Must(c.t, err)
	c.t.Cleanup(v.Close)
	return v, s
}

func (c *cut) find(v *splitbrain.Volume) map[string]splitbrain.File {
	c.t.Helper()
	files, more, err := v.Find(c.t.Context(), 100)
	if err != nil || more != 0 {
		c.t.Fatalf("found %+v and %d more, %v", files, more, err)
	}
	byPath := map[string]splitbrain.File{}
	for _, f := range files {
		byPath[f.Path] = f
	}
	return byPath
}

func keep(t *testing.T, text string) splitbrain.Keep {
	t.Helper()
	k, err := splitbrain.ParseKeep(text)
	volumes.Must(t, err)
	return k
}

// has fails the test unless a pod that mounts the volume now finds these files in a directory of it, and no others.
func (c *cut) has(dir string, want map[string]string) {
	c.t.Helper()
	root := filepath.Join(c.root(), "app", dir)
	entries, err := os.ReadDir(root)
	volumes.Must(c.t, err)
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(root, e.Name()))
		if e.IsDir() {
			continue
		}
		if wanted, ok := want[e.Name()]; !ok || err != nil || string(content) != wanted {
			c.t.Errorf("%s is %q, %v, want %q", e.Name(), content, err, wanted)
		}
		delete(want, e.Name())
	}
	for name := range want {
		c.t.Errorf("%s is not there", name)
	}
}

// changedAt gives a file on one side a time, and with it its kept copy a name.
func (c *cut) changedAt(side int, path string, seconds int64) {
	c.t.Helper()
	at := unix.Timespec{Sec: seconds}
	volumes.Must(c.t, unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(c.sides[side], path), []unix.Timespec{at, at}, 0))
}

func kinds(files map[string]splitbrain.File) (all []string) {
	for path, f := range files {
		all = append(all, path+": "+string(f.Kind))
	}
	slices.Sort(all)
	return all
}
