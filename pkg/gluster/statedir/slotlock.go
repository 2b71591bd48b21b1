// SPDX-License-Identifier: Apache-2.0

package statedir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrBusy says that another process has the lock at this moment.
var ErrBusy = errors.New("another process is starting or stopping its client")

// Lock is the lock of a slot. At most one process has it, and the kernel lets go of it when the process ends:
// whatever start is half done when it is taken is nobody's any more. What changes the slot's starts is a method of
// it.
type Lock struct {
	slot Slot
	file *os.File
}

// Lock waits for the slot's lock until ctx is done, and returns ErrBusy then.
func (s Slot) Lock(ctx context.Context) (*Lock, error) {
	lock, err := waitFor(ctx, s.TryLock)
	if errors.Is(err, ErrBusy) {
		err = fmt.Errorf("%w: %w", ErrBusy, context.Cause(ctx))
	}
	return lock, err
}

// TryLock returns the slot's lock, or ErrBusy.
func (s Slot) TryLock() (*Lock, error) {
	file, err := s.flock(lockFile, unix.LOCK_EX)
	if err != nil {
		return nil, err
	}
	return &Lock{slot: s, file: file}, nil
}

// Unlock lets go of the lock.
func (l *Lock) Unlock() { _ = l.file.Close() }

// NewStart makes a directory for a client that is to be started, with its mount point.
func (l *Lock) NewStart() (Start, error) {
	dir, err := os.MkdirTemp(string(l.slot), startPrefix)
	if err != nil {
		return "", err
	}
	start := Start(dir)
	if err := os.Mkdir(start.Mountpoint(), 0o700); err != nil {
		return "", errors.Join(err, start.Discard())
	}
	return start, nil
}

// Keep keeps the mount of a client that has died, under a name that says so: as long as the mount is there, the
// kernel gives the device's number to no other file system, and whichever process comes next can tell what is dead,
// in whatever mount namespace something of it is left. A reboot leaves the directory alone.
func (l *Lock) Keep(start Start) error {
	kept := filepath.Join(string(l.slot), keptPrefix+strings.TrimPrefix(filepath.Base(string(start)), startPrefix))
	if err := os.Rename(string(start), kept); err != nil {
		return fmt.Errorf("keep the mount of a dead client: %w", err)
	}
	return nil
}

// Users says, as long as it is open, that this process is a user of the slot's client. A descriptor of the client's
// mount could not stand in for it: it keeps the process from ending, but nothing can be bound by it once the mount is
// detached (open_tree says EINVAL), and whoever is about to detach the mount cannot tell that there is one.
type Users struct{ file *os.File }

// JoinUsers makes this process a user of the slot's client, after waiting until ctx is done for a process that gives
// the client up. It returns ErrBusy then.
func (s Slot) JoinUsers(ctx context.Context) (*Users, error) { return waitFor(ctx, s.TryJoinUsers) }

// TryJoinUsers is JoinUsers without the wait. Whoever has the slot's lock need not wait: giving up takes the lock.
func (s Slot) TryJoinUsers() (*Users, error) {
	file, err := s.flock(usersFile, unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	return &Users{file: file}, nil
}

// TryAlone returns true if no other process is a user; nobody can become one then until Close.
func (u *Users) TryAlone() (bool, error) {
	// This upgrade of the own shared lock fails at once if another process has one.
	err := unix.Flock(int(u.file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		// The attempt may have cost the shared lock (flock(2)): whoever comes now waits for the other lock.
		return false, unix.Flock(int(u.file.Fd()), unix.LOCK_SH|unix.LOCK_NB)
	}
	return err == nil, err
}

// Close ends the use. It may be called on nil.
func (u *Users) Close() {
	if u != nil {
		_ = u.file.Close()
	}
}

func (s Slot) flock(name string, how int) (*os.File, error) {
	return lockFileAt(filepath.Join(string(s), name), how)
}

// lockFileAt returns a locked file, or ErrBusy. Closing the file unlocks it.
func lockFileAt(path string, how int) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = unix.Flock(int(file.Fd()), how|unix.LOCK_NB)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		return file, nil
	}
	_ = file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, ErrBusy
	}
	return nil, fmt.Errorf("lock %s: %w", file.Name(), err)
}

// waitFor repeats try until it no longer says ErrBusy, or ctx is done.
func waitFor[T any](ctx context.Context, try func() (T, error)) (T, error) {
	const pause = 10 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		got, err := try()
		if !errors.Is(err, ErrBusy) {
			return got, err
		}
		select {
		case <-ctx.Done():
			return got, err
		case <-ticker.C:
		}
	}
}
