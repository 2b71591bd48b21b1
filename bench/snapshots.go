// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/glusterfs-csi/glusterfs-csi/bench/chart"
	"github.com/glusterfs-csi/glusterfs-csi/bench/report"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

const (
	fairArchive    = "cp of coreutils, in archive mode, of the same directory on a mount of gv0; it syncs nothing and keeps no hashes"
	fairRsync      = "rsync in archive mode, of the same directory on a mount of gv0; it syncs nothing"
	fairFirst      = "the first snapshot of the same volume; one file of a hundred was changed since"
	fairNoCopy     = "the same application, of another volume of gv0, when nothing is copied"
	fairIdleCopier = "the same process before the copy, after one volume was made"
)

// snapshots measures snapshots and clones by CSI, until they are ready, what they cost an application beside them, and
// the memory of who makes them.
func snapshots(ctx context.Context, b *bench) (result report.Result, err error) {
	s := &snapshotting{bench: b, driver: b.driver}
	for _, tree := range []struct {
		name, what string
		least      float64 // aim
		fill       func(dir string) error
	}{
		{"large", fmt.Sprintf("%d MiB in 4 files", 4*b.sizes.fioMiB), 1.5, func(dir string) error { return fillLarge(dir, b.sizes.fioMiB) }},
		{"small", chart.Number(float64(2*b.sizes.files)) + " files", 4, func(dir string) error { return fill(dir, 2*b.sizes.files) }},
	} {
		v, err := s.plant(ctx, tree.name, tree.fill)
		if err != nil {
			return result, err
		}
		all, err := s.against(ctx, tree.name, v)
		if err != nil {
			return result, err
		}
		aim := report.Aim{AtLeast: tree.least}
		for i, fair := range []string{fairArchive, fairRsync} {
			for _, by := range all[:2] {
				result.Figures = append(result.Figures, by.under(all[2+i], by.name+" of "+tree.what, aim, fair))
			}
		}
	}
	for _, measure := range []func(context.Context) (report.Figure, error){s.second, s.beside, s.memory} {
		figure, err := measure(ctx)
		if err != nil {
			return result, err
		}
		result.Figures = append(result.Figures, figure)
	}
	return result, nil
}

// snapshotting has the volumes that are copied.
type snapshotting struct {
	*bench

	driver       *driver
	large, small *csi.Volume
}

// plant makes a volume and what is in it.
func (s *snapshotting) plant(ctx context.Context, name string, fill func(dir string) error) (*csi.Volume, error) {
	v, err := s.driver.Create(ctx, "snapshots-"+name)
	if err == nil {
		err = fill(rawPath(s.raw, v))
	}
	if name == "large" {
		s.large = v
	} else {
		s.small = v
	}
	return v, err
}

// against measures a snapshot and a clone of a volume beside what copies its directory. What was copied is deleted, so
// that each snapshot is the first one.
func (s *snapshotting) against(ctx context.Context, name string, v *csi.Volume) ([]series, error) {
	var snapshotter, cloner, cp, rsync meter
	tool := func(command ...string) func(context.Context, int) error {
		return func(ctx context.Context, n int) error {
			to := filepath.Join(s.raw.Path, fmt.Sprintf("%s-%s-%d", command[0], name, n))
			return run(exec.CommandContext(ctx, command[0], append(command[1:], rawPath(s.raw, v)+"/.", to)...))
		}
	}
	all, err := interleave(ctx, s.sizes.rounds,
		contender{"snapshot", chart.Seconds, 1, s.alone(snapshotter.timed(func(ctx context.Context, n int) error { return s.snapshot(ctx, v, fmt.Sprint(name, n)) }), name)},
		contender{"clone", chart.Seconds, 1, cloner.timed(func(ctx context.Context, n int) error {
			return s.clone(ctx, v, fmt.Sprintf("snapshots-%s-%d", name, n))
		})},
		contender{"cp -a", chart.Seconds, 1, cp.timed(tool("cp", "-a"))},
		contender{"rsync -a", chart.Seconds, 1, rsync.timed(tool("rsync", "-a"))},
	)
	for i, m := range []meter{snapshotter, cloner, cp, rsync} {
		if err == nil {
			all[i].processors = m.busy
		}
	}
	return all, err
}

// alone deletes each snapshot after it was measured.
func (s *snapshotting) alone(sample func(context.Context, int) (float64, error), name string) func(context.Context, int) (float64, error) {
	return func(ctx context.Context, n int) (float64, error) {
		took, err := sample(ctx, n)
		if err == nil {
			err = s.delete(ctx, fmt.Sprint(name, n))
		}
		return took, err
	}
}

// snapshot makes a snapshot and returns when it is ready.
func (s *snapshotting) snapshot(ctx context.Context, v *csi.Volume, name string) error {
	for {
		response, err := s.driver.Controller.CreateSnapshot(ctx, &csi.CreateSnapshotRequest{Name: name, SourceVolumeId: v.GetVolumeId()})
		if err != nil || response.GetSnapshot().GetReadyToUse() {
			return err
		}
	}
}

func (s *snapshotting) delete(ctx context.Context, name string) error {
	_, err := s.driver.Controller.DeleteSnapshot(ctx, &csi.DeleteSnapshotRequest{SnapshotId: testcluster.Name + "/" + gv0 + "/" + name})
	return err
}

