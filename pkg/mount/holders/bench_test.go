// SPDX-License-Identifier: Apache-2.0

//go:build !quick

package holders

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/programs"
)

// BenchmarkLook is one look at a node with 300 pods of two processes each, a shell and a child of it with three files each, beside
// what runs there anyway. Five of the pods hold the file system. It reports the processor time, and how many processes there are.
func BenchmarkLook(b *testing.B) {
	const pods, holding = 300, 5
	dir := b.TempDir()
	own := b.TempDir()
	if err := unix.Mount("look", dir, "tmpfs", 0, ""); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = mount.Detach(dir) })
	if err := os.WriteFile(filepath.Join(own, "log"), nil, 0o600); err != nil {
		b.Fatal(err)
	}
	for i := range pods {
		file := filepath.Join(own, "log")
		if i < holding {
			file = filepath.Join(dir, "log")
		}
		programs.Shell(b, fmt.Sprintf("exec 3>>%s 4<%s 5</etc/passwd 6<&0; cat <&6 & true", file, filepath.Join(own, "log")))
	}
	at := programs.MountOf(b, dir)
	wanted := Wanted{Devices: map[mount.Device]bool{at.Device: true}, Mounts: map[int]bool{at.ID: true}}
	l, err := NewLooker()
	if err != nil {
		b.Fatal(err)
	}
	before := usage(b)
	for b.Loop() {
		found, err := l.Look(b.Context(), wanted)
		if err != nil || len(found.Processes) < holding {
			b.Fatalf("%d processes, %v", len(found.Processes), err)
		}
	}
	b.ReportMetric(float64(usage(b)-before)/1e6/float64(b.N), "cpu-ms/look")
	pids, err := l.proc.processes()
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(pids)), "processes")
}

// usage is the processor time of this process, in nanoseconds.
func usage(b *testing.B) int64 {
	b.Helper()
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return r.Utime.Nano() + r.Stime.Nano()
}
