// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/quota"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const mib = 1 << 20

// capacitySize is that of the volume which is filled to its end: small, as every MiB of it is synced by itself.
var capacitySize = flag.Int64("capacity.size", 20, "size in MiB of the volume that is filled")

// onLimitedVolume is a driver on a Gluster volume of its own whose quota is as docs/capacity.md says.
func onLimitedVolume(t *testing.T, options testcluster.VolumeOptions) (c *testcluster.Cluster, name string, r *rig) {
	t.Helper()
	c, name = ownVolume(t, options)
	runCommands(t, c, quota.State{}.Commands(gluster.Volume{Cluster: testcluster.Name, Name: name}))
	return c, name, serve(t, clustersYAML(c.Servers(), name))
}

// runCommands runs commands as an operator would who pastes them into a shell of a server.
func runCommands(t *testing.T, c *testcluster.Cluster, commands []string) {
	t.Helper()
	for _, command := range commands {
		words := strings.Fields(command)
		if words[0] != "gluster" {
			t.Fatalf("%q is no command for a server", command)
		}
		if _, err := c.Gluster(words[1:]...); err != nil {
			t.Fatal(err)
		}
	}
}

func (r *rig) createSized(size int64, parameters ...string) *csi.Volume {
	r.t.Helper()
	request := sized(newName(), size)
	request.Parameters = map[string]string{}
	for i := 0; i < len(parameters); i += 2 {
		request.Parameters[parameters[i]] = parameters[i+1]
	}
	v, err := r.tryCreate(request)
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// showsSize waits until a mount shows this size: a client may remember for a second what it knew.
func showsSize(t *testing.T, target string, size int64) {
	t.Helper()
	testcluster.Eventually(t, 30*time.Second, func() error {
		var st unix.Statfs_t
		if err := unix.Statfs(target, &st); err != nil {
			return err
		}
		if got := int64(st.Blocks) * st.Bsize; got != size {
			return fmt.Errorf("%s shows %d bytes, not %d", target, got, size)
		}
		return nil
	})
}

// fillUp writes MiB after MiB, each to disk, until it may not, and returns how many bytes were written.
func fillUp(t *testing.T, path string, most int64) int64 {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	block := make([]byte, mib)
	for written := int64(0); ; {
		n, err := f.Write(block)
		written += int64(n)
		if err == nil {
			err = f.Sync()
		}
		if errors.Is(err, unix.EDQUOT) {
			return written
		}
		if err != nil || written > most {
			t.Fatalf("after %d bytes: %v", written, err)
		}
	}
}

func TestAVolumeEndsAtItsCapacity(t *testing.T) {
	for layout, options := range map[string]testcluster.VolumeOptions{"replica 2": {}, "2×2": {Subvolumes: 2}} {
		t.Run(layout, func(t *testing.T) {
			_, _, r := onLimitedVolume(t, options)
			size, more := *capacitySize*mib, int64(20*mib)
			v, free := r.createSized(size), r.createSized(size, "quota", "none")
			target, other := r.publish(v, "pod"), r.publish(free, "other")
			showsSize(t, target, size)
			bricks := int64(2 * max(1, options.Subvolumes))
			written := fillUp(t, filepath.Join(target, "file"), size+3*more)
			t.Logf("%d MiB went into %d", written/mib, size/mib)
			if written > size+2*mib*bricks {
				t.Errorf("%d bytes went into a volume of %d", written, size)
			}
			write(t, filepath.Join(other, "file"), "its neighbour writes on")

			began := time.Now()
			if _, err := r.expand(v.GetVolumeId(), size+more, 0); err != nil {
				t.Fatal(err)
			}
			testcluster.Eventually(t, 30*time.Second, func() error { return os.WriteFile(filepath.Join(target, "more"), make([]byte, mib), 0o600) })
			t.Logf("a writer goes on %s after the expansion began", time.Since(began).Round(time.Millisecond))
			showsSize(t, target, size+more)
			if written += mib + fillUp(t, filepath.Join(target, "rest"), 3*more); written > size+more+2*mib*bricks {
				t.Errorf("%d bytes went into a volume of %d", written, size+more)
			}
			r.unpublish(v, target)
			r.unpublish(free, other)
		})
	}
}

func TestQuotaThatIsOff(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	r := serve(t, clustersYAML(c.Servers(), name))
	for _, choice := range []string{"none", "auto"} {
		v := r.createSized(20*mib, "quota", choice)
		target := r.publish(v, choice)
		write(t, filepath.Join(target, "file"), strings.Repeat("x", 21*mib))
		r.unpublish(v, target)
	}
	wanted := sized(newName(), 20*mib)
	wanted.Parameters = map[string]string{"quota": "enforced"}
	_, err := r.tryCreate(wanted)
	code(t, err, codes.FailedPrecondition, "gluster volume quota "+name+" enable")
	stored(t, c, name, wanted.GetName())
	var commands []string
	for _, quoted := range regexp.MustCompile("`([^`]*)`").FindAllStringSubmatch(status.Convert(err).Message(), -1) {
		commands = append(commands, quoted[1])
	}
	runCommands(t, c, commands)
	var v *csi.Volume
	testcluster.Eventually(t, 30*time.Second, func() (err error) { v, err = r.tryCreate(wanted); return err })
	target := r.publish(v, "enforced")
	showsSize(t, target, 20*mib)
	r.unpublish(v, target)
	// What was made before is not held to anything, and a repetition does not ask again.
	if _, err := c.Gluster("volume", "quota", name, "disable"); err != nil {
		t.Fatal(err)
	}
	if again, err := r.tryCreate(wanted); err != nil || again.GetVolumeId() != v.GetVolumeId() {
		t.Errorf("repeated: %v, %v", again, err)
	}
	_, err = r.tryCreate(&csi.CreateVolumeRequest{
		Name: newName(), Parameters: wanted.GetParameters(), VolumeCapabilities: wanted.GetVolumeCapabilities(),
	})
	code(t, err, codes.InvalidArgument, "needs a required capacity")
}

func TestARetainedDirectoryLosesItsLimit(t *testing.T) {
	c, name, r := onLimitedVolume(t, testcluster.VolumeOptions{})
	v := r.createSized(20*mib, "onDelete", "retain")
	code(t, r.delete(v), codes.OK)
	m, err := c.Mount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	write(t, filepath.Join(m.Path, nameOf(v), "file"), strings.Repeat("x", 25*mib))
}

// With quota, all limits are gone when it is turned off: the controller sets them again.
func TestLimitsAreBackAfterQuotaWasOff(t *testing.T) {
	c, name := ownVolume(t, testcluster.VolumeOptions{})
	commands := quota.State{}.Commands(gluster.Volume{Cluster: testcluster.Name, Name: name})
	runCommands(t, c, commands)
	dir := newDir(t)
	write(t, filepath.Join(dir, "clusters.yaml"), clustersYAML(c.Servers(), name))
	r := serveIn(t, dir)
	v := r.createSized(20 * mib)
	target := r.publish(v, "pod")
	showsSize(t, target, 20*mib)
	r.stop()
	runCommands(t, c, append([]string{"gluster volume quota " + name + " disable"}, commands...))
	r = serveIn(t, dir, monitored)
	showsSize(t, target, 20*mib)
	r.wantStatus("/metrics", http.StatusOK, fmt.Sprintf(`glusterfs_csi_limits_set_again_total{cluster=%q,volume=%q} 1`, testcluster.Name, name))
	r.unpublish(v, target)
}

func wantsAtLeast(target string, size int64) error {
	var st unix.Statfs_t
	err := unix.Statfs(target, &st)
	if got := int64(st.Blocks) * st.Bsize; err == nil && got < size {
		err = fmt.Errorf("%s shows %d bytes, less than %d", target, got, size)
	}
	return err
}

func wantsOwner(t *testing.T, path, want string) error {
	t.Helper()
	if got := owner(t, path); got != want {
		return fmt.Errorf("the owner of %s is %s, not %s", path, got, want)
	}
	return nil
}