func (s *snapshotting) clone(ctx context.Context, v *csi.Volume, name string) error {
	for {
		_, err := s.driver.Create(ctx, name, func(request *csi.CreateVolumeRequest) {
			request.VolumeContentSource = &csi.VolumeContentSource{Type: &csi.VolumeContentSource_Volume{
				Volume: &csi.VolumeContentSource_VolumeSource{VolumeId: v.GetVolumeId()},
			}}
		})
		if status.Code(err) != codes.Aborted {
			return err
		}
	}
}

// second measures a snapshot after another of the same volume, of which one file of a hundred was changed.
func (s *snapshotting) second(ctx context.Context) (report.Figure, error) {
	name := func(which string, n int) string { return fmt.Sprint(which, n) }
	seconds := newSeries("second snapshot", []int{1}, s.sizes.rounds)[0]
	seconds.unit = chart.Seconds
	first, err := interleave(ctx, s.sizes.rounds, contender{"first snapshot", chart.Seconds, 1, func(ctx context.Context, n int) (float64, error) {
		took, err := timed(func(ctx context.Context, n int) error { return s.snapshot(ctx, s.small, name("first", n)) })(ctx, n)
		for i := 0; err == nil && i < 2*s.sizes.files; i += 100 {
			at := filepath.Join(rawPath(s.raw, s.small), fmt.Sprintf("d%03d", i/perDirectory), fmt.Sprintf("f%05d", i))
			err = os.WriteFile(at, fmt.Appendf(nil, "changed %d\n", n), 0o644)
		}
		if err != nil {
			return 0, err
		}
		again, err := timed(func(ctx context.Context, n int) error { return s.snapshot(ctx, s.small, name("second", n)) })(ctx, n)
		seconds.rounds[n] = []float64{again}
		for _, which := range []string{"first", "second"} {
			if err == nil {
				err = s.delete(ctx, name(which, n))
			}
		}
		return took, err
	}})
	if err != nil {
		return report.Figure{}, err
	}
	what := "second snapshot of " + chart.Number(float64(2*s.sizes.files)) + " files, 1 % changed"
	return seconds.by(first[0], what, report.Aim{AtMost: 0.25}, fairFirst), nil
}

// beside measures how long an application waits for its data to be on disk, while another volume is copied and while
// none is.
func (s *snapshotting) beside(ctx context.Context) (report.Figure, error) {
	v, err := s.driver.Create(ctx, "snapshots-application")
	if err != nil {
		return report.Figure{}, err
	}
	target := s.target()
	if err := s.driver.Publish(ctx, v, target); err != nil {
		return report.Figure{}, err
	}
	alone := 0
	all, err := interleave(ctx, s.sizes.rounds,
		contender{"beside a copy", chart.Seconds, 1, func(ctx context.Context, n int) (float64, error) {
			name := fmt.Sprint("beside", n)
			done := make(chan error, 1)
			go func() { done <- s.snapshot(ctx, s.large, name) }()
			var waited []float64
			for {
				took, err := syncs(filepath.Join(target, "log"))
				select {
				case failed := <-done:
					if err == nil {
						err = failed
					}
					if err == nil {
						err = s.delete(ctx, name)
					}
					alone = max(alone, len(waited))
					return median(append(waited, took)), err
				default:
				}
				if err != nil {
					return 0, err
				}
				waited = append(waited, took)
			}
		}},
		contender{"alone", chart.Seconds, 1, func(context.Context, int) (float64, error) {
			var waited []float64
			for range max(alone, 20) {
				took, err := syncs(filepath.Join(target, "log"))
				if err != nil {
					return 0, err
				}
				waited = append(waited, took)
			}
			return median(waited), nil
		}},
	)
	if err != nil {
		return report.Figure{}, err
	}
	if err := s.driver.Unpublish(ctx, v, target); err != nil {
		return report.Figure{}, err
	}
	return all[0].by(all[1], "an application's write of 4 KiB and fsync", report.Aim{AtMost: 1.5}, fairNoCopy), nil
}

// syncs is how many seconds a write of 4 KiB at the end of a file takes until it is on disk.
func syncs(path string) (seconds float64, err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	began := time.Now()
	if _, err = file.Write(make([]byte, 4<<10)); err == nil {
		err = file.Sync()
	}
	return time.Since(began).Seconds(), err
}

// memory is the most that the process has while it copies many entries, against before. It is one that has done nothing
// else.
func (s *snapshotting) memory(ctx context.Context) (report.Figure, error) {
	v, err := s.plant(ctx, "many", func(dir string) error { return fill(dir, s.sizes.entries) })
	if err != nil {
		return report.Figure{}, err
	}
	if s.driver, err = startDriver(ctx, s.binary, s.path("copier"), s.path("clusters.yaml")); err != nil {
		return report.Figure{}, err
	}
	defer func() { _ = s.driver.Stop() }()
	if _, err := s.driver.Create(ctx, "snapshots-idle"); err != nil { // so that it has its client
		return report.Figure{}, err
	}
	before, err := rss(s.driver.PID())
	if err != nil {
		return report.Figure{}, err
	}
	done := make(chan error, 1)
	go func() { done <- s.snapshot(ctx, v, "many") }()
	most := before
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return flat(most, "copying").by(flat(before, "idle"), "memory (RSS) while "+chart.Number(float64(s.sizes.entries))+" files are copied", report.Aim{AtMost: 1.5}, fairIdleCopier), err
		case <-ticker.C:
			now, err := rss(s.driver.PID())
			if err != nil {
				return report.Figure{}, err
			}
			most = max(most, now)
		}
	}
}
