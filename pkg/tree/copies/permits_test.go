// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package copies

import (
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/permits"
)

var gv0 = gluster.Volume{Cluster: "pi", Name: "gv0"}

// With one permit in all: a call has it while a large file is being copied.
func TestALargeFileHoldsUpNoCall(t *testing.T) {
	b := newBench(t, t.TempDir())
	const size = 96 << 20
	b.write("src/large", strings.Repeat("glusterfs-csi 16", size/16))
	pool := permits.New(1, func() []gluster.Volume { return []gluster.Volume{gv0} })
	permit, err := pool.Acquire(background, gv0)
	must(t, err)
	checkpoints(t, 1<<20)
	o := b.options("copy", "")
	o.Permit, o.Progress = permit, &Progress{}
	var call sync.WaitGroup
	atStep(t, func(name string) {
		if name != "file made" {
			return
		}
		call.Go(func() {
			permit, err := pool.Acquire(background, gv0)
			if err != nil {
				t.Error(err)
				return
			}
			if s := o.Progress.Status(); s.Entries > 0 {
				t.Errorf("the call came when the file was done: %+v", s)
			}
			permit.Release()
		})
	})
	_, err = Copy(background, b.dir("src"), b.dir("copy"), o)
	must(t, err)
	permit.Release()
	call.Wait()
	b.same("copy")
}

// Also by workers that meet its names at the same time.
func TestAFileOfSeveralNamesIsCopiedOnce(t *testing.T) {
	b := newBench(t, t.TempDir())
	b.write("src/d0/large", strings.Repeat("glusterfs-csi 16", 1<<20))
	for _, path := range []string{"src/d1/l", "src/d2/l", "src/d3/l", "src/d0/l"} {
		must(t, os.MkdirAll(b.at(path[:6]), 0o755), os.Link(b.at("src/d0/large"), b.at(path)))
	}
	pool := permits.New(2, func() []gluster.Volume { return []gluster.Volume{gv0} })
	permit, err := pool.Acquire(background, gv0)
	must(t, err)
	o := b.options("copy", "")
	o.Permit = permit
	r, err := Copy(background, b.dir("src"), b.dir("copy"), o)
	must(t, err)
	permit.Release()
	if r.Written != 16<<20 {
		t.Errorf("%d bytes were written", r.Written)
	}
	b.same("copy")
	if n := pool.Counts(); len(n) != 0 && n[gv0] != (permits.Count{}) {
		t.Errorf("permits that are left: %+v", n)
	}
}
