// SPDX-License-Identifier: Apache-2.0

package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// KubernetesDir has an empty file for each Kubernetes cluster whose controller works on the Gluster volume, its lease.
// The controller changes the file's time as long as it runs, and another one judges it by that change, on its own
// monotonic clock, as the leases of copies are judged. It says whether what belongs to the Kubernetes cluster may be
// taken over.
//
// The file is named <ID>.<n>, and the highest n counts. On replica 2 without quorum one brick may miss a renewal, and
// then the other: nobody can change that file's time any more, and the controller makes the next file.
const KubernetesDir = "kubernetes"

// A lease is renewed by a controller each LeaseRenewed, and nobody renews one that was seen unchanged for LeaseLasts.
const (
	LeaseRenewed = 30 * time.Second
	LeaseLasts   = 2 * time.Minute
)

// RenewLease renews the lease of this process's Kubernetes cluster, if it knows one. It is not forced to disk: what a
// server forgets is made again half a minute later. Where there is no directory for it and no room for one, it fails.
func (s *Store) RenewLease() error {
	if s.Kubernetes == "" {
		return nil
	}
	dir, err := s.EnsureOwnShard(KubernetesDir, s.Kubernetes)
	var numbers []int
	if err == nil {
		numbers, err = leaseNumbers(dir, s.Kubernetes)
	}
	if err != nil {
		return s.Explain(err)
	}
	last := slices.Max(append(numbers, 0))
	if last > 0 {
		err = renewLease(dir, leaseName(s.Kubernetes, last))
	}
	if last == 0 || cannotBeRenewed(err) {
		err = makeLease(dir, leaseName(s.Kubernetes, last+1))
	}
	if len(numbers) > 1 {
		s.removeLeases(dir, numbers, last)
	}
	return s.Explain(err)
}

// removeLeases removes the leases before the last, which was made at an earlier renewal. What cannot be removed hinders
// nothing, and is tried again.
func (s *Store) removeLeases(dir *safepath.Dir, numbers []int, last int) {
	if s.Commit() != nil { // a server that forgot the last one would have none
		return
	}
	for _, n := range numbers {
		if n != last {
			_ = dir.Unlink(leaseName(s.Kubernetes, n))
		}
	}
}

