// SPDX-License-Identifier: Apache-2.0

package credentials

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Descriptor is the number by which a client's process has its directory of credentials open.
const Descriptor = 3

// FixedDirectory is where GlusterFS of Debian looks for them, in every process.
const FixedDirectory = "/usr/lib/ssl"

// MakeLinks makes, in a root directory for clients, the links by which each of them finds its own credentials: GlusterFS has
// no option for those of the connection to glusterd, and clients of several clusters share a root. The driver's image has them.
func MakeLinks(root string) error {
	dir := filepath.Join(root, FixedDirectory)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as Debian's package has it; nothing but links is there
		return err
	}
	var errs []error
	for name, target := range links() {
		errs = append(errs, os.Symlink(target, filepath.Join(dir, name)))
	}
	return errors.Join(errs...)
}

// links are the names that GlusterFS opens.
func links() map[string]string {
	own := "/proc/self/fd/" + strconv.Itoa(Descriptor)
	return map[string]string{
		"glusterfs.pem": filepath.Join(own, CertificateFile),
		"glusterfs.key": filepath.Join(own, KeyFile),
		"glusterfs.ca":  filepath.Join(own, CAFile),
	}
}

// CheckLinks returns an error that says what to do if a process of this host would not find its own credentials.
func CheckLinks() error {
	all := links()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		path, target := filepath.Join(FixedDirectory, name), all[name]
		if found, err := os.Readlink(path); err != nil || found != target {
			return fmt.Errorf("GlusterFS's clients would not find their certificates here: %s has to be a link to %s, as in the driver's image", path, target)
		}
	}
	return nil
}

// Directory makes a directory with these credentials for a client's process, which opens it as Descriptor. It is in memory,
// root's alone, and in no mount namespace: only by a process that has it open is it found, and when the last one ends it is
// gone (Linux 5.2).
func (s *Set) Directory() (*os.File, error) {
	fd, err := detachedTmpfs()
	if err != nil {
		return nil, fmt.Errorf("make a directory in memory for certificates: %w", err)
	}
	dir := os.NewFile(uintptr(fd), "credentials")
	if err := s.writeTo(dir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

func detachedTmpfs() (int, error) {
	fs, err := unix.Fsopen("tmpfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(fs) }()
	err = errors.Join(unix.FsconfigSetString(fs, "mode", "0700"), unix.FsconfigSetString(fs, "size", "4m"))
	if err == nil {
		err = unix.FsconfigCreate(fs)
	}
	if err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

// writeTo replaces the files, each in one step. A connection that begins in between may find files that do not belong
// together, and is made again by GlusterFS three seconds later.
func (s *Set) writeTo(dir *os.File) error {
	const aside = ".new"
	for name, content := range s.files {
		fd, err := unix.Openat(int(dir.Fd()), name+aside, unix.O_CREAT|unix.O_WRONLY|unix.O_TRUNC|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o400)
		if err != nil {
			return fmt.Errorf("write certificates: %w", err)
		}
		file := os.NewFile(uintptr(fd), name)
		_, err = file.Write(content)
		if err = errors.Join(err, file.Close()); err == nil {
			err = unix.Renameat(int(dir.Fd()), name+aside, int(dir.Fd()), name)
		}
		if err != nil {
			return fmt.Errorf("write certificates: %w", err)
		}
	}
	return nil
}

// Renew gives a client's process these credentials for the connections that it makes from now on, and says whether it had
// others. One that was started without any is left as it is: GlusterFS decides at its start whether to use TLS. isRunning says whether the process
// that is meant still runs: what was opened before is its own then, and not that of another one with the same number.
func (s *Set) Renew(pid int, isRunning func() bool) (changed bool, err error) {
	dir, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/%d", pid, Descriptor), unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ESRCH) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("renew the certificates of process %d: %w", pid, err)
	}
	defer func() { _ = dir.Close() }()
	if !isRunning() || !isOurs(dir) {
		return false, nil
	}
	now, err := readFrom(dir.Name(), s.name)
	if err == nil && s.Equal(now) {
		return false, nil
	}
	return true, s.writeTo(dir)
}

// isOurs tells a directory that Directory has made from what else a process may have open.
func isOurs(dir *os.File) bool {
	var fs unix.Statfs_t
	var file unix.Stat_t
	return unix.Fstatfs(int(dir.Fd()), &fs) == nil && fs.Type == unix.TMPFS_MAGIC &&
		unix.Fstatat(int(dir.Fd()), CertificateFile, &file, unix.AT_SYMLINK_NOFOLLOW) == nil
}
