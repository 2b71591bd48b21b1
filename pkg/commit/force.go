// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/glusterfs-csi/glusterfs-csi/pkg/gluster/meta"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/mount"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/panics"
	"github.com/glusterfs-csi/glusterfs-csi/pkg/safepath"
)

// ErrHealing says that a brick that is up lacks the files that are synced, because it was down when they were made:
// what is on its disk is not known until GlusterFS has healed it, which it does within seconds where nothing hinders
// it.
var ErrHealing = errors.New("a brick has not been healed")

// errMoved says that a file lies elsewhere by now, or is not there.
var errMoved = errors.New("it was moved")

// files are what is synced, open.
type files struct {
	device mount.Device // of the mount they are on
	client *meta.Reader
	state  string // of the client as it was when the files were opened
	// bySet are held by descriptors that are open for nothing: a process that is started has copies of all descriptors
	// for a moment, and closing one that is open for writing waits for GlusterFS
	// (TestNothingPilesUpWhileEveryServerHangs in pkg/driver).
	bySet map[string]*os.File
}

func (f *files) isOpen() bool { return f.client != nil }

func (f *files) close() {
	for _, file := range f.bySet {
		_ = file.Close() // of which nothing is to be known: its times are all that there is of it
	}
	if f.client != nil {
		f.client.Close()
	}
	*f = files{}
}

// force syncs a file of every replica set.
func (f *files) force(root *safepath.Dir) error {
	const attempts = 4
	pause := 50 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := f.forceOnce(root)
		if err == nil {
			return nil
		}
		f.close()
		again := errors.Is(err, errMoved) || errors.Is(err, ErrHealing) || errors.Is(err, fs.ErrNotExist) || inSplitBrain(err) ||
			errors.Is(err, unix.ESTALE) || errors.Is(err, unix.EBADF) || errors.Is(err, unix.EBADFD)
		if !again || attempt == attempts {
			return fmt.Errorf("put on the disks of %s what was done: %w", root.Name(), err)
		}
		time.Sleep(pause) // a lookup has just had it healed, or it has just been moved
		pause *= 3
	}
}

func (f *files) forceOnce(root *safepath.Dir) error {
	if err := f.follow(root); err != nil {
		return err
	}
	reading, err := f.client.Read()
	if err != nil {
		return err
	}
	if now := stateOf(reading); now != f.state || len(f.bySet) == 0 {
		// Other bricks are other sets. One that has come back may lack a file, and a lookup has GlusterFS heal it.
		f.closeFiles()
		found, err := find(root)
		if err != nil {
			return err
		}
		f.bySet, err = found.hold()
		if err != nil {
			return err
		}
		f.state = now
	}
	var all panics.Group
	results := make(chan error, 2*len(f.bySet))
	for name, held := range f.bySet {
		all.Go(func() {
			file, err := reopen(held, unix.O_RDWR)
			if err != nil {
				results <- err
				results <- nil
				return
			}
			defer file.Close()
			var question panics.Group
			question.Go(func() { results <- isStillOn(file, name, reading) })
			results <- putOnDisk(file)
			question.Wait()
		})
	}
	all.Wait()
	for range 2 * len(f.bySet) {
		err = errors.Join(err, <-results)
	}
	return err
}

func (f *files) closeFiles() {
	for _, file := range f.bySet {
		_ = file.Close()
	}
	f.bySet = nil
}

// reopen opens the file that a descriptor leads to, for other uses.
func reopen(file *os.File, flags int) (*os.File, error) {
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(int(file.Fd())), flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: file.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), file.Name()), nil
}

// follow gives up what is open on another mount than root's, and opens the client's own state.
func (f *files) follow(root *safepath.Dir) error {
	var stat unix.Statx_t
	if err := unix.Statx(root.Fd(), "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, 0, &stat); err != nil {
		return &os.PathError{Op: "statx", Path: root.Name(), Err: err}
	}
	device := mount.Device{Major: stat.Dev_major, Minor: stat.Dev_minor}
	if f.client != nil && f.device == device {
		return nil
	}
	f.close()
	f.device, f.client = device, &meta.Reader{}
	return f.client.Open(filepath.Join("/proc/self/fd", strconv.Itoa(root.Fd())), device)
}

// stateOf is another one whenever the client has other bricks, or is connected to others of them.
func stateOf(r *meta.Reading) string {
	var text strings.Builder
	fmt.Fprint(&text, r.Graph.Name)
	for _, b := range r.Bricks {
		fmt.Fprint(&text, " ", b.Connected)
	}
	for _, s := range r.Sets {
		fmt.Fprint(&text, " ", s.Down)
	}
	return text.String()
}

// putOnDisk changes the file's times, and waits until that is on disk.
func putOnDisk(file *os.File) error {
	now := unix.NsecToTimespec(time.Now().UnixNano())
	times := [2]unix.Timespec{now, now}
	// futimens(2), which x/sys has for paths alone: a path would be looked up.
	_, _, errno := unix.Syscall6(unix.SYS_UTIMENSAT, file.Fd(), 0, uintptr(unsafe.Pointer(&times)), 0, 0, 0) //nolint:gosec // as x/sys does
	if errno != 0 {
		return &os.PathError{Op: "utimensat", Path: file.Name(), Err: errno}
	}
	return file.Sync()
}

// isStillOn returns nil if a file lies on this replica set, on all bricks of it that its client uses.
func isStillOn(file *os.File, name string, reading *meta.Reading) error {
	p, err := pathinfo(int(file.Fd()))
	if err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	if len(p.Subvolumes) != 1 || p.Subvolumes[0].Name != name {
		return fmt.Errorf("%s, from %s to %v: %w", file.Name(), name, p.Subvolumes, errMoved)
	}
	i := slices.IndexFunc(reading.Graph.Sets, func(s meta.Set) bool { return s.Translator == name })
	if i < 0 {
		return nil // a single brick
	}
	if up := len(reading.Graph.Sets[i].Children) - len(reading.Sets[i].Down); p.Subvolumes[0].Bricks < up {
		return fmt.Errorf("%s is on %d of the %d bricks of %s that are up: %w: see `gluster volume heal` … `info`",
			file.Name(), p.Subvolumes[0].Bricks, up, name, ErrHealing)
	}
	return nil
}
