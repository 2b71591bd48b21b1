// SPDX-License-Identifier: Apache-2.0

package commit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

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
	// closing are the files that a force has opened: nobody waits for them who waits for the force.
	closing sync.WaitGroup
}

func (f *files) isOpen() bool { return f.client != nil }

func (f *files) close() {
	f.closing.Wait()
	f.closeFiles()
	if f.client != nil {
		f.client.Close()
	}
	*f = files{}
}

// force syncs a file of every replica set, after find has opened them where that is necessary.
func (f *files) force(root *safepath.Dir, find func(root *safepath.Dir) (found, error)) error {
	const attempts = 4
	pause := 50 * time.Millisecond
	for attempt := 1; ; attempt++ {
		err := f.forceOnce(root, find)
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

func (f *files) forceOnce(root *safepath.Dir, find func(root *safepath.Dir) (found, error)) error {
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
	return f.putOnDisk(reading)
}

// putOnDisk syncs what is held.
func (f *files) putOnDisk(reading *meta.Reading) error {
	type outcome struct {
		err    error
		caught *panics.Panic
	}
	outcomes := make(chan outcome, len(f.bySet))
	for name, held := range f.bySet {
		f.closing.Go(func() {
			var file *os.File
			var o outcome
			o.caught = panics.Try(func() { file, o.err = putOnDisk(held, name, reading) })
			outcomes <- o
			_ = file.Close() // which asks the bricks
		})
	}
	var err error
	var caught *panics.Panic
	for range f.bySet {
		o := <-outcomes
		err = errors.Join(err, o.err)
		if o.caught != nil {
			caught = o.caught
		}
	}
	caught.Again()
	return err
}

func (f *files) closeFiles() {
	for _, file := range f.bySet {
		_ = file.Close() // of which nothing is to be known: its times are all that there is of it
	}
	f.bySet = nil
}

// reopen opens the file that a descriptor leads to, for other uses.
func reopen(file *os.File, flags int) (*os.File, error) {
	fd, err := unix.Open(ofDescriptor(file), flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: file.Name(), Err: err}
	}
	return os.NewFile(uintptr(fd), file.Name()), nil
}

// ofDescriptor is a path that leads to an open file, and to no other that has its name by now. The file system is not
// asked on the way.
func ofDescriptor(file *os.File) string { return procPath(int(file.Fd())) }

func procPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

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
	return f.client.Open(procPath(root.Fd()), device)
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

// putOnDisk changes a file's times, and waits until that is on disk. It returns the file as it was opened for that, for
// the caller to close, nil where it could not be. Over a network it is waiting that takes the time: while the times are
// changed, the file is opened, and it is asked where it lies.
func putOnDisk(held *os.File, name string, reading *meta.Reading) (file *os.File, err error) {
	var openErr, moved error
	var beside panics.Group
	beside.Go(func() { file, openErr = openNow(held) })
	beside.Go(func() { moved = isStillOn(held, name, reading) })
	err = changeTimes(held)
	beside.Wait()
	if err = errors.Join(err, openErr); err == nil {
		err = file.Sync()
	}
	return file, errors.Join(err, moved)
}

// openNow opens a file on the bricks. A client with performance.open-behind, as by default, has only said so when
// open(2) returns, and opens it when it has to: for a question after its attributes, or for the sync that would wait
// for it.
func openNow(held *os.File) (*os.File, error) {
	file, err := reopen(held, unix.O_RDWR)
	if err != nil {
		return nil, err
	}
	var stat unix.Statx_t
	if err := unix.Statx(int(file.Fd()), "", unix.AT_EMPTY_PATH|unix.AT_STATX_FORCE_SYNC, unix.STATX_SIZE, &stat); err != nil {
		return file, &os.PathError{Op: "statx", Path: file.Name(), Err: err}
	}
	return file, nil
}

// changeTimes of a file that is open, be it for nothing.
func changeTimes(file *os.File) error {
	now := unix.NsecToTimespec(time.Now().UnixNano())
	// By a descriptor alone, futimens(2) changes none that is open for nothing.
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, ofDescriptor(file), []unix.Timespec{now, now}, 0); err != nil {
		return &os.PathError{Op: "utimensat", Path: file.Name(), Err: err}
	}
	return nil
}

// isStillOn returns nil if a file lies on this replica set, on all bricks of it that its client uses.
func isStillOn(file *os.File, name string, reading *meta.Reading) error {
	p, err := pathinfo(ofDescriptor(file))
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
