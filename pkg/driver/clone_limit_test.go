// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package driver

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// allocated is how many bytes the files below a directory of a brick take.
func allocated(t *testing.T, dir string) (bytes int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			return err
		}
		bytes += st.Blocks * 512
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}

// The source has more in it than its capacity, as one may that is held to nothing.
func TestACopyEndsAtTheLimitOfItsVolume(t *testing.T) {
	c, name, r := onLimitedVolume(t, testcluster.VolumeOptions{})
	const size, files = 20 * mib, 15
	v := r.createSized(size, "quota", "none")
	at := r.publish(v, "source")
	for i := range files {
		write(t, filepath.Join(at, string(rune('a'+i))), string(make([]byte, 4*mib))+"x")
	}
	r.unpublish(v, at)
	wanted := of(v)
	wanted.CapacityRange.RequiredBytes, wanted.CapacityRange.LimitBytes = size, 0
	testcluster.Eventually(t, time.Minute, func() error {
		_, err := r.tryCreate(wanted)
		return expect(err, codes.ResourceExhausted, "ask for more than 20.0 MiB")
	})
	held := allocated(t, filepath.Join(c.BrickPath(name, 0), volume.OwnDir, owndir.ClonesDir))
	t.Logf("%d MiB of %d were copied into %d", held/mib, 4*files, size/mib)
	if held == 0 || held > size+4*mib {
		t.Errorf("%d bytes were copied for a volume of %d", held, size)
	}
	more := of(v)
	more.CapacityRange.RequiredBytes, more.CapacityRange.LimitBytes = 80*mib, 0
	clone, err := r.tryCreate(more)
	if err != nil {
		t.Fatal(err)
	}
	target := r.publish(clone, "clone")
	showsSize(t, target, 80*mib)
	if written := fillUp(t, filepath.Join(target, "rest"), 80*mib); written > 80*mib-4*files*mib+4*mib {
		t.Errorf("%d bytes went into what is left", written)
	}
	for i := range files {
		if info, err := os.Stat(filepath.Join(target, string(rune('a'+i)))); err != nil || info.Size() != 4*mib+1 {
			t.Errorf("of file %d there is %v, %v", i, info, err)
		}
	}
	r.unpublish(clone, target)
}