func renewLease(dir *safepath.Dir, name string) error {
	file, err := dir.OpenFile(name, unix.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return renewAndClose(file)
}

func makeLease(dir *safepath.Dir, name string) error {
	file, err := dir.OpenFile(name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process of this Kubernetes cluster was faster
		return renewLease(dir, name)
	}
	if err != nil {
		return err
	}
	return renewAndClose(file)
}

func renewAndClose(file *os.File) error {
	now := unix.NsecToTimespec(time.Now().UnixNano())
	return errors.Join(safepath.OfFile(file).SetTimes(now, now), file.Close())
}

// cannotBeRenewed is whether a lease is in split-brain (EIO), was half made by a brick that was full (ESTALE), or was
// removed, as there is the next one.
func cannotBeRenewed(err error) bool {
	return errors.Is(err, unix.EIO) || errors.Is(err, unix.ESTALE) || errors.Is(err, fs.ErrNotExist)
}

func leaseName(kubernetes string, number int) string { return kubernetes + "." + strconv.Itoa(number) }

// leaseNumbers are those of the leases of a Kubernetes cluster that there are.
func leaseNumbers(dir *safepath.Dir, kubernetes string) ([]int, error) {
	names, err := dir.Names(0)
	var numbers []int
	for _, name := range names {
		number, _ := strings.CutPrefix(name, kubernetes+".")
		if n, err := strconv.Atoi(number); err == nil && n > 0 && name == leaseName(kubernetes, n) {
			numbers = append(numbers, n)
		}
	}
	return numbers, err
}

// Lease is what a look at the lease of a Kubernetes cluster has found.
type Lease struct {
	There bool // else its controller has never worked here, or was of a version that had no lease
	// Unchanged is for how long this process has seen it as it is; 0 where it has changed since the look before, or there was none.
	Unchanged time.Duration
}

// LookAtLease looks at the lease of a Kubernetes cluster. It is ErrSplitBrain where nobody can say whether that is renewed.
func (s *Store) LookAtLease(kubernetes string) (Lease, error) {
	dirs, err := s.ExistingShards(KubernetesDir, kubernetes)
	if err != nil {
		return Lease{}, s.Explain(err)
	}
	for _, dir := range dirs {
		numbers, err := leaseNumbers(dir, kubernetes)
		if err != nil {
			return Lease{}, s.Explain(err)
		}
		if len(numbers) > 0 {
			return s.lookAtLease(dir, kubernetes, slices.Max(numbers))
		}
	}
	return Lease{}, nil
}

func (s *Store) lookAtLease(dir *safepath.Dir, kubernetes string, number int) (Lease, error) {
	name := leaseName(kubernetes, number)
	err := dir.Refresh(name) // a lookup alone gives times for what is in split-brain, too
	var st unix.Stat_t
	if err == nil {
		st, err = dir.StatEntry(name)
	}
	switch {
	case errors.Is(err, unix.EIO):
		return Lease{}, fmt.Errorf("the lease of Kubernetes cluster %s cannot be read: a controller that runs makes "+
			"another within %s; if none does and it is in split-brain, `gluster volume heal %s split-brain source-brick "+
			"HOST:BRICK /%s` settles it, with any of its bricks: %w",
			kubernetes, LeaseRenewed, s.Volume.Name, s.PathOf(owndir.File{Dir: dir, Name: name}), s.Explain(err))
	case cannotBeRenewed(err): // it was removed since the list was read, as there is another
		return Lease{There: true}, nil
	case err != nil:
		return Lease{}, s.Explain(err)
	}
	state := fmt.Sprint(number, " ", st.Mtim.Sec, ".", st.Mtim.Nsec)
	return Lease{true, s.Memory.Kubernetes.For(kubernetes, state)}, nil
}

// TakeOver makes a volume that belongs to another Kubernetes cluster this process's, and says whether it was that one's. It may be
// in use. What was taken over is on the disks of all bricks that are up when it returns.
func (s *Store) TakeOver(r volume.Record, from string) (bool, error) {
	now, err := s.Current(r)
	if err != nil || now.Kubernetes != from {
		return false, err
	}
	isDone := false
	_, err = s.ChangeAttributes(r, nil, Change{To: func(a *volume.Attributes) error {
		if isDone = a.ApplyTo(r).Kubernetes == from; isDone { // what another has set meanwhile counts
			a.Kubernetes = s.Kubernetes
		}
		return nil
	}, Apply: OnlyCommit})
	if errors.Is(err, volume.ErrNotFound) { // deleted meanwhile
		return false, nil
	}
	return isDone, err
}

// TakeOverEntry does the same with a trash entry, which is kept for as long as who deleted it has said, and with the volume that it
// becomes when it is restored.
func (s *Store) TakeOverEntry(name, from string) (bool, error) {
	e, err := s.Entry(name)
	if errors.Is(err, volume.ErrNotFound) { // restored or removed meanwhile
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r := e.Record
	if err := r.CheckWritable(); err != nil {
		return false, err
	}
	if err := s.Amend(&e); err != nil || e.Kubernetes() != from || e.Suffix == DoomedSuffix {
		return false, err
	}
	isDone := false
	_, err = s.ChangeAttributes(r, nil, Change{To: func(a *volume.Attributes) error {
		isDone = true
		a.Deleted = &volume.Deleted{Entry: e.Name, Kubernetes: s.Kubernetes}
		if of := a.ApplyTo(r).Kubernetes; of == from || of == "" {
			a.Kubernetes = s.Kubernetes
		}
		return nil
	}, Apply: OnlyCommit})
	if errors.Is(err, volume.ErrNotFound) { // removed meanwhile, as by the reaper
		return false, nil
	}
	return isDone, err
}
