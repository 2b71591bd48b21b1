// SPDX-License-Identifier: Apache-2.0

package mount

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// resolveCached is RESOLVE_CACHED of linux/openat2.h (Linux 5.12), which x/sys lacks.
	resolveCached = 0x20

	// askTimeout is how long a file system may take to look a mount point up.
	askTimeout = 2 * time.Second
)

var (
	errCovered = errors.New("another mount covers it")
	errAsking  = fmt.Errorf("an earlier walk to a mount point still waits for its file system: %w", unix.ETIMEDOUT)
)

// walk opens path, as seen from the directory dir (a leading / means nothing more),
// without following links.
//
// On a path to a mount point the kernel holds all names, so it needs no file system
// to look them up, unless one of them wants to be asked for every name again after a
// while (FUSE, NFS). Such a one may be hung, so it is asked only if ask is
// true, and waited for no longer than askTimeout.
func walk(dir int, path string, ask bool) (int, error) {
	path = strings.TrimPrefix(path, "/")
	if path == "" {
		return unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, 0)
	}
	fd, err := openat2(dir, path, resolveCached)
	switch {
	case errors.Is(err, unix.EAGAIN):
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL): // no openat2 before 5.6, no such flag before 5.12
	default:
		return fd, err
	}
	if !ask {
		return -1, err
	}
	return askFor(dir, path)
}

func openat2(dir int, path string, resolve uint64) (int, error) {
	return unix.Openat2(dir, path, &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_SYMLINKS | resolve,
	})
}

// asking holds the one walk of this process that may be waiting for a file system
// after its caller has given up.
var asking = make(chan struct{}, 1)

func askFor(dir int, path string) (int, error) {
	dir, err := unix.FcntlInt(uintptr(dir), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	select {
	case asking <- struct{}{}:
	default:
		unix.Close(dir)
		return -1, errAsking
	}
	answer := make(chan opened)
	givenUp := make(chan struct{})
	go func() {
		fd, err := openat2(dir, path, 0)
		if errors.Is(err, unix.ENOSYS) {
			fd, err = unix.Openat(dir, path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		}
		unix.Close(dir)
		<-asking // before the answer, as the next call may follow it at once
		select {
		case answer <- opened{fd, err}:
		case <-givenUp:
			unix.Close(fd)
		}
	}()
	timer := time.NewTimer(askTimeout)
	defer timer.Stop()
	select {
	case o := <-answer:
		return o.fd, o.err
	case <-timer.C:
		close(givenUp)
		return -1, fmt.Errorf("a file system on the way to /%s gave no answer within %v: %w", path, askTimeout, unix.ETIMEDOUT)
	}
}
