// SPDX-License-Identifier: Apache-2.0

package chaos

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/procfs"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/tests/testcluster"
)

// What a process may hold at the end beyond what it held early. The garbage collector lets memory vary by so much.
const (
	moreThreads = 8
	moreMemory  = 1.3
)

// held is what the driver holds, and what is left of it on gv0.
type held struct {
	services    map[string]process
	mounts      int // that are seen here
	directories int // at the top of gv0
	own         int // files of the driver on gv0
	trashed     int // those of them in the trash
}

// process is what one process of the driver holds.
type process struct {
	usage

	threads int
	memory  int // resident, in bytes
}

func (h *held) String() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h.services)) {
		p := h.services[name]
		fmt.Fprintf(&b, "%s: %v, %d threads, %d KiB\n", name, p.usage, p.threads, p.memory>>10)
	}
	fmt.Fprintf(&b, "%d mounts, %d directories on gv0, %d files of the driver there", h.mounts, h.directories, h.own)
	return b.String()
}

// awaitHeld waits until no more is held than before, or, where that is nil, until nothing is in the trash, and returns
// what is held then.
func (s *soak) awaitHeld(ctx context.Context, before *held) (*held, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute) // the controller's maintenance comes once a minute
	defer cancel()
	var now *held
	err := testcluster.Poll(ctx, func() error {
		var err error
		if now, err = s.held(ctx); err != nil {
			return err
		}
		if want := len(s.volumes) + 1; now.directories != want || now.trashed > 0 { // and the driver's own
			return fmt.Errorf("gv0 has %d directories, not %d, and %d files in the trash", now.directories, want, now.trashed)
		}
		if before != nil {
			return now.beyond(before)
		}
		return nil
	})
	return now, err
}

// beyond says what is more than before.
func (h *held) beyond(before *held) error {
	var errs []error
	for name, p := range h.services {
		b := before.services[name]
		if p.descriptors > b.descriptors+tolerance || p.goroutines > b.goroutines+tolerance || p.zombies > 0 ||
			p.threads > b.threads+moreThreads || float64(p.memory) > moreMemory*float64(b.memory) {
			errs = append(errs, fmt.Errorf("%s has %+v, and had %+v", name, p, b))
		}
	}
	if h.mounts > before.mounts || h.own > before.own {
		errs = append(errs, fmt.Errorf("there are %d mounts and %d files of the driver, and there were %d and %d", h.mounts, h.own, before.mounts, before.own))
	}
	return errors.Join(errs...)
}

func (s *soak) held(ctx context.Context) (*held, error) {
	h := &held{services: map[string]process{}}
	for node, d := range s.both() {
		for _, service := range d.services() {
			p, err := service.held(ctx)
			if err != nil {
				return nil, err
			}
			h.services[node+"'s "+service.name] = p
		}
	}
	all, err := mount.List()
	if err != nil {
		return nil, err
	}
	h.mounts = len(all)
	raw, err := s.cluster.Mount(ctx, gv0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = raw.Close() }() // a client more would be seen as a mount more next time
	top, err := os.ReadDir(raw.Path)
	if err != nil {
		return nil, err
	}
	h.directories = len(top)
	if h.own, err = files(filepath.Join(raw.Path, ".glusterfs-csi")); err == nil {
		h.trashed, err = files(filepath.Join(raw.Path, ".glusterfs-csi/trash"))
	}
	return h, err
}

// files counts what is no directory: those are places for what may come, and of them there is a fixed number.
func files(root string) (int, error) {
	count := 0
	err := filepath.WalkDir(root, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // the controller works
		}
		if err == nil && !e.IsDir() {
			count++
		}
		return err
	})
	return count, err
}

func (s *service) held(ctx context.Context) (process, error) {
	u, err := s.usage(ctx)
	if err != nil {
		return process{}, err
	}
	proc, err := procfs.NewProc(s.pid())
	if err != nil {
		return process{}, err
	}
	stat, err := proc.Stat()
	return process{usage: u, threads: stat.NumThreads, memory: stat.ResidentMemory()}, err
}
