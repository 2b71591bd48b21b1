// SPDX-License-Identifier: Apache-2.0

package copying

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/volume/owndir"
)

// Of all processes one copies: the one that made the lease file with the highest number. It changes the file's time as
// long as it copies. Others look at that time: what has not changed for long enough, by their own clock, is of one who
// is dead, or stands still, and who makes the file with the next number goes on with the copy. The former holder, if it
// lives after all, finds that file within Renewed, and stops; until then both may write the same bytes into the same
// files. A holder that stops by itself gives the file a time of zero.

const (
	leaseRenewed = 5 * time.Second
	leaseLasts   = 20 * time.Second

	leasePrefix = "lease."
)

type lease struct {
	copies *Copies
	of     Status
	at     *safepath.Dir
	number int
	file   *os.File
}

func leaseName(number int) string { return leasePrefix + strconv.Itoa(number) }

// takeLease returns ErrBusy while another process has it, or may have it.
func (s *Copies) takeLease(of Status, at *safepath.Dir) (*lease, error) {
	last, err := lastLease(at)
	if err != nil {
		return nil, err
	}
	if last > 0 {
		st, err := at.StatEntry(leaseName(last))
		isInSplitBrain := errors.Is(err, unix.EIO) // so nobody renews it
		if err != nil && !isInSplitBrain {
			return nil, err
		}
		isGivenBack := !isInSplitBrain && st.Mtim.Sec == 0
		state := fmt.Sprint(last, " ", st.Mtim.Sec, ".", st.Mtim.Nsec)
		if !isGivenBack && s.Memory.Leases.For(of.Stamp(), state) < s.Lasts {
			return nil, fmt.Errorf("another controller copies it, or did so until a moment ago: %w", volume.ErrBusy)
		}
	}
	l := &lease{copies: s, of: of, at: at, number: last + 1}
	l.file, err = at.OpenFile(leaseName(l.number), unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("another controller has just begun to copy it: %w", volume.ErrBusy)
	}
	if err != nil {
		return nil, err
	}
	s.Memory.Leases.Forget(of.Stamp())
	s.Step(stepLeased)
	if last > 0 {
		err = volume.IgnoreNotExist(at.Unlink(leaseName(last)))
	}
	if err != nil && !errors.Is(err, unix.EIO) {
		l.giveBack()
		return nil, err
	}
	return l, nil
}

// lastLease is the highest number of a lease, 0 where there is none.
func lastLease(at *safepath.Dir) (int, error) {
	names, err := at.Names(0)
	last := 0
	for _, name := range names {
		number, isLease := strings.CutPrefix(name, leasePrefix)
		if n, err := strconv.Atoi(number); isLease && err == nil {
			last = max(last, n)
		}
	}
	return last, err
}

// hold renews the lease until the returned function is called. The context ends when the lease is lost, or the copy
// given up.
func (l *lease) hold(ctx context.Context) (holding context.Context, stop func()) {
	holding, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		panics.Every(holding, l.copies.Renewed, "the lease of a copy", func(context.Context) {
			if err := panics.Guard("the lease of a copy", func() error { l.renew(); return l.lost() }); err != nil {
				cancel(err)
			}
		})
	}()
	return holding, func() { cancel(nil); <-ended }
}

// renew ignores errors: who does not succeed for long loses the lease, which is found then.
func (l *lease) renew() {
	now := unix.NsecToTimespec(time.Now().UnixNano())
	_ = safepath.OfFile(l.file).SetTimes(now, now)
}

// lost returns nil as long as nobody else has the lease, and the copy was not given up.
func (l *lease) lost() error {
	isMissing, err := owndir.IsMissing(l.at, leaseName(l.number+1))
	switch {
	case err != nil:
		return nil //nolint:nilerr // it is not known, and asked again
	case !isMissing:
		return fmt.Errorf("another controller goes on with it: %w", volume.ErrBusy)
	}
	if claimed, err := l.copies.isClaimed(l.of); err == nil && !claimed {
		return fmt.Errorf("it was given up meanwhile: %w", volume.ErrNotFound)
	}
	return nil
}

// giveBack lets others have the lease at once.
func (l *lease) giveBack() {
	_ = safepath.OfFile(l.file).SetTimes(unix.Timespec{}, unix.Timespec{}) // else they wait
	_ = l.file.Close()
}
